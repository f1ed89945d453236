"""The rules of the contract, as sentences and as expressions.

Each rule is a boolean Ibis expression over typed columns; the engine evaluates all of them in one pass and
returns the first that a row breaks. `tests/spec/test_contract_rules.py` shows each rule in a table.
"""

from collections.abc import Iterator
from typing import Final

import ibis
import ibis.expr.types as ir

from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, Column, Kind, Role
from dnapredict.data.contract.datetimes import is_ambiguous
from dnapredict.data.contract.parsing import LONGEST
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.readers.csv_reader import MORE_CELLS

# No appointment is outside these years; systems write 2999-12-31 for "not known".
YEARS: Final = (1990, 2100)
_BOUNDED: Final = (Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN)
# Columns in which a cell that cannot be read counts as not known, and its row stays: a patient is not lost over
# an age of 121. A wish not to be called that cannot be read is not passed over.
OPTIONAL_CELLS: Final = frozenset(
    column.name
    for column in COLUMNS
    if column.is_optional_time or (column.kind in _BOUNDED and not column.required and column.role is not Role.WISH)
)

_KEYS: Final = tuple(column.name for column in COLUMNS if column.role is Role.KEY)
# A row with this many cells or fewer, none of them a date, is no appointment.
_MOST_IN_A_SUMMARY: Final = 2

RULES: Final = {
    MORE_CELLS: "has more cells than the header has columns, so that values may have moved",
    "summary_row": "holds no date and next to nothing else, as a total or a note beside a table does",
    **{f"{name}_in_scientific_notation": "" for name in _KEYS},
    "cell_too_long": f"holds a key or a code of more than {LONGEST:,} characters",
    "no_appointment_id": "has no appointment_id",
    "duplicate_appointment_id": "repeats an appointment_id of an earlier row",
    "patient_id_not_an_nhs_number": "holds a patient_id that is not an NHS number (ten digits, check digit)",
    "no_booked_at": "has no booked_at",
    "no_starts_at": "has no starts_at",
    **{
        f"{column.name}_unreadable": ""
        for column in COLUMNS
        if column.kind is Kind.TIMESTAMP and not column.is_optional_time
    },
    **{f"{column.name}_order_unclear": "" for column in COLUMNS if column.kind is Kind.TIMESTAMP},
    "date_out_of_range": f"holds a date outside {YEARS[0]} to {YEARS[1]}, such as a placeholder",
    "starts_before_booked": "starts before it was booked",
    "outcome_before_start": "has an attendance outcome recorded before the appointment",
    "outcome_code_unknown": f"holds an outcome_code that is not one of {', '.join(sorted(codes.OUTCOME))}",
    **{
        f"{column.name}_invalid": ""
        for column in COLUMNS
        if column.kind in _BOUNDED and column.name not in OPTIONAL_CELLS
    },
    "administrative_event": "is an administrative event "
    f"(first_attendance_code {codes.ADMINISTRATIVE_EVENT}), not an appointment",
}
# Rejected, but no error of the extract.
NOT_A_FAULT: Final = frozenset({"administrative_event"})


def sentence_of(rule: str) -> str:
    """The predicate of a message about a row that breaks `rule`, or has an unreadable cell: "row 12 ...".

    >>> sentence_of("starts_before_booked")
    'starts before it was booked'
    >>> sentence_of("age_years_invalid")
    'holds an age_years that is not a number from 0 to 120'
    """
    if RULES.get(rule):
        return RULES[rule]
    if rule.endswith("_unreadable"):
        return f"holds a {rule.removesuffix('_unreadable')} that is not a date and time"
    if rule.endswith("_order_unclear"):
        return (
            f"holds a {rule.removesuffix('_order_unclear')} whose day and month cannot be told apart, as "
            "other rows of the column show; say its format in a mapping"
        )
    if rule.endswith("_in_scientific_notation"):
        name = rule.removesuffix("_in_scientific_notation")
        return f"holds the {name} in scientific notation, of which only the first digits are left"
    name = rule.removesuffix("_invalid")
    column = next(column for column in COLUMNS if column.name == name)
    article = "an" if name[0] in "aeio" else "a"
    return f"holds {article} {name} that is not {expected_in(column)}"


def columns_of(sentence: str) -> tuple[str, ...]:
    """The contract columns that a sentence of `sentence_of` is about; empty if it is about the whole row.

    >>> columns_of("starts before it was booked"), columns_of("holds a starts_at that is not a date and time")
    (('starts_at', 'booked_at'), ('starts_at',))
    """
    rule = next((rule for rule in RULES if sentence_of(rule) == sentence), "")
    if rule in _COLUMNS_OF:
        return _COLUMNS_OF[rule]
    named = (rule.removesuffix(ending) for ending in _ENDINGS if rule.endswith(ending))
    return tuple(name for name in named if any(name == each.name for each in COLUMNS))


_ENDINGS: Final = ("_unreadable", "_order_unclear", "_invalid", "_in_scientific_notation")
_COLUMNS_OF: Final = {
    "no_appointment_id": ("appointment_id",),
    "duplicate_appointment_id": ("appointment_id",),
    "patient_id_not_an_nhs_number": ("patient_id",),
    "no_booked_at": ("booked_at",),
    "no_starts_at": ("starts_at",),
    "date_out_of_range": ("starts_at", "booked_at"),
    "starts_before_booked": ("starts_at", "booked_at"),
    "outcome_before_start": ("outcome_code", "recorded_at"),
    "outcome_code_unknown": ("outcome_code",),
    "administrative_event": ("first_attendance_code",),
}


def expected_in(column: Column) -> str:
    """What a cell of a yes/no column, a column of numbers or an optional time should be.

    >>> expected_in(next(column for column in COLUMNS if column.name == "imd_decile"))
    'a whole number from 1 to 10'
    """
    if column.kind is Kind.BOOLEAN:
        return "yes or no (1 or 0, true or false)"
    if column.kind is Kind.TIMESTAMP:
        return "a date and time before the appointment"
    whole = "a whole number" if column.kind is Kind.INTEGER else "a number"
    return f"{whole} from {column.lowest:g} to {column.highest:g}"


# Whether the row repeats an appointment_id of an earlier row, where it is known already.
_REPEAT: Final = "bad_repeat"


def with_repeats(typed: ir.Table) -> ir.Table:
    """`typed` with a flag for repeated ids, for engines that have no `IN (SELECT ...)` within an expression."""
    repeats = _repeats(typed).rename(repeated_id="appointment_id")
    joined = typed.left_join(repeats, typed.appointment_id == repeats.repeated_id)
    flag = {_REPEAT: (joined[ROW_NUMBER] > joined.first_row).fill_null(False)}
    return joined.select(*typed.columns, **flag)


def first_broken_rule(typed: ir.Table) -> ir.StringValue:
    """The name of the first rule that a row breaks, in the order of `RULES`; null where it breaks none."""
    broken = dict(_broken(typed))
    return ibis.cases(*((broken[rule], rule) for rule in RULES if rule in broken), else_=ibis.null("string"))


def _repeats(typed: ir.Table) -> ir.Table:
    """Ids that occur more than once, with the first row of each, which is kept."""
    with_id = typed.filter(typed.appointment_id.notnull())
    counted = with_id.group_by("appointment_id").agg(first_row=with_id[ROW_NUMBER].min(), times=with_id.count())
    return counted.filter(counted.times > 1)


def _repeats_an_earlier_row(typed: ir.Table) -> ir.BooleanValue:
    if _REPEAT in typed.columns:
        return typed[_REPEAT]
    later = typed.inner_join(_repeats(typed), "appointment_id")
    return typed[ROW_NUMBER].isin(later.filter(later[ROW_NUMBER] > later.first_row)[ROW_NUMBER])


def _broken(typed: ir.Table) -> Iterator[tuple[str, ir.BooleanValue]]:
    yield from _broken_as_written(typed)
    yield "no_appointment_id", typed.appointment_id.isnull()
    yield "duplicate_appointment_id", _repeats_an_earlier_row(typed)
    yield "patient_id_not_an_nhs_number", _flag(typed, "bad_patient_id")
    for column in COLUMNS:
        if f"bad_{column.name}" in typed.columns and column.name not in OPTIONAL_CELLS:
            ending = "unreadable" if column.kind is Kind.TIMESTAMP else "invalid"
            yield f"{column.name}_{ending}", typed[f"bad_{column.name}"]
    yield from _broken_times(typed)
    yield "outcome_code_unknown", typed.outcome_code.notin(list(codes.OUTCOME))
    yield "administrative_event", typed.first_attendance_code == codes.ADMINISTRATIVE_EVENT


def _broken_as_written(typed: ir.Table) -> Iterator[tuple[str, ir.BooleanValue]]:
    if "bad_row" in typed.columns:
        yield MORE_CELLS, (typed.bad_row == MORE_CELLS).fill_null(False)
    yield "summary_row", _is_summary(typed)
    for name in _KEYS:
        yield f"{name}_in_scientific_notation", _flag(typed, f"bad_scientific_{name}")
    long = [typed[name] for name in typed.columns if name.startswith("bad_long_")]
    yield "cell_too_long", ibis.or_(*long)
    for name in typed.columns:
        if name.startswith("bad_order_"):
            yield f"{name.removeprefix('bad_order_')}_order_unclear", is_ambiguous(typed[name])


def _is_summary(typed: ir.Table) -> ir.BooleanValue:
    """Cells are counted only where there is no date, so that other rows cost nothing."""
    undated = typed.booked_at.isnull() & typed.starts_at.isnull()
    others = [column.name for column in COLUMNS if column.kind is not Kind.TIMESTAMP]
    filled = [(typed[name].notnull() | _flag(typed, f"bad_{name}")).cast("int8") for name in others]
    return ibis.ifelse(undated, sum(filled[1:], filled[0]) <= _MOST_IN_A_SUMMARY, False)


def _broken_times(typed: ir.Table) -> Iterator[tuple[str, ir.BooleanValue]]:
    yield "no_booked_at", typed.booked_at.isnull() & ~_flag(typed, "bad_booked_at")
    yield "no_starts_at", typed.starts_at.isnull() & ~_flag(typed, "bad_starts_at")
    times = [typed.booked_at, typed.starts_at, typed.recorded_at]
    yield "date_out_of_range", ibis.or_(*(~time.year().between(*YEARS) for time in times))
    yield "starts_before_booked", typed.starts_at < typed.booked_at
    attended_or_missed = typed.outcome_code.isin([*codes.ATTENDED, *codes.MISSED])
    yield (
        "outcome_before_start",
        attended_or_missed & (typed.recorded_local.date() < typed.starts_local.date()),
    )


def _flag(typed: ir.Table, name: str) -> ir.BooleanValue:
    return typed[name] if name in typed.columns else ibis.literal(False)

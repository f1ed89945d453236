"""Apply a mapping: a foreign extract's columns under the contract's names, with their values translated."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, cast

import ibis
import ibis.expr.types as ir

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.columns import NAMES, Kind, column
from dnapredict.data.contract.known_names import HEADERS, plain
from dnapredict.data.contract.parsing import parse, recorded, trimmed_of
from dnapredict.data.engine.bound_query import placeholder
from dnapredict.data.mapping.file_joins import MATCHED, missing_column
from dnapredict.data.mapping.geography import fed, located
from dnapredict.data.mapping.pseudonyms import PSEUDONYMS
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.errors import ConfigurationError

# Clocks beside a table, until the age has been worked out.
_START: Final = "clock::start"
_BORN: Final = "clock::born"


def value_of(table: ir.Table, origin: ColumnSource, *, where: str, expected: Collection[str] = ()) -> ir.Value:
    """The values that `origin` stands for, in the columns of `table` and of what is joined to it.

    Raises
    ------
    DataError
        If a column that it draws on is missing; the message names the file `where`, and the columns of the
        file where some are those that the mapping `expected`.
    """
    for name in origin.columns:
        if name not in table.columns:
            raise missing_column(where, name, table, expected=expected or origin.columns)
    value = _drawn(table, origin)
    if not origin.translate:
        return value
    text = value.cast("string").strip()
    return text.cases(*origin.translate.items(), else_=text)


def _drawn(table: ir.Table, origin: ColumnSource) -> ir.Value:
    if origin.constant is not None:
        return ibis.literal(origin.constant)
    if origin.date is not None and origin.time is not None:
        return _moment(table[origin.date], table[origin.time], tidy=not origin.format)
    if origin.filled is not None:
        return _filled(table, origin.filled)
    return table[origin.columns[0]]


def _filled(table: ir.Table, name: str) -> ir.BooleanValue:
    """Whether anything stands there; not known where the joined file has no such row."""
    holds = _text(table[name]).notnull()
    matched = MATCHED + name.partition(".")[0]
    return ibis.ifelse(table[matched], holds, ibis.null("boolean")) if matched in table.columns else holds


def _moment(date: ir.Value, time: ir.Value, *, tidy: bool) -> ir.StringValue:
    """Date and clock time as one text; the date alone where no clock time stands.

    Sheets keep a date as midnight and a time as a moment of one odd day: only their own half is taken.
    Where no pattern says how times are written, 0930, 930 and 9.30 are half past nine.
    """
    day = _text(date).re_replace(r"[ T]00:00(:00(\.0+)?)?$", "")
    clock = _text(time).re_replace(r"^\d{4}-\d\d-\d\d[ T]", "")
    if tidy:
        clock = clock.re_replace(r"^(\d{1,2})[.:]?(\d\d)$", r"\1:\2")
    return day + ibis.coalesce(ibis.literal(" ") + clock, "")


def _text(value: ir.Value) -> ir.StringValue:
    return recorded(trimmed_of(value.cast("string")).nullif(""))


def patient_number(table: ir.Table, mapping: Mapping, *, where: str) -> ir.StringValue:
    """The numbers that are to become pseudonyms, as they are written; null where none is recorded.

    Without this every patient whose number is "N/A" would become one patient with a long history.
    """
    return _text(value_of(table, mapping.columns["patient_id"], where=where, expected=mapping.drawn))


def with_age(table: ir.Table, mapping: Mapping) -> ir.Table:
    """`table` with the whole years from the date of birth in `age_years` to the day of `starts_at`.

    NaN stands where there is something that is no date. Who was born on 29 February has their birthday on
    1 March of other years.
    """
    # The two clocks stand in a query of their own, since the age names each of them several times.
    clocks = {_START: _clock(table, "starts_at", mapping), _BORN: _clock(table, "age_years", mapping)}
    clocked = table.mutate(age_years=_text(table.age_years), **clocks)
    start, born = clocked[_START], clocked[_BORN]
    had_birthday = _day_of_year(start) >= _day_of_year(born)
    years = (start.year() - born.year() - ibis.ifelse(had_birthday, 0, 1)).cast("float64")
    no_date = clocked.age_years.notnull() & born.isnull()
    return clocked.mutate(age_years=ibis.ifelse(no_date, ibis.literal(float("nan")), years)).drop(_START, _BORN)


def _clock(table: ir.Table, name: str, mapping: Mapping) -> ir.TimestampValue:
    origin = mapping.columns.get(name)
    formats = origin.formats if origin else ()
    parsed = parse(table[name], column("starts_at"), zone=mapping.timezone, formats=formats)
    return cast(ir.TimestampValue, parsed.local)


def _day_of_year(time: ir.TimestampValue) -> ir.IntegerValue:
    return time.month() * 100 + time.day()


# Columns beside the contract's: what a row turned out to be, until that has been counted.
TOLD: Final = "told_"
# Whether a patient's number is not the NHS number that it ought to be.
BAD_NUMBER: Final = "bad_patient_id"
# The rule that a row breaks as a row of its file, whatever its cells say.
FAULT: Final = "bad_row"
_OF_THE_OUTCOME: Final = ("outcome_code", "recorded_at")


@dataclass(frozen=True)
class Mapped:
    """The contract columns that an extract can feed, still as they were written.

    Beside them `table` has its row numbers and columns that begin with `TOLD`, and `BAD_NUMBER` where
    patients' numbers become pseudonyms.
    """

    table: ir.Table
    present: frozenset[str]


@dataclass(frozen=True)
class MappingRequest:
    """How an extract is to be read.

    Attributes
    ----------
    source
        What messages call the extract.
    future
        Whether it is a list of appointments to come, which may lack the source of an outcome.
    release, complete
        Of the areas that are looked up, as in `data.mapping.deprivation_lookup.Atlas`.
    """

    mapping: Mapping
    source: str
    future: bool = False
    release: str = ""
    complete: bool = False


def map_columns(table: ir.Table, asked: MappingRequest) -> Mapped:
    """Give the columns of `table` their contract names.

    Without a mapped name a column is recognised by the contract's own name, in any case and
    with spaces or underscores. Columns that the contract does not know are left behind here,
    so that names, addresses and phone numbers go no further.

    Raises
    ------
    ConfigurationError
        If the mapping names a contract column that does not exist, or draws it from what cannot be it.
    DataError
        If the mapping draws on a column that the extract does not have.
    """
    mapping, geography = asked.mapping, asked.mapping.geography
    _require_sense(mapping)
    columns = _columns(table, asked)
    mapped = table.select(table[ROW_NUMBER], **columns, **_told(table))
    if "age_years" in mapping.columns and mapping.columns["age_years"].born:
        mapped = with_age(mapped, mapping)
    if mapping.makes_pseudonyms:
        mapped = _with_pseudonyms(mapped)
    mapped = located(mapped, geography, release=asked.release, complete=asked.complete)
    return Mapped(mapped, frozenset(columns) | fed(geography, frozenset(columns)))


def _columns(table: ir.Table, asked: MappingRequest) -> dict[str, ir.Value]:
    mapping, found = asked.mapping, set(table.columns)
    columns = {
        name: value_of(table, origin, where=asked.source, expected=mapping.drawn)
        for name, origin in mapping.columns.items()
        if not (asked.future and name in _OF_THE_OUTCOME and not set(origin.columns) <= found)
    }
    if mapping.makes_pseudonyms:
        columns["patient_id"] = patient_number(table, mapping, where=asked.source)
    return columns | {name: table[own] for own, name in _by_own_name(table.columns, mapping)}


def _told(table: ir.Table) -> dict[str, ir.Value]:
    matched = (name for name in table.columns if name.startswith(MATCHED))
    fault = {FAULT: table[ROW_FAULT]} if ROW_FAULT in table.columns else {}
    return {TOLD + name.removeprefix(MATCHED): table[name] for name in matched} | fault


def feeds(found: Iterable[str], mapping: Mapping) -> frozenset[str]:
    """The contract columns that a file with the columns `found` can feed through `mapping`."""
    found = set(found)
    drawn = {
        name
        for name, origin in mapping.columns.items()
        if all(column in found or mapping.join_of(column) for column in origin.columns)
    }
    named = frozenset(drawn | {name for _, name in _by_own_name(found, mapping)})
    return named | fed(mapping.geography, named)


def contract_name(found: str) -> str:
    """How the contract would spell the column `found`, whether it knows one of that name or not.

    A wish not to be called is recognised by more names: a column that is passed over is a patient rung.

    >>> contract_name(" Opt-out? "), contract_name("Do not call"), contract_name("Site code")
    ('opt_out', 'opt_out', 'site_code')
    """
    if plain(found) in HEADERS["opt_out"]:
        return "opt_out"
    return found.strip().lower().replace(" ", "_")


def _by_own_name(found: Collection[str], mapping: Mapping) -> Iterator[tuple[str, str]]:
    """Columns that the mapping does not speak of and that have a contract column's name."""
    unspoken = sorted((name for name in found if name not in mapping.drawn), key=lambda name: name in NAMES)
    named = ((name, contract_name(name)) for name in unspoken)
    yield from ((own, name) for own, name in named if name in NAMES and name not in mapping.columns)


def _with_pseudonyms(mapped: ir.Table) -> ir.Table:
    """A pseudonym for each number (the table `pseudonyms`), and which numbers are none."""
    found = placeholder("pseudonyms", PSEUDONYMS)
    own = mapped.columns
    joined = mapped.left_join(found, mapped.patient_id == found.written)
    bad = {BAD_NUMBER: joined.bad.fill_null(False)}
    return joined.mutate(patient_id=joined.pseudonym, **bad).select(*own, BAD_NUMBER)


def _require_sense(mapping: Mapping) -> None:
    for name, origin in mapping.columns.items():
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1, cutoff=0.4)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"mapping: the contract has no column '{name}'.{hint}")
        for key, allowed in _senses(name, origin):
            if not allowed:
                raise ConfigurationError(f"mapping: column '{name}' cannot be had with '{key}'.")


def _senses(name: str, origin: ColumnSource) -> Iterator[tuple[str, bool]]:
    kind = column(name).kind
    if origin.born is not None:
        yield "born", name == "age_years"
    if origin.date is not None:
        yield "date", kind is Kind.TIMESTAMP
    if origin.filled is not None:
        yield "filled", kind is Kind.BOOLEAN
    if origin.pseudonymise:
        yield "pseudonymise", name == "patient_id"

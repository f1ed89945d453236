"""Apply a mapping: rename an extract's columns to the contract's names and translate their values."""

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from dnapredict.config.mapping_config import ColumnSource, Mapping
from dnapredict.data.contract.columns import COLUMNS, CONTACT_NAMES, NAMES, Kind, column
from dnapredict.data.contract.datetimes import EPOCHS, require_pattern
from dnapredict.data.contract.known_names import HEADERS, SAYS_NOTHING, plain
from dnapredict.data.contract.parsing import (
    clock_time,
    drop_missing_words,
    null_if_missing_word,
    trimmed,
    typed_value,
    without_blanks,
)
from dnapredict.data.engine.duckdb_engine import engine_function, placeholder
from dnapredict.data.mapping.file_joins import MATCHED, missing_column
from dnapredict.data.mapping.geography import add_geography, area_of_postcode, columns_added
from dnapredict.data.mapping.pseudonyms import PSEUDONYMS, UNLINKED
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.errors import ConfigurationError

# Helper columns for the calculation of the age.
_START: Final = "clock::start"
_BORN: Final = "clock::born"
_CLOCK: Final = "clock::written::"
_ID_DIGITS: Final = 32
# Words for no in any column, and for a telephone number that is not there.
_NO_VALUE: Final = tuple(dict.fromkeys((*SAYS_NOTHING, *(word for each in COLUMNS for word in each.no))))
# With the appointment's id, or the number of the row, what tells a row from those of other exports.
_OF_A_ROW: Final = ("booked_at", "starts_at", "clinic_code")
_sha256: Final = engine_function("sha256", (dt.string,), dt.string)


def value_of(table: ir.Table, origin: ColumnSource, *, where: str, expected: Collection[str] = ()) -> ir.Value:
    """The values of `origin`, from the columns of `table` and of files joined to it.

    Raises
    ------
    DataError
        If a source column is missing; the message names the file `where`, and its columns where some are
        `expected` by the mapping.
    """
    for name in origin.columns:
        if name not in table.columns:
            raise missing_column(where, name, table, expected=expected or origin.columns)
    return translated(value_before_translation(table, origin), origin)


def translated(value: ir.Value, origin: ColumnSource) -> ir.Value:
    """`value` with the codes of `origin.translate`; another value passes unchanged."""
    if not origin.translate:
        return value
    text = value.cast("string").strip()
    return text.cases(*origin.translate.items(), else_=text)


def source_of(name: str, columns: Collection[str], mapping: Mapping) -> ColumnSource | None:
    """The source of the contract column `name` in an extract with these columns; None where it has none."""
    if name in mapping.columns:
        origin = mapping.columns[name]
        return origin if set(origin.columns) <= set(columns) else None
    own = next((own for own, contract in _by_own_name(columns, mapping) if contract == name), None)
    return None if own is None else ColumnSource.model_validate({"from": own})


def value_before_translation(table: ir.Table, origin: ColumnSource) -> ir.Value:
    """The values of `origin` as the extract writes them."""
    if origin.constant is not None:
        return ibis.literal(origin.constant)
    if origin.date is not None and origin.time is not None:
        return _date_and_time(table[origin.date], table[origin.time], tidy=not origin.format)
    if origin.filled is not None:
        return _has_value(table, origin.filled)
    if origin.combine is not None:
        return _combined([table[name] for name in origin.combine])
    if origin.row_number:
        return ibis.literal("row ") + table[ROW_NUMBER].cast("string")
    return table[origin.columns[0]]


def _combined(values: list[ir.Value]) -> ir.StringValue:
    """The filled values as one text with " | " between."""
    texts = [_text(value) for value in values]
    return ibis.literal(" | ").join(texts).nullif("")


def _has_value(table: ir.Table, name: str) -> ir.BooleanValue:
    """Whether the column has a value that does not say "no"; null where the joined file has no matching row."""
    text = _text(table[name]).lower()
    holds = (text.notin(_NO_VALUE) & ~text.re_search("^(0+|9+)$")).fill_null(False)
    matched = MATCHED + name.partition(".")[0]
    return ibis.ifelse(table[matched], holds, ibis.null("boolean")) if matched in table.columns else holds


def _date_and_time(date: ir.Value, time: ir.Value, *, tidy: bool) -> ir.StringValue:
    """Date and clock time as one text; the date alone where no clock time stands.

    Sheets keep a date as midnight and a time as a clock_time of one odd day: only their own half is taken.
    Where no pattern says how times are written, 0930, 930 and 9.30 are half past nine.
    """
    day = _text(date).re_replace(r"[ T]00:00(:00(\.0+)?)?$", "")
    clock = _text(time).re_replace(r"^\d{4}-\d\d-\d\d[ T]", "")
    if tidy:
        clock = clock.re_replace(r"^(\d{1,2})[.:]?(\d\d)$", r"\1:\2")
    return day + ibis.coalesce(ibis.literal(" ") + clock, "")


def _text(value: ir.Value) -> ir.StringValue:
    return null_if_missing_word(without_blanks(value.cast("string")).nullif(""))


def patient_number(table: ir.Table, mapping: Mapping, *, where: str) -> ir.StringValue:
    """The numbers to be pseudonymised, as they are written; null where none is recorded.

    Otherwise all patients whose number is "N/A" would become one patient with a long history.
    """
    return _text(value_of(table, mapping.columns["patient_id"], where=where, expected=mapping.drawn))


def add_age(table: ir.Table, mapping: Mapping) -> ir.Table:
    """`table` with `age_years` converted from date of birth to completed years at `starts_at`.

    NaN where the cell is no date. A birthday on 29 February is on 1 March of other years.
    """
    own = table.columns
    clocked = _with_clocks(table, mapping)
    clocked = clocked.mutate(age_years=_text(clocked.age_years))
    start, born = clocked[_START], clocked[_BORN]
    had_birthday = _day_of_year(start) >= _day_of_year(born)
    years = (start.year() - born.year() - ibis.ifelse(had_birthday, 0, 1)).cast("float64")
    if any("%y" in pattern for pattern in mapping.columns["age_years"].formats):
        # The engine reads a year of two digits up to 68 as one from 2000 on: who was born in 1934, as born in 2034.
        years = ibis.ifelse(years < 0, years + 100, years)
    no_date = clocked.age_years.notnull() & born.isnull()
    return clocked.mutate(age_years=ibis.ifelse(no_date, ibis.literal(float("nan")), years)).select(*own)


def _with_clocks(table: ir.Table, mapping: Mapping) -> ir.Table:
    """`table` with the local times at which appointments start and patients were born.

    Each step is a separate query, as in the check of all columns: the next uses its columns several times, and one
    expression for all of them takes five times as long to plan as the rest of the check.
    """
    times, sources = column("starts_at"), {_START: "starts_at", _BORN: "age_years"}
    formats = {helper: _formats_of(name, mapping) for helper, name in sources.items()}
    if mapping.columns["age_years"].birth_year:
        table = table.mutate(**{_BORN: _mid_year(table)})
        del sources[_BORN]
    read = table.mutate(**{helper: trimmed(table[name], times) for helper, name in sources.items()})
    read = read.mutate(**{helper: drop_missing_words(read[helper], times) for helper in sources})
    clocks = {helper: clock_time(read[helper], times, formats[helper]) for helper in sources}
    read = read.mutate(**{_CLOCK + helper: clock for helper, clock in clocks.items() if clock is not None})
    locals_ = {
        helper: typed_value(
            read[helper],
            times,
            zone=mapping.timezone,
            formats=formats[helper],
            local=read[_CLOCK + helper] if _CLOCK + helper in read.columns else None,
        ).local
        for helper in sources
    }
    return read.mutate(**locals_)


def _formats_of(name: str, mapping: Mapping) -> tuple[str, ...]:
    origin = mapping.columns.get(name)
    return origin.formats if origin else ()


def _mid_year(table: ir.Table) -> ir.TimestampValue:
    """1 July of a year of birth: at most half a year from the birthday."""
    text = _text(table.age_years).re_replace(r"\.0$", "")
    year = ibis.ifelse(text.re_search(r"^(19|20)\d\d$"), text, ibis.null("string"))
    return (year + ibis.literal("-07-01")).try_cast("timestamp")


def _day_of_year(time: ir.TimestampValue) -> ir.IntegerValue:
    return time.month() * 100 + time.day()


# Prefix of extra columns with notes about a row, which `ingest` counts.
NOTE: Final = "note_"
# Whether a patient's number should be an NHS number and is not.
BAD_NUMBER: Final = "bad_patient_id"
# The rule that a row breaks in the layout of its file.
FAULT: Final = "bad_row"
_OF_THE_OUTCOME: Final = ("outcome_code", "recorded_at")


@dataclass(frozen=True)
class Mapped:
    """The contract columns of an extract, not parsed yet.

    `table` also has row numbers, columns that begin with `NOTE`, and `BAD_NUMBER` where patients' numbers
    become pseudonyms.
    """

    table: ir.Table
    present: frozenset[str]


@dataclass(frozen=True)
class MappingRequest:
    """How to map an extract.

    Attributes
    ----------
    source
        Name of the extract in messages.
    future
        Whether it is a list of future appointments, which may lack the source columns of the outcome.
    release, complete
        Of the deprivation lookup, as in `data.mapping.deprivation_lookup.AreaLookup`.
    """

    mapping: Mapping
    source: str
    future: bool = False
    release: str = ""
    complete: bool = False


def map_columns(table: ir.Table, request: MappingRequest) -> Mapped:
    """Rename the columns of `table` to the contract's names.

    A column that the mapping does not name is recognised by the contract's name, in any case and with spaces
    or underscores. All other columns are dropped here, so that names, addresses and telephone numbers go no
    further.

    Raises
    ------
    ConfigurationError
        If the mapping names a contract column that does not exist, or a source that does not suit it.
    DataError
        If the extract lacks a source column of the mapping.
    """
    _require_valid(request.mapping)
    request = replace(request, mapping=without_contacts(request.mapping))
    mapping, geography = request.mapping, request.mapping.geography
    columns = _columns(table, request)
    mapped = table.select(table[ROW_NUMBER], **columns, **_notes(table))
    age = mapping.columns.get("age_years")
    if age and (age.born or age.birth_year) and "starts_at" in mapped.columns:
        mapped = add_age(mapped, mapping)
    if mapping.makes_pseudonyms:
        mapped = _with_pseudonyms(mapped)
    appointment = mapping.columns.get("appointment_id")
    if appointment and appointment.id_from:
        mapped = mapped.mutate(appointment_id=_id_from(mapped, appointment.id_from))
    mapped = add_geography(mapped, geography, release=request.release, complete=request.complete)
    return Mapped(mapped, frozenset(mapped.columns) & frozenset(NAMES) | columns_added(geography, frozenset(columns)))


def without_contacts(mapping: Mapping) -> Mapping:
    """`mapping` without the contact columns.

    A column that gives a contact detail, such as the preferred language, can give another contract column too.
    """
    if mapping.columns.keys().isdisjoint(CONTACT_NAMES):
        return mapping
    columns = {name: origin for name, origin in mapping.columns.items() if name not in CONTACT_NAMES}
    return mapping.model_copy(update={"columns": columns})


def _columns(table: ir.Table, request: MappingRequest) -> dict[str, ir.Value]:
    mapping, found = request.mapping, set(table.columns)
    columns = {
        name: value_of(table, origin, where=request.source, expected=mapping.drawn)
        for name, origin in mapping.columns.items()
        if not origin.id_from and not (request.future and name in _OF_THE_OUTCOME and not set(origin.columns) <= found)
    }
    if mapping.makes_pseudonyms:
        columns["patient_id"] = patient_number(table, mapping, where=request.source)
    columns |= {name: table[own] for own, name in _by_own_name(table.columns, mapping)}
    area = area_of_postcode(table, columns.get("lsoa_code"))
    return columns if area is None else columns | {"lsoa_code": area}


def _notes(table: ir.Table) -> dict[str, ir.Value]:
    matched = (name for name in table.columns if name.startswith(MATCHED))
    fault = {FAULT: table[ROW_FAULT]} if ROW_FAULT in table.columns else {}
    return {NOTE + name.removeprefix(MATCHED): table[name] for name in matched} | fault


def columns_supplied(columns: Iterable[str], mapping: Mapping) -> frozenset[str]:
    """The contract columns that a file with these columns supplies through `mapping`."""
    found, mapping = set(columns), without_contacts(mapping)
    mapped = {
        name
        for name, origin in mapping.columns.items()
        if all(column in found or mapping.join_of(column) for column in origin.columns)
    }
    postcode = mapping.geography.postcode
    if postcode and (postcode in found or mapping.join_of(postcode)):
        mapped.add("lsoa_code")
    named = frozenset(mapped | {name for _, name in _by_own_name(found, mapping)})
    return named | columns_added(mapping.geography, named)


def contract_name(name: str) -> str:
    """The name in the spelling of the contract, whether or not the contract has such a column.

    Opt-outs are recognised by more names: if that column were missed, patients would be called who asked not to be.

    >>> contract_name(" Opt-out? "), contract_name("Do not call"), contract_name("Site code")
    ('opt_out', 'opt_out', 'site_code')
    """
    if plain(name) in HEADERS["opt_out"]:
        return "opt_out"
    return name.strip().lower().replace(" ", "_")


def _by_own_name(found: Collection[str], mapping: Mapping) -> Iterator[tuple[str, str]]:
    """Columns that the mapping does not use and that have the name of a contract column."""
    unused = sorted((name for name in found if name not in mapping.drawn), key=lambda name: name in NAMES)
    named = ((name, contract_name(name)) for name in unused)
    yield from ((own, name) for own, name in named if name in NAMES and name not in mapping.columns)


def _with_pseudonyms(mapped: ir.Table) -> ir.Table:
    """Replace each number by its pseudonym, from the table `pseudonyms`, and flag numbers without one."""
    pseudonyms = placeholder("pseudonyms", PSEUDONYMS)
    own = mapped.columns
    joined = mapped.left_join(pseudonyms, mapped.patient_id == pseudonyms.written)
    bad = {BAD_NUMBER: joined.bad.fill_null(False)}
    named = joined.mutate(patient_id=joined.pseudonym, **bad).select(*own, BAD_NUMBER)
    is_unlinked = (named.patient_id == UNLINKED).fill_null(False)
    return named.mutate(patient_id=ibis.ifelse(is_unlinked, id_of_row(named), named.patient_id))


def _id_from(mapped: ir.Table, names: tuple[str, ...]) -> ir.StringValue:
    """A hash of contract columns, in which patients' numbers are pseudonyms already; null where all are blank."""
    absent = [name for name in names if name not in mapped.columns]
    if absent:
        raise ConfigurationError(
            f"mapping: 'id_from' of appointment_id names '{absent[0]}', which is no contract column that the mapping "
            "gives."
        )
    texts = [_text(mapped[name]) for name in names]
    joined = ibis.literal("|").join([ibis.coalesce(text, "") for text in texts])
    return ibis.ifelse(ibis.coalesce(*texts).notnull(), _sha256(joined).substr(0, _ID_DIGITS), ibis.null("string"))


def id_of_row(mapped: ir.Table) -> ir.StringValue:
    """A patient id that no other row has, of this export or of another."""
    number = ibis.literal("row ") + mapped[ROW_NUMBER].cast("string")
    own = mapped.appointment_id.cast("string") if "appointment_id" in mapped.columns else ibis.null("string")
    # Where the appointment's id is made from the row's number, each export has the same ids.
    parts = [ibis.coalesce(own, number)]
    parts += [mapped[name].cast("string").fill_null("") for name in _OF_A_ROW if name in mapped.columns]
    return ibis.literal(UNLINKED) + _sha256(ibis.literal("|").join(parts)).substr(0, _ID_DIGITS)


def _require_valid(mapping: Mapping) -> None:
    for name, origin in mapping.columns.items():
        if name not in (*NAMES, *CONTACT_NAMES):
            near = difflib.get_close_matches(name, (*NAMES, *CONTACT_NAMES), n=1, cutoff=0.4)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise ConfigurationError(f"mapping: the contract has no column '{name}'.{hint}")
        for pattern in origin.formats:
            require_pattern(pattern, where=f"mapping: column '{name}'")
        if len(origin.formats) > 1 and set(origin.formats) & set(EPOCHS):
            raise ConfigurationError(
                f"mapping: column '{name}': 'epoch' and 'epoch_ms' are the format of a whole column, which holds no "
                "dates in another format, nor a date apart from its time."
            )
        for key, allowed in _key_rules(name, origin):
            if not allowed:
                raise ConfigurationError(f"mapping: column '{name}' cannot be had with '{key}'.")


def _key_rules(name: str, origin: ColumnSource) -> Iterator[tuple[str, bool]]:
    kind = column(name).kind
    for key in ("born", "birth_year"):
        if getattr(origin, key) is not None:
            yield key, name == "age_years"
    for key in ("row_number", "id_from"):
        if getattr(origin, key) is not None:
            yield key, name == "appointment_id"
    if origin.combine is not None:
        yield "combine", kind not in (Kind.TIMESTAMP, Kind.DATE) and name != "patient_id"
    if origin.date is not None:
        yield "date", kind is Kind.TIMESTAMP
    if origin.constant is not None:
        yield "constant", name not in CONTACT_NAMES
    if origin.filled is not None:
        yield "filled", kind is Kind.BOOLEAN
    if origin.pseudonymise:
        yield "pseudonymise", name == "patient_id"

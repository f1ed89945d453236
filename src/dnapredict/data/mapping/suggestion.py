"""Draft a mapping from an extract: source columns, formats and translations, and the columns not used.

The draft has column names and codes and never a patient's value.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import ibis.expr.types as ir

from dnapredict.data.contract.columns import COLUMNS, CONTACT_COLUMNS, Column, Kind, column
from dnapredict.data.contract.known_names import (
    BIRTH,
    CONTACT_HEADERS,
    DAYS,
    HEADERS,
    NHS_NUMBER,
    SAYS_WHO_CANCELLED,
    TIMES,
    plain,
)
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.mapping_draft import MappingDraft, toml_value, why_left_out
from dnapredict.data.mapping.profiling import ColumnProfiler
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import (
    ROW_FAULT,
    ROW_NUMBER,
    describe_columns,
    looks_like_header,
)
from dnapredict.errors import DataError

# What follows the name of a column that holds the descriptions of its codes.
_OF_WORDS: Final = ("description", "desc", "name", "text")
# Similarity at which a name counts as a known one, where none is equal.
_ALIKE: Final = 0.88
_MOBILE: Final = re.compile(r".*mobile.*|phone(number|no)?|telephone.*|contactno")
# A prefix of a column name that only means that the column is about the patient.
_OF_THE_PATIENT: Final = re.compile(r"^(patient|pat|pt)(?=.{3})")
_HALF: Final = 0.5
_NEARLY_ALL: Final = 0.9
# Their codes are not those of any other column, so that codes without words are evidence too.
_TOLD_BY_CODES: Final = ("treatment_function_code",)
# Columns that give a contact detail and another contract column as well: an age, whether there is a mobile.
_SHARED_WITH: Final = ("age_years", "has_mobile", "language_code")
# Formats of the time of day that follows a date.
_CLOCKS: Final = ("%H:%M", "%H:%M:%S", "%H%M", "%H.%M")
_HALF_DAYS: Final = ("%I:%M %p", "%I:%M%p", "%I.%M %p", "%I.%M%p")
# Date formats that are parsed without a format in the mapping.
_DAYS_READ: Final = ("%d/%m/%Y", "%d-%b-%Y", "%Y-%m-%d")
_NEEDS_A_KEY: Final = "Needs a key: --key-file FILE, or DNAPREDICT_PSEUDONYM_KEY."
# Names of columns that hold pseudonyms; numbers of another name are those of people.
_PSEUDONYMS: Final = ("patientid", "tokenpersonid", "hesid", "encryptedhesid", "pseudohesid")


def suggest(path: Path) -> str:
    """A mapping for the extract at `path`, in TOML, with a reason for each column that it leaves out.

    Raises
    ------
    DataError
        If the file cannot be read, or its first row does not look like the names of columns.
    """
    with Workspace() as workspace:
        table = table_file.read(path, workspace)
        _require_header(table.columns, str(path))
        draft = _matched(table, workspace)
        _complete(draft, ColumnProfiler(table, workspace))
    return "\n".join(draft.lines(path)) + "\n"


Sources = Mapping[str, Mapping[str, object]]
"""The keys of a `ColumnSource` by contract column, as a mapping file has them."""


@dataclass(frozen=True)
class SuggestedMapping:
    """The sources of a mapping, and sentences about values that it has no code for, by contract column."""

    columns: Sources
    notes: Mapping[str, Sequence[str]]


def suggest_sources(table: ir.Table, workspace: Workspace) -> Sources:
    """The source that each contract column most likely has in `table`, without formats and translations.

    Where no column has a name that is known, only those that are told by their values are among them.
    """
    return _matched(table, workspace).origins


def complete_sources(sources: Sources, table: ir.Table, workspace: Workspace) -> SuggestedMapping:
    """The `sources` that a person chose, with the date formats and translations that the values need."""
    draft = MappingDraft(_headers(table))
    for name, origin in sources.items():
        draft.take(name, **origin)
    _complete(draft, ColumnProfiler(table, workspace))
    return SuggestedMapping(draft.origins, draft.notes)


def _matched(table: ir.Table, workspace: Workspace) -> MappingDraft:
    draft, profiler = MappingDraft(_headers(table)), ColumnProfiler(table, workspace)
    _match_combined(draft, profiler)
    _match_names(draft)
    _match_similar_names(draft)
    _drop_other_contents(draft, profiler)
    _match_values(draft, profiler)
    _match_cancellations(draft, profiler)
    _match_contacts(draft)
    return draft


def _complete(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    _add_formats(draft, profiler)
    _add_translations(draft, profiler)


def _headers(table: ir.Table) -> dict[str, str]:
    return {plain(name): name for name in table.columns if name not in (ROW_NUMBER, ROW_FAULT)}


def _require_header(columns: Sequence[str], source: str) -> None:
    """Refuse a file whose first row may be a patient's: the draft would repeat it."""
    if not looks_like_header(columns):
        raise DataError(f"{source}: the meaning of its columns cannot be told. {describe_columns(columns)}")


def _match_combined(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    """Contract columns that are made of two columns, or of a column of another kind."""
    time, day = draft.first(TIMES), draft.first(DAYS)
    if time and day and time != day and (profiler.is_clock(time) or profiler.has_half_days(time)):
        draft.take("starts_at", date=day, time=time)
    number = draft.first(NHS_NUMBER)
    if number and not draft.first(_PSEUDONYMS):
        draft.take("patient_id", from_=number, pseudonymise=True)
        draft.note("patient_id", _NEEDS_A_KEY)
    born = draft.first(BIRTH)
    if born and not draft.first((plain("age_years"), *HEADERS["age_years"])):
        draft.take("age_years", born=born)
    mobile = draft.first(tuple(name for name in draft.headers if _MOBILE.fullmatch(name)))
    if mobile and not draft.first(HEADERS["has_mobile"]):
        draft.take("has_mobile", filled=mobile)
        draft.note("has_mobile", "Whether a number is on record; no factor sees the number itself.")


def _match_names(draft: MappingDraft) -> None:
    for target in COLUMNS:
        names = (plain(target.name), *HEADERS.get(target.name, ()))
        in_words = tuple(name + ending for name in names for ending in _OF_WORDS) if target.codes else ()
        header = draft.first((*names, *in_words))
        if header and target.name not in draft.origins:
            draft.take(target.name, from_=header)
    patient = draft.origins.get("patient_id", {})
    if "from" in patient and "pseudonymise" not in patient and plain(str(patient["from"])) not in _PSEUDONYMS:
        patient["pseudonymise"] = "local"
        draft.note("patient_id", f"Where these are pseudonyms already, leave pseudonymise out. {_NEEDS_A_KEY}")


def _match_similar_names(draft: MappingDraft) -> None:
    """Names that differ from a known one by a typing error or an ending."""
    known = {name: target for target, names in HEADERS.items() for name in (plain(target), *names)}
    for name, header in draft.headers.items():
        near = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE)
        if near and header not in draft.used and known[near[0]] not in draft.origins and not why_left_out(name):
            draft.take(known[near[0]], from_=header)
            draft.note(known[near[0]], f"Is '{header}' this? Its name is only alike.")


def _drop_other_contents(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    """Columns of codes that a name alone brought in and whose values are of another kind, if another column fits."""
    for target in (column(name) for name in list(draft.origins)):
        origin = draft.origins[target.name].get("from")
        if not target.codes or origin is None or profiler.share_known(str(origin), target, in_words=False) >= _HALF:
            continue
        if any(_fits(header, target, profiler) for header in draft.unused()):
            del draft.origins[target.name]
            draft.used.discard(str(origin))


def _match_values(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    """Contract columns that no name gives and the values of a column do."""
    numbers = str(draft.origins.get("patient_id", {}).get("from", ""))
    if "patient_id" not in draft.origins:
        numbers = next((header for header in draft.unused() if profiler.is_nhs_numbers(header)), "")
    is_known = draft.origins.get("patient_id", {}).get("pseudonymise") is True
    if numbers and not is_known and profiler.is_nhs_numbers(numbers):
        draft.take("patient_id", from_=numbers, pseudonymise=True)
        draft.notes["patient_id"] = [f"'{numbers}' holds NHS numbers. {_NEEDS_A_KEY}"]
    for target in COLUMNS:
        if target.codes and target.name not in draft.origins:
            header = next((header for header in draft.unused() if _fits(header, target, profiler)), None)
            if header:
                draft.take(target.name, from_=header)
                draft.note(target.name, f"'{header}' is taken by its values, not by its name. Is it this?")
    for name in ("booked_at", "starts_at"):
        times = [header for header in draft.unused() if plain(header) not in BIRTH and not why_left_out(plain(header))]
        times = [header for header in times if name not in draft.origins and profiler.is_time(header)]
        if len(times) == 1:
            draft.take(name, from_=times[0])
            draft.note(name, f"'{times[0]}' is taken as the only other column of dates. Is it this?")


def _match_cancellations(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    """Who cancelled, beside a flag of missed appointments: a cancelled one was not missed, and not attended either."""
    flag = str(draft.origins.get("outcome_code", {}).get("from", ""))
    words = profiler.missed_flag(flag) if flag else {}
    who = draft.first(SAYS_WHO_CANCELLED)
    if not words:
        if flag and who:
            draft.note("outcome_code", f"'{who}' may say which were cancelled: combine = {toml_value([flag, who])}.")
        return
    no = next(word for word, code in words.items() if code == "5")
    if who is None:
        draft.note("outcome_code", f"{toml_value(no)} is taken as attended. Are cancelled appointments among them?")
        return
    by = profiler.cancelled_by(who)
    cancelled = {f"{no} | {word}": code for word, code in by.items()} | by
    draft.take("outcome_code", combine=[flag, who], translate=words | cancelled)
    draft.used.update((flag, who))
    draft.note("outcome_code", f"'{who}' says which appointments were cancelled. Give each of its words a code.")


def _match_contacts(draft: MappingDraft) -> None:
    """Patients' names, dates of birth, telephone numbers and preferences, recognised by column names alone."""
    shared = {str(value) for name in _SHARED_WITH for value in draft.origins.get(name, {}).values()}
    free = {
        _OF_THE_PATIENT.sub("", name): header
        for name, header in draft.headers.items()
        if header not in draft.used or header in shared
    }
    has_both_names = all(
        free.keys() & set(_contact_names(name)) for name in ("person_given_name", "person_family_name")
    )
    for target in CONTACT_COLUMNS:
        if target.name == "person_full_name" and has_both_names:
            continue
        found = next((name for name in _contact_names(target.name) if name in free), None)
        if found is not None:
            draft.take(target.name, from_=free.pop(found))


def _contact_names(name: str) -> tuple[str, ...]:
    return (plain(name), *CONTACT_HEADERS[name])


def _fits(header: str, target: Column, profiler: ColumnProfiler) -> bool:
    in_words = target.name not in _TOLD_BY_CODES
    # The outcome is known only after the event, as it must be.
    is_left_out = why_left_out(plain(header)) and target.name != "outcome_code"
    return not is_left_out and profiler.share_known(header, target, in_words=in_words) >= _NEARLY_ALL


def _add_formats(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    times = [name for name in draft.origins if column(name).kind is Kind.TIMESTAMP]
    sources = {name: str(draft.origins[name]["from"]) for name in times if "from" in draft.origins[name]}
    if "person_birth_date" in draft.origins:
        sources["person_birth_date"] = str(draft.origins["person_birth_date"]["from"])
    days_have_z = any(profiler.is_day_with_z(source) for source in sources.values())
    if days_have_z:
        draft.note("booked_at", "A day at 00:00:00Z is no time in UTC: read as the clinic's clock.")
    if "born" in draft.origins.get("age_years", {}):
        sources["age_years"] = str(draft.origins["age_years"]["born"])
    for name, source in sources.items():
        pattern = profiler.pattern(source, days_have_z=days_have_z)
        if pattern:
            draft.origins[name]["format"] = pattern
    both = draft.origins.get("starts_at", {})
    if "date" in both and (pattern := profiler.pattern(str(both["date"]))):
        both["format"] = [f"{pattern} {clock}" for clock in (*_CLOCKS, *_HALF_DAYS)]
    elif "time" in both and profiler.has_half_days(str(both["time"])):
        both["format"] = [f"{day} {clock}" for day in _DAYS_READ for clock in _HALF_DAYS]


def _add_translations(draft: MappingDraft, profiler: ColumnProfiler) -> None:
    for target in (column(name) for name in draft.origins):
        if not target.codes or "from" not in draft.origins[target.name]:
            continue
        codes = profiler.codes(str(draft.origins[target.name]["from"]), target)
        if codes.translate:
            draft.origins[target.name]["translate"] = codes.translate
        for value in codes.unknown:
            draft.note(target.name, f"Say in translate what {toml_value(value)} means ({_choices(target)}).")
        if codes.hidden:
            draft.note(target.name, f"{codes.hidden} more values are no national codes; not shown here.")


def _choices(target: Column) -> str:
    return ", ".join(f"{code} {meaning}" for code, meaning in list(target.codes.items())[:3]) + ", ..."

"""The draft of a mapping: sources, notes and unused columns, and its text in TOML for a person to complete."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dnapredict.data.contract.columns import COLUMNS, CONTACT_COLUMNS, CONTACT_NAMES, Column, column
from dnapredict.data.contract.known_names import LEFT_OUT, POSTCODE
from dnapredict.data.readers.csv_dialect import printable_name

_WIDTH: Final = 108
_NO_OUTCOME: Final = "A list of appointments to come needs none; to train, say which column holds who came."
_FOR_THE_CALLER: Final = (
    "For the person who calls, and for nobody else: kept encrypted until the list's appointments are over, never a "
    "factor, never logged. Leave these lines out where no name or number is to be shown."
)


@dataclass
class MappingDraft:
    """The draft so far: a source by contract column, notes, and the columns that are used."""

    headers: dict[str, str]  # the extract's name, by its plain form
    origins: dict[str, dict[str, object]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def first(self, names: tuple[str, ...]) -> str | None:
        """The first of `names` that the extract has and that is not used yet."""
        headers = (self.headers[name] for name in names if name in self.headers)
        return next((header for header in headers if header not in self.used), None)

    def unused(self) -> list[str]:
        """The columns of the extract that no contract column uses yet."""
        return [header for header in self.headers.values() if header not in self.used]

    def take(self, name: str, **origin: object) -> None:
        """Give a contract column its source, by the keys of a `ColumnSource`; `from_` means `from`."""
        self.origins[name] = {key.rstrip("_"): value for key, value in origin.items()}
        self.used.update(str(value) for value in origin.values())

    def note(self, name: str, text: str) -> None:
        """Add a note that stands before the line of a contract column."""
        self.notes.setdefault(name, []).append(text)

    def lines(self, path: Path) -> Iterator[str]:
        """The draft as lines of TOML, for the extract at `path`."""
        return _lines(self, path)


def _lines(draft: MappingDraft, path: Path) -> Iterator[str]:
    yield f"# Drafted from the headers and codes of {path.name}. Read every line, then run"
    yield f"#   dnapredict check {path.name} --mapping THIS_FILE"
    yield f"description = {toml_value(path.name)}"
    yield "# Where the clinics are."
    yield 'timezone = "Europe/London"'
    yield ""
    yield "[columns]"
    for target in COLUMNS:
        yield from _column_lines(draft, target)
    if not draft.origins.keys().isdisjoint(CONTACT_NAMES):
        yield from _comment(_FOR_THE_CALLER)
    for target in CONTACT_COLUMNS:
        yield from _column_lines(draft, target)
    yield from _lookup_lines(draft)
    yield from _unused_lines(draft)
    yield from _translation_lines(draft)


def _column_lines(draft: MappingDraft, target: Column) -> Iterator[str]:
    for note in draft.notes.get(target.name, ()):
        yield from _comment(note)
    origin = draft.origins.get(target.name)
    if origin and "translate" in origin:
        yield from _comment(f"{target.name}: see its table of words at the end.")
    elif origin:
        yield f"{target.name} = {toml_value(origin)}"
    elif target.name == "outcome_code":
        yield from _comment(f"outcome_code: no column looks like it. {_NO_OUTCOME}")
    elif target.required:
        yield from _comment(f"{target.name} must be had, and no column looks like it. {target.note}")
        yield f'# {target.name} = {{ from = "..." }}'
        if target.name == "appointment_id":
            yield "# appointment_id = { row_number = true }     # where the extract has none"


def _translation_lines(draft: MappingDraft) -> Iterator[str]:
    """A table for each column whose words become codes, a line for each word, for a person to confirm."""
    for name, origin in draft.origins.items():
        words = origin.get("translate")
        if not isinstance(words, dict):
            continue
        yield ""
        yield f"[columns.{name}]"
        yield from (f"{key} = {toml_value(value)}" for key, value in origin.items() if key != "translate")
        yield f"[columns.{name}.translate]"
        yield from (
            f"{toml_value(word)} = {toml_value(code)}  # {column(name).codes[code]}" for word, code in words.items()
        )


def _lookup_lines(draft: MappingDraft) -> Iterator[str]:
    postcode = draft.first(POSTCODE)
    if postcode and "lsoa_code" not in draft.origins:
        draft.used.add(postcode)
        yield ""
        yield from _comment("The postcode gives the LSOA by the ONS Postcode Directory, and goes no further:")
        yield "# [geography]"
        yield f"# postcode = {toml_value(postcode)}"
        yield '# postcodes = "ONSPD.csv"'
    if (postcode or "lsoa_code" in draft.origins) and "imd_decile" not in draft.origins:
        yield ""
        yield from _comment("The LSOA gives the deprivation by File 7 of the English Indices of Deprivation:")
        if not postcode or "lsoa_code" in draft.origins:
            yield "# [geography]"
        yield '# imd = "File_7_IoD2025.csv"                     # LSOA 2021; for LSOA 2011 that of 2019'


def _unused_lines(draft: MappingDraft) -> Iterator[str]:
    left = {name: header for name, header in draft.headers.items() if header not in draft.used}
    if not left:
        return
    yield ""
    yield "# Left outside:"
    for name, header in left.items():
        number = list(draft.headers).index(name) + 1
        yield from _comment(f"- {printable_name(header, number)}: {why_left_out(name) or 'not part of the contract'}.")


def why_left_out(name: str) -> str:
    """Why a column of this plain name is in no contract; "" where nothing speaks against it."""
    return next((why for pattern, why in LEFT_OUT if re.search(pattern, name)), "")


def _comment(text: str) -> Iterator[str]:
    words, line = text.split(), "#"
    for word in words:
        if len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = "# "
        line += f" {word}"
    yield line


def toml_value(value: object) -> str:
    """A value in TOML on one line, which tomli-w cannot write; text as in JSON, whose escapes are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(inside)}" for key, inside in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)

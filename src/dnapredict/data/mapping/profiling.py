"""Profile the columns of an extract for a draft mapping: date formats, and codes that occur."""

from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir

from dnapredict.data.contract.columns import Column, column
from dnapredict.data.contract.known_names import NOT_RECORDED, WORDS, plain
from dnapredict.data.contract.parsing import parse
from dnapredict.data.engine.duckdb_engine import Workspace

# Date formats that are parsed only if a mapping names them. Day first: where every day is below 13 both orders
# fit, and British extracts have the day first.
_PATTERNS: Final = (
    "%Y%m%d",
    "%d%m%Y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d %b %Y",
    "%d %b %Y %H:%M",
    "%d %B %Y",
    "%d/%m/%y",
    "%d/%m/%y %H:%M",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
)
_WITH_Z: Final = "%Y-%m-%dT%H:%M:%SZ"
_MIDNIGHT: Final = r"\d{4}-\d\d-\d\dT00:00:00Z"
_CLOCK: Final = r"(\d{4}-\d\d-\d\d[ T])?\d{1,2}[:.]?\d\d(:\d\d)?"
# A value is shown only if many rows share it and the column has few values, so that it identifies nobody.
_LEAST_ROWS: Final = 10
_MOST_VALUES: Final = 30
_MOST_LETTERS: Final = 40


@dataclass(frozen=True)
class Codes:
    """Translations for a column of codes, and values without one.

    `unknown` has the values that many rows share; `hidden` counts the others, which are not shown.
    """

    translate: dict[str, str]
    unknown: tuple[str, ...] = ()
    hidden: int = 0


class ColumnProfiler:
    """Queries about the columns of one extract."""

    def __init__(self, table: ir.Table, workspace: Workspace) -> None:
        """Keep the table; nothing is read yet."""
        self._table = table
        self._workspace = workspace

    def is_clock(self, name: str) -> bool:
        """Whether a column has only times of day."""
        return self._holds(f"regexp_full_match({_text(name)}, '{_CLOCK}')", name)

    def is_day_with_z(self, name: str) -> bool:
        """Whether a column is always midnight with a Z, which is how some tools write a date."""
        return self._holds(f"regexp_full_match({_text(name)}, '{_MIDNIGHT}')", name)

    def pattern(self, name: str, *, days_have_z: bool = False) -> str | None:
        """The strptime format that a time column needs; None where it needs none or none fits."""
        if days_have_z and self._fits(name, _WITH_Z):
            return _WITH_Z
        if self._is_read(name):
            return None
        return next((pattern for pattern in _PATTERNS if self._fits(name, pattern)), None)

    def codes(self, name: str, to: Column) -> Codes:
        """Translations of the values of a column to the codes of the contract column `to`."""
        counted = self._counted(name)
        known = {plain(code): code for code in to.codes}
        words = WORDS.get(to.name, {})
        wrong = {value: n for value, n in counted.items() if value not in to.codes}
        translate = {value: words[plain(value)] for value in wrong if plain(value) in words}
        padded = {value for value in wrong if value.zfill(to.width) in to.codes or plain(value) in known}
        rest = {value: n for value, n in wrong.items() if value not in translate and value not in padded}
        if len(counted) > _MOST_VALUES:
            return Codes(translate, hidden=len(rest))
        shown = tuple(v for v, n in rest.items() if n >= _LEAST_ROWS and len(v) <= _MOST_LETTERS)
        return Codes(translate, shown, len(rest) - len(shown))

    def _counted(self, name: str) -> dict[str, int]:
        rows = self._workspace.fetch(
            f"SELECT {_text(name)} AS value, count(*) AS n FROM {self._table.get_name()} "
            f"WHERE {_text(name)} <> '' GROUP BY ALL ORDER BY n DESC, value LIMIT {_MOST_VALUES + 1}"
        )
        return {row["value"]: row["n"] for row in rows.to_pylist()}

    def _is_read(self, name: str) -> bool:
        unreadable = parse(self._table[name], column("starts_at"), zone="UTC").unreadable
        counted = self._table.agg(wrong=unreadable.sum())
        return not self._workspace.backend.to_pyarrow(counted)["wrong"][0].as_py()

    def _fits(self, name: str, pattern: str) -> bool:
        return self._holds(f"try_strptime({_text(name)}, '{pattern}') IS NOT NULL", name)

    def _holds(self, condition: str, name: str) -> bool:
        """Whether a condition holds in every row with a recorded value, and there is at least one."""
        words = ", ".join(f"'{word}'" for word in NOT_RECORDED)
        counted = self._workspace.fetch(
            f"SELECT count(*) AS n, count(*) FILTER ({condition}) AS held FROM {self._table.get_name()} "
            f"WHERE {_text(name)} <> '' AND upper({_text(name)}) NOT IN ({words})"
        ).to_pylist()[0]
        return bool(counted["n"]) and counted["n"] == counted["held"]


def _text(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'trim("{quoted}"::VARCHAR)'

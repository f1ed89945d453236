"""Profile the columns of an extract for a draft mapping: date formats, and codes that occur."""

from dataclasses import dataclass
from typing import Final

import ibis.expr.types as ir

from dnapredict.data.contract.codes import ATTENDED, MISSED
from dnapredict.data.contract.columns import Column, column
from dnapredict.data.contract.descriptions import described_code, whole_code
from dnapredict.data.contract.known_names import (
    ASKS_WHETHER_MISSED,
    CANCELLED_BY,
    MISSED_YES_NO,
    NOT_RECORDED,
    PROPOSED_WORDS,
    plain,
)
from dnapredict.data.contract.parsing import clock_time, drop_missing_words, trimmed, typed_value
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import FEWEST_NUMBERS, is_nhs_number

# Days that may follow a weekday. Years of two digits first: four digits would read 07/12/26 as of the year 26.
_DAYS_AFTER_A_WEEKDAY: Final = (
    *("%d/%m/%y", "%d/%m/%Y", "%d-%b-%y", "%d-%b-%Y", "%d %b %y", "%d %b %Y", "%d %B %Y"),
    *(
        f"{day} {clock}"
        for day in ("%d/%m/%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y")
        for clock in ("%H:%M", "%I:%M %p", "%I:%M%p")
    ),
)
# Date formats that are parsed only if a mapping names them. Day first: where every day is below 13 both orders
# fit, and British extracts have the day first.
_PATTERNS: Final = (
    "%Y%m%d",
    "%d%m%Y",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H.%M",
    "%d/%m/%Y %H.%M",
    "%d.%m.%Y %H:%M:%S",
    "%d %b %Y",
    "%d %b %Y %H:%M",
    "%d %B %Y",
    "%d/%m/%y",
    "%d/%m/%y %H:%M",
    "%d-%m-%Y",
    "%d-%m-%Y %H:%M",
    "%d/%m/%Y %I:%M %p",
    "%d/%m/%Y %I:%M%p",
    "%d-%b-%Y %I:%M %p",
    "%d %b %Y %I:%M %p",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d-%b-%y",
    "%d-%b-%y %H:%M",
    *(f"{weekday} {day}" for weekday in ("%a", "%A", "%a,", "%A,") for day in _DAYS_AFTER_A_WEEKDAY),
)
_WITH_Z: Final = "%Y-%m-%dT%H:%M:%SZ"
_MIDNIGHT: Final = r"\d{4}-\d\d-\d\dT00:00:00Z"
_HALF_DAY: Final = r"\d{1,2}[:.]\d\d ?[AaPp][Mm]"
_CLOCK: Final = r"(\d{4}-\d\d-\d\d[ T])?\d{1,2}[:.]?\d\d(:\d\d)?"
# A value is shown only if many rows share it and the column has few values, so that it identifies nobody.
_LEAST_ROWS: Final = 10
_MOST_VALUES: Final = 30
_MOST_LETTERS: Final = 40
_MOST_COUNTED: Final = 1_000
# Seconds or milliseconds from 1970 of the years 2001 to 2033.
_EPOCH: Final = r"1\d{9}(\d{3})?"
_MOST_NUMBERS: Final = 2_000
_FIRST_YEAR: Final = 1_000
_NEARLY_ALL: Final = 0.9
_FEW: Final = 20


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
        self._counts: dict[str, dict[str, int]] = {}
        # Cached, because parsing a column as dates is slow and several contract columns need the result.
        self._read: dict[str, bool] = {}
        self._patterns: dict[str, str | None] = {}

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
        if self._holds(f"regexp_full_match({_text(name)}, '{_EPOCH}')", name):
            return "epoch_ms" if self._holds(f"length({_text(name)}) = 13", name) else "epoch"
        if name not in self._patterns:
            possible = self._possible_patterns(name)
            self._patterns[name] = next((pattern for pattern in possible if self._fits(name, pattern)), None)
        return self._patterns[name]

    def _possible_patterns(self, name: str) -> list[str]:
        """The patterns that fit the first cells with a digit, found by one query; only these are tested on all rows."""
        tried = ", ".join(f"bool_and(try_strptime(value, '{pattern}') IS NOT NULL)" for pattern in _PATTERNS)
        fits = self._workspace.fetch(
            f"SELECT [{tried}] AS fits FROM (SELECT {_text(name)} AS value FROM {self._table.get_name()} "
            f"WHERE {_is_recorded(name)} AND {_has_digit(name)} LIMIT {_FEW})"
        )["fits"][0].as_py()
        return [pattern for pattern, fit in zip(_PATTERNS, fits, strict=True) if fit]

    def has_half_days(self, name: str) -> bool:
        """Whether every time of day in a column is one before or after noon, such as 9:30 am."""
        return self._holds(f"regexp_full_match({_text(name)}, '{_HALF_DAY}')", name)

    def codes(self, name: str, to: Column) -> Codes:
        """Translations of the values of a column to the codes of the contract column `to`."""
        counted = self._counted(name)
        written = {value: n for value, n in counted.items() if value.upper() not in NOT_RECORDED or _says(value, to)}
        wrong = {value: n for value, n in written.items() if not whole_code(value, to)}
        proposed = {value: described_code(value, to) or _proposed(value, name, to) for value in wrong}
        proposed |= self.missed_flag(name) if to.name == "outcome_code" else {}
        translate = {value: code for value, code in proposed.items() if code}
        rest = {value: n for value, n in wrong.items() if value not in translate}
        if len(rest) > _MOST_VALUES:
            return Codes(translate, hidden=len(rest))
        shown = tuple(v for v, n in rest.items() if n >= _LEAST_ROWS and len(v) <= _MOST_LETTERS)
        return Codes(translate, shown, len(rest) - len(shown))

    def missed_flag(self, name: str) -> dict[str, str]:
        """Outcome codes of the values of a column that asks whether an appointment was missed.

        Empty where the column asks something else, or holds other values than a yes and a no.
        """
        values = {value for value in self._counted(name) if value.upper() not in NOT_RECORDED}
        known = {value: MISSED_YES_NO.get(plain(value), "") for value in sorted(values)}
        return known if plain(name) in ASKS_WHETHER_MISSED and set(known.values()) == {"3", "5"} else {}

    def cancelled_by(self, name: str) -> dict[str, str]:
        """Outcome codes of the words in a column that says who cancelled; only those that are known."""
        known = {value: CANCELLED_BY.get(plain(value), "") for value in self._counted(name)}
        return {value: code for value, code in known.items() if code}

    def share_known(self, name: str, to: Column, *, in_words: bool) -> float:
        """Share of the filled rows of a column that are codes or descriptions of `to`, only descriptions if `in_words`.

        0 where there are fewer than `_LEAST_ROWS` rows, or where all say the same: that is no evidence. Nor are
        outcomes of which none is an attendance: those are reasons of cancellations.
        """
        counted = self._counted(name)
        known = {value: (None if in_words else whole_code(value, to)) or described_code(value, to) for value in counted}
        different = {code for code in known.values() if code}
        if sum(counted.values()) < _LEAST_ROWS or len(different) < 2:
            return 0.0
        if to.name == "outcome_code" and different.isdisjoint((*ATTENDED, *MISSED)):
            return 0.0
        filled = {value: n for value, n in counted.items() if value.upper() not in NOT_RECORDED}
        return sum(n for value, n in filled.items() if known[value]) / max(1, sum(filled.values()))

    def is_nhs_numbers(self, name: str) -> bool:
        """Whether nearly all values of a column are NHS numbers."""
        text = f"regexp_replace({_text(name)}, '[ -]', '', 'g')"
        rows = self._workspace.fetch(
            f"SELECT DISTINCT {text} AS number FROM {self._table.get_name()} "
            f"WHERE {_text(name)} <> '' ORDER BY number LIMIT {_MOST_NUMBERS}"
        )["number"].to_pylist()
        valid = sum(is_nhs_number(number) for number in rows)
        return len(rows) >= FEWEST_NUMBERS and valid >= _NEARLY_ALL * len(rows)

    def is_time(self, name: str) -> bool:
        """Whether every value of a column can be read as a date."""
        return self._holds("true", name) and (self._is_read(name) or self.pattern(name) is not None)

    def _counted(self, name: str) -> dict[str, int]:
        if name not in self._counts:
            rows = self._workspace.fetch(
                f"SELECT {_text(name)} AS value, count(*) AS n FROM {self._table.get_name()} "
                f"WHERE {_text(name)} <> '' GROUP BY ALL ORDER BY n DESC, value LIMIT {_MOST_COUNTED}"
            )
            self._counts[name] = {row["value"]: row["n"] for row in rows.to_pylist()}
        return self._counts[name]

    def _is_read(self, name: str) -> bool:
        if name not in self._read:
            self._read[name] = self._is_all_read(name)
        return self._read[name]

    def _is_all_read(self, name: str) -> bool:
        times, read = column("starts_at"), self._as_times(name)
        parsed = typed_value(read.text, times, zone="UTC", local=read.local if "local" in read.columns else None)
        # A year of two digits is read as one of antiquity: 01/03/26 as 26 March of the year 1.
        antique = (parsed.value.year() < _FIRST_YEAR).fill_null(False)
        judged = self._step(read.select("may_be_date", unreadable=parsed.unreadable, antique=antique))
        found = self._workspace.fetch(
            "SELECT count(*) FILTER ((unreadable AND may_be_date) OR antique) AS wrong, count(*) FILTER (may_be_date) "
            f"AS dates, count(*) FILTER (unreadable) AS words FROM {judged.get_name()}"
        ).to_pylist()[0]
        return not found["wrong"] and bool(found["dates"] or not found["words"])

    def _as_times(self, name: str) -> ir.Table:
        """Text, local time where it is one of text, and whether there is a digit, of each row of a column.

        Each step is a view, as in the check of a whole table: one expression for all of them takes ten times as long
        to plan.
        """
        times, source = column("starts_at"), self._table[name]
        # A cell without a digit, such as Total below the list, is no date in any format. Its row is reported later.
        may_be_date = source.cast("string").re_search("[0-9]").fill_null(False)
        whole = self._step(self._table.select(text=trimmed(source, times), may_be_date=may_be_date))
        written = self._step(whole.mutate(text=drop_missing_words(whole.text, times)))
        local = clock_time(written.text, times)
        return written if local is None else self._step(written.mutate(local=local))

    def _step(self, rows: ir.Table) -> ir.Table:
        return self._workspace.view(str(self._workspace.backend.compile(rows)))

    def _fits(self, name: str, pattern: str) -> bool:
        return self._holds(f"NOT {_has_digit(name)} OR try_strptime({_text(name)}, '{pattern}') IS NOT NULL", name)

    def _holds(self, condition: str, name: str) -> bool:
        """Whether a condition holds in every row with a recorded value, and there is at least one."""
        counted = self._workspace.fetch(
            f"SELECT count(*) AS n, count(*) FILTER ({condition}) AS held FROM {self._table.get_name()} "
            f"WHERE {_is_recorded(name)}"
        ).to_pylist()[0]
        return bool(counted["n"]) and counted["n"] == counted["held"]


def _proposed(value: str, name: str, to: Column) -> str | None:
    """The code of a word that only a reader of the extract can judge, such as a letter or a yes."""
    if to.name == "outcome_code" and plain(name) in ASKS_WHETHER_MISSED and plain(value) in MISSED_YES_NO:
        return MISSED_YES_NO[plain(value)]
    return PROPOSED_WORDS.get(to.name, {}).get(plain(value))


def _says(value: str, to: Column) -> bool:
    """Whether a word for "not recorded" has a meaning in the column `to`, or a code for it."""
    return value.upper() in to.meaningful_words or plain(value) in PROPOSED_WORDS.get(to.name, {})


def _is_recorded(name: str) -> str:
    words = ", ".join(f"'{word}'" for word in NOT_RECORDED)
    return f"{_text(name)} <> '' AND upper({_text(name)}) NOT IN ({words})"


def _has_digit(name: str) -> str:
    return f"regexp_matches({_text(name)}, '[0-9]')"


def _text(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'trim("{quoted}"::VARCHAR)'

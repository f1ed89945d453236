"""Examine a home: every check in order, and the repairs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.config.home import require_home
from dnapredict.errors import DnapredictError
from dnapredict.service.home_checks import file_checks, record_checks, store_checks
from dnapredict.service.home_checks.home_findings import HomeCheck, HomeFinding, found

_FILES: Final = (
    HomeCheck("links", file_checks.links),
    HomeCheck("permissions", file_checks.permissions),
    HomeCheck("interrupted writes", file_checks.leftovers),
)
_STORES: Final = (
    HomeCheck("secrets", record_checks.secrets),
    HomeCheck("keys and sign-in", record_checks.keys),
    HomeCheck("registry, ledger and models", store_checks.registry),
    HomeCheck("test sets", store_checks.held_out),
    HomeCheck("reports and cycles", store_checks.reports),
    HomeCheck("history", store_checks.history),
    HomeCheck("lists", record_checks.lists),
    HomeCheck("scoring log", store_checks.scoring_log),
    HomeCheck("calls", store_checks.calls),
    HomeCheck("outcomes", store_checks.outcomes),
    HomeCheck("trial", store_checks.trial),
)
_KINDS: Final = HomeCheck("kinds of files", file_checks.special_files)
CHECKS: Final = tuple(check.name for check in (_KINDS, *_FILES, *_STORES))
"""The names of all checks, in order."""


@dataclass(frozen=True)
class Examination:
    """What was found in a home, and what was mended."""

    findings: tuple[HomeFinding, ...]
    mended: tuple[HomeFinding, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is left to mend."""
        return not self.findings


def examine(home: Path, database: str | None = None) -> Examination:
    """Check everything that the home holds, and change nothing.

    Where something in it is neither a file nor a folder, nothing else is checked: reading it could wait for ever.

    Parameters
    ----------
    database
        The address of the scoring log; None for the file in the home.

    Raises
    ------
    StoreError
        If the folder is no home.
    """
    require_home(home)
    if kinds := tuple(found(_KINDS, home, database)):
        return Examination(kinds)
    return Examination(tuple(_without_repetition(home, database)))


def _without_repetition(home: Path, database: str | None) -> Iterator[HomeFinding]:
    """Several checks read the same secret, and name it once."""
    named: set[tuple[str, str]] = set()
    for check in (*_FILES, *_STORES):
        for finding in found(check, home, database):
            if (finding.path, finding.problem) not in named:
                named.add((finding.path, finding.problem))
                yield finding


def mend(home: Path, database: str | None = None) -> Examination:
    """Repair what can be repaired without losing anything, and check again.

    Permissions first: a file that may not be read looks damaged.

    Raises
    ------
    StoreError
        If the folder is no home.
    """
    before = examine(home, database)
    for finding in before.findings:
        if finding.repair is not None:
            try:
                finding.repair()
            except (OSError, DnapredictError):
                continue  # found again below
    after = examine(home, database)
    left = {(finding.path, finding.problem) for finding in after.findings}
    mended = tuple(each for each in before.findings if (each.path, each.problem) not in left)
    return Examination(after.findings, mended)

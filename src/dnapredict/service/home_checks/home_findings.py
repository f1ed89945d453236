"""Findings of the checks of a home, and how an error of a module becomes one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dnapredict.errors import DnapredictError

REPAIR: Final = "Run 'dnapredict doctor --repair'."
RESTORE: Final = "Restore it from a backup."

Repair = Callable[[], None]


@dataclass(frozen=True)
class HomeFinding:
    """One fault of a home.

    Attributes
    ----------
    path
        Where, relative to the home; "" for the home itself.
    problem, mend
        What is wrong, and what mends it, as sentences without a patient's value.
    repair
        What `doctor --repair` does; None where a person has to decide. It loses nothing.
    """

    path: str
    problem: str
    mend: str
    repair: Repair | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        """One line."""
        return f"{self.path or '.'}: {self.problem} {self.mend}"


@dataclass(frozen=True)
class HomeCheck:
    """A check by its name; `find` gives its findings and changes nothing.

    An error that `find` raises is a finding as well.
    """

    name: str
    find: Callable[[Path, str | None], Iterator[HomeFinding]]


def finding_of(message: object, home: Path, *, repair: Repair | None = None) -> HomeFinding:
    """The finding in a message of the form "PATH: what is wrong. What to do."; what to do is `REPAIR` with a repair."""
    place, text = _split_path(str(message), home)
    problem, advice = _split_advice(text)
    return HomeFinding(place, problem, REPAIR if repair else advice or RESTORE, repair)


def found(check: HomeCheck, home: Path, database: str | None) -> Iterator[HomeFinding]:
    """The findings of a check, of which an error is the last: what comes after it is not checked."""
    try:
        yield from check.find(home, database)
    except DnapredictError as error:
        yield finding_of(error, home)
    except Exception as error:  # noqa: BLE001 - whatever a library raises about a damaged file, the other checks go on
        # The text of the error is left out: it could quote a value.
        yield HomeFinding("", f"The check '{check.name}' cannot be completed ({type(error).__name__}).", RESTORE)


def _split_path(message: str, home: Path) -> tuple[str, str]:
    for top in (str(home), str(home.resolve())):
        if message.startswith(top):
            place, colon, text = message[len(top) :].partition(": ")
            if colon:
                return place.lstrip("/\\"), text
    return "", message


def _split_advice(text: str) -> tuple[str, str]:
    """The first sentence, and the others. A full stop in a file name is not followed by a blank."""
    first, stop, rest = text.partition(". ")
    return (f"{first}.", rest) if stop else (text, "")

"""A watched folder: which lists in it are complete, and where they go once they are scored.

A file is complete if it did not change between two polls. Polling works on network shares too, which send no change
events, and does not depend on the clocks of other machines.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError, UsageError

_ENDINGS: Final = (".csv", ".csv.gz", ".xlsx", ".parquet")
# Temporary and lock files of programs that have a file open or are still copying it.
_UNFINISHED: Final = re.compile(r"^[.~]|\.(tmp|part|partial|crdownload|filepart)$", re.IGNORECASE)


@dataclass(frozen=True)
class ListDestination:
    """The destination of a list, its worklist and its message, under one unused name.

    Attributes
    ----------
    folder
        `done` or `failed`.
    name
        Name of the list, with a number if that name is in use.
    """

    folder: Path
    name: str

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return _stem(self.name)

    def worklist(self, form: str) -> Path:
        """Path of the worklist."""
        return self.folder / f"{self.stem}-worklist{form}"

    @property
    def message(self) -> Path:
        """Path of the message with the result."""
        return self.folder / f"{self.name}.txt"

    def move(self, path: Path, message: str) -> None:
        """Write the message, then move the list at `path` here.

        Raises
        ------
        StoreError
            If that cannot be done; the list stays where it is.
        """
        try:
            self.message.write_text(message.rstrip() + "\n", encoding="utf-8")
            shutil.copymode(path, self.message)
            os.replace(path, self.folder / self.name)
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be written ({error.strerror}).") from None


@dataclass
class Inbox:
    """The lists of one folder that wait to be scored."""

    folder: Path
    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _postponed: dict[Path, int] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Inbox":
        """The folder, with `done` and `failed` inside.

        Raises
        ------
        UsageError
            If there is no such folder.
        StoreError
            If it cannot be written to.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder}: is no folder. Make it, or name another.")
        try:
            for name in ("done", "failed"):
                (folder / name).mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be written ({error.strerror}).") from None
        return cls(folder)

    def complete_lists(self) -> list[Path]:
        """Lists that have not changed since the last poll, oldest first."""
        try:
            states = {path: (stat.st_mtime_ns, stat.st_size) for path, stat in self._lists()}
        except OSError:
            return []  # a network share may be away for a moment
        steady = [path for path, state in states.items() if self._seen.get(path) == state and state[1]]
        self._seen = states
        self._postponed = {path: looks - 1 for path, looks in self._postponed.items() if looks > 1}
        steady = [path for path in steady if path not in self._postponed]
        return sorted(steady, key=lambda path: (states[path][0], path.name))

    def postpone(self, path: Path, *, looks: int) -> None:
        """Skip `path` for that number of polls."""
        self._postponed[path] = looks

    def destination(self, name: str, *, folder: str) -> ListDestination:
        """The destination of a list called `name`, stable until the list is moved there.

        Two lists whose names differ only in their endings would share a worklist, so the later one gets a number.
        """
        target, number = self.folder / folder, 1
        stem = _stem(name)
        numbered = stem
        while any((target / f"{numbered}{ending}").exists() for ending in (*_ENDINGS, name[len(stem) :])):
            number += 1
            numbered = f"{stem} ({number})"
        return ListDestination(target, f"{numbered}{name[len(stem) :]}")

    def _lists(self) -> Iterator[tuple[Path, os.stat_result]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not _UNFINISHED.search(entry.name) and entry.is_file():
                    yield Path(entry.path), entry.stat()


def _stem(name: str) -> str:
    """A name without its ending, `.csv.gz` counted as one.

    >>> _stem("week.49.csv.gz"), _stem("week.49.csv"), _stem("notes")
    ('week.49', 'week.49', 'notes')
    """
    ending = next((ending for ending in _ENDINGS[1::-1] if name.lower().endswith(ending)), Path(name).suffix)
    return name[: len(name) - len(ending)]

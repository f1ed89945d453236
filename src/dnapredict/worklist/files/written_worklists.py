"""Digests of the worklists that a home wrote, so that one that somebody has changed since is not overwritten.

A clerk writes what became of a call into the worklist, and a weekly job writes the next one to the same name.
The home records a digest of each file that it writes. A file with another digest is renamed and kept.
"""

import datetime
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.readers.table_file import sha256

_FILE: Final = Path("lists") / "written.json"
# The number of outputs remembered; the oldest are forgotten.
_MOST_NAMES: Final = 1_000


@dataclass(frozen=True)
class WrittenWorklists:
    """The worklists that a home wrote: digests of path and content."""

    home: Path

    def keep_changed(self, out: Path) -> Path | None:
        """Keep the file at `out` under another name, unless it is unchanged since this home wrote it.

        Returns
        -------
        The other name, such as `worklist.kept-2026-11-20.xlsx` for a file that was changed on that
        day; None if nothing had to be kept.

        Raises
        ------
        OSError
            If it can be neither linked nor copied. It then stays in place.
        """
        digest = sha256(out)
        if self._noted().get(_name(out)) == digest:
            return None
        kept = _free_name(out, digest)
        if not kept.exists():
            _link(out, kept)
        return kept

    def note(self, out: Path) -> None:
        """Record the digest of the file that this home wrote at `out`.

        Raises
        ------
        StoreError
            If the home cannot be written.
        """
        noted = self._noted()
        noted.pop(_name(out), None)
        newest = list(noted.items())[-_MOST_NAMES + 1 :]
        write_private(self.home / _FILE, json.dumps(dict(newest) | {_name(out): sha256(out)}))

    def _noted(self) -> dict[str, str]:
        """Digests by name. If they cannot be read the result is empty, so that every file is kept."""
        try:
            digests = json.loads((self.home / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return digests if isinstance(digests, dict) else {}


def _name(out: Path) -> str:
    """A digest of the path, since a file name can contain a patient's name."""
    return hashlib.sha256(os.fsencode(out.resolve())).hexdigest()


def _free_name(out: Path, digest: str) -> Path:
    """A name that is unused, or already has the same content."""
    changed_on = datetime.datetime.fromtimestamp(out.stat().st_mtime, datetime.UTC).date()
    number, kept = 1, out.with_name(f"{out.stem}.kept-{changed_on}{out.suffix}")
    while kept.exists() and sha256(kept) != digest:
        number += 1
        kept = out.with_name(f"{out.stem}.kept-{changed_on}-{number}{out.suffix}")
    return kept


def _link(out: Path, kept: Path) -> None:
    """A hard link to the file; a copy if the file system has no hard links."""
    try:
        os.link(out, kept)
    except OSError:
        shutil.copy2(out, kept)

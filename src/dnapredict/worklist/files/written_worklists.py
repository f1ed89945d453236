"""Digests of the worklists that a home wrote, so that one that somebody has changed since is not overwritten.

A clerk writes what became of a call into the worklist, and a weekly job writes the next one to the same name.
The home notes a digest of each file it writes. A file that is not as noted is kept beside the new one.
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
# Names that are not written to any more need not be known for ever.
_MOST_NAMES: Final = 1_000


@dataclass(frozen=True)
class WrittenWorklists:
    """The worklists that one home wrote: a digest of each path, and of the content."""

    home: Path

    def keep_changed(self, out: Path) -> Path | None:
        """Keep the file at `out` under another name beside it, unless it is as this home wrote it.

        Returns
        -------
        The other name, such as `worklist.kept-2026-11-20.xlsx` for a file that was changed on that
        day; None if nothing had to be kept.

        Raises
        ------
        OSError
            If it can be neither linked nor copied. It then stays where it is.
        """
        digest = sha256(out)
        if self._noted().get(_name(out)) == digest:
            return None
        kept = _free_name(out, digest)
        if not kept.exists():
            _link(out, kept)
        return kept

    def note(self, out: Path) -> None:
        """Note that the file at `out` is as this home wrote it.

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
        """Digests by name. Where they cannot be read nothing is known, and every file is kept."""
        try:
            digests = json.loads((self.home / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return digests if isinstance(digests, dict) else {}


def _name(out: Path) -> str:
    """A digest of the path, since the name of a file can be that of a patient."""
    return hashlib.sha256(os.fsencode(out.resolve())).hexdigest()


def _free_name(out: Path, digest: str) -> Path:
    """A name that nothing has, or that the same content has already."""
    changed_on = datetime.datetime.fromtimestamp(out.stat().st_mtime, datetime.UTC).date()
    number, kept = 1, out.with_name(f"{out.stem}.kept-{changed_on}{out.suffix}")
    while kept.exists() and sha256(kept) != digest:
        number += 1
        kept = out.with_name(f"{out.stem}.kept-{changed_on}-{number}{out.suffix}")
    return kept


def _link(out: Path, kept: Path) -> None:
    """A second name for the same file; a copy where the file system has no such links."""
    try:
        os.link(out, kept)
    except OSError:
        shutil.copy2(out, kept)

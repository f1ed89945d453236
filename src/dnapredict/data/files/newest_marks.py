"""The newest state of a file that changes, kept in another folder of the home, so that an older copy is recognised.

An older copy of a file is valid in itself: its digest is right, and nothing in it says that entries are missing. So
each write is counted, in the file and again in `newest/NAME`. The file is written first: a process that is killed in
between leaves an older mark, which refuses nothing. Without a mark (an earlier release, or a person who accepts an
older copy and removes the mark) the file is believed, and the next write marks it again.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import Field

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError

FOLDER: Final = "newest"
"""The folder of a home with the marks. A backup copies it before the files that it is about."""

_ADVICE: Final = "Remove it: the next write makes another. Until then an older copy of the file would be believed."


class NewestState(StoredRecord):
    """The newest state of a file: its count of writes or entries, and what identifies the last one.

    Attributes
    ----------
    number
        Writes or entries, from 1.
    seal
        The seal of the entry `number`, or of a file that is replaced as a whole; "" for a file without seals.
    before
        The seal of a file as it was before it was replaced, while that is under way; "" otherwise.
    of
        Which database, without name or password, such as `db.example:5432/dnapredict`; "" for a file of the home.
    """

    number: int = Field(ge=0)
    seal: str = ""
    before: str = ""
    of: str = ""


@dataclass(frozen=True)
class NewestMark:
    """The mark of one file of a home.

    Attributes
    ----------
    name
        The mark's file name in `FOLDER`.
    what, loses
        The file in words, such as "the scoring log", and what is lost if an older copy is accepted, as a clause.
    """

    home: Path
    name: str
    what: str
    loses: str

    @property
    def path(self) -> Path:
        """The file of the mark."""
        return self.home / FOLDER / self.name

    def read(self) -> NewestState | None:
        """The newest state that was noted; None where there is no mark.

        Raises
        ------
        StoreError
            If the mark is damaged.
        """
        return read_record(self.path, NewestState, advice=_ADVICE)

    def note(self, state: NewestState, *, durable: bool = True) -> None:
        """Note the state of the file that was just written. Of several writers at once the last one may note an older.

        A mark that cannot be written fails nothing: the file is written, and an older mark refuses nothing.

        Parameters
        ----------
        durable
            Whether the mark survives a power cut; False for a file that is written for each request.
        """
        with contextlib.suppress(StoreError):
            write_private(self.path, state.model_dump_json(), durable=durable)

    def announce(self, state: NewestState) -> None:
        """Note the state that a file will have in a moment, with its seal `before`: both are the newest until then.

        For a file that holds no count, because the same content must give the same bytes.

        Raises
        ------
        StoreError
            If it cannot be written: then the file must not be replaced.
        """
        write_private(self.path, state.model_dump_json())

    def forget(self) -> None:
        """Remove the mark, before a new, empty file replaces a lost one on purpose."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def older(self, place: str, *, or_other: bool = False) -> StoreError:
        """The error about an older copy at `place`, a path or the address of a database."""
        what = "is an older copy, or goes on from one" if or_other else "is an older copy"
        return StoreError(
            f"{place}: {what}: {self.what} was written later in this home. Restore the newest backup; to go on with "
            f"this copy on purpose, remove {self.path} ({self.loses})."
        )

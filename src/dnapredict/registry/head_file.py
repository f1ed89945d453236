"""The head of the ledger of decisions, in a file beside what models were tested on.

The ledger and MLflow's database can be put back together from an older backup, which would bring a rejected version
into use again. `HOME/tested/decisions.head` is in neither.
"""

from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import private_folder, write_private
from dnapredict.errors import StoreError
from dnapredict.registry.holdout_store import FOLDER

_NAME: Final = "decisions.head"


class HeadFile:
    """The head of the ledger (`decision_ledger.HeadRecord`) as a file."""

    def __init__(self, home: Path) -> None:
        """Use the file of that home; nothing is read yet."""
        self._path = home / FOLDER / _NAME

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._path)

    def read(self) -> str:
        """The head that was written last; "" where none was, as in a home of an earlier release."""
        try:
            return self._path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{self._path}: cannot be read ({type(error).__name__}).") from None

    def write(self, head: str) -> None:
        """Record the head."""
        try:
            private_folder(self._path.parent)
            write_private(self._path, head + "\n")
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written ({error.strerror}).") from None

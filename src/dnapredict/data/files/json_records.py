"""Small records that a home keeps as JSON, one a file."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.errors import StoreError

_Record = TypeVar("_Record", bound=BaseModel)


class StoredRecord(BaseModel):
    """A record that never changes, refuses unknown keys, and whose errors quote no value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def read_record(path: Path, kind: type[_Record], *, advice: str) -> _Record | None:
    """The record in the file at `path`; None if there is no such file.

    Parameters
    ----------
    advice
        What to do about a damaged file: the end of the message.

    Raises
    ------
    StoreError
        If the file cannot be read or is damaged. The message holds nothing of its content.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({type(error).__name__}).") from None
    except ValidationError:
        raise StoreError(f"{path}: is damaged. {advice}") from None

"""Files that are written whole or not at all: a reader never meets half of one."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dnapredict.errors import StoreError

__all__ = ["whole"]


@contextlib.contextmanager
def whole(out: Path, *, place: Path | None = None) -> Iterator[Path]:
    """A draft beside `out` that takes its place when it is whole, and is removed when it is not.

    A process that is killed leaves its draft; one in `place`, a folder of the same disk, is found again.

    Raises
    ------
    StoreError
        If the place cannot be written; an earlier file of that name stays.
    """
    out = out.resolve()
    draft = Path()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{out.name}-", suffix=out.suffix, dir=place or out.parent)
        os.close(handle)
        draft = Path(name)
        yield draft
        os.replace(draft, out)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror or type(error).__name__}).") from None
    finally:
        if draft.name:
            draft.unlink(missing_ok=True)

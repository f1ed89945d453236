"""Files that are written whole or not at all, never over what they are made from, and privately in a home."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError, UsageError

PRIVATE_FOLDER: Final = 0o700
PRIVATE_FILE: Final = 0o600


@contextlib.contextmanager
def whole(
    out: Path, *, place: Path | None = None, before_replacing: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """A draft beside `out` that takes its place when it is whole, and is removed when it is not.

    A process that is killed leaves its draft; one in `place`, a folder of the same disk, is found again.
    `before_replacing` is called with `out` once the draft is whole, if a file of that name is there.

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
        if out.exists():
            before_replacing(out)
        os.replace(draft, out)
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror or type(error).__name__}).") from None
    finally:
        if draft.name:
            draft.unlink(missing_ok=True)


def require_apart(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Refuse to write to a file that is read, whichever way it is named, or over a folder that holds it.

    Links, relative paths and the other case of a name on a file system that ignores case are
    recognised, because the file itself is compared and not its name.

    Parameters
    ----------
    outputs, inputs
        Paths by the word that the command line has for them, such as "--out"; None is not given.

    Raises
    ------
    UsageError
    """
    for option, out in outputs.items():
        for name, path in inputs.items():
            if out is not None and path is not None and _holds(out, path):
                raise UsageError(
                    f"{option} {out}: would overwrite {name} ({path}), which is read. Give the output another name."
                )


def _holds(out: Path, path: Path) -> bool:
    """Whether `out` is the file `path`, or a folder that it is in."""
    try:
        if out.samefile(path):
            return True
        return out.is_dir() and path.resolve().is_relative_to(out.resolve())
    except OSError:
        # One of the two is not there. An output that is not there yet overwrites nothing.
        return out.absolute() == path.absolute()


def private_folder(folder: Path) -> Path:
    """Make `folder` and the folders above it that are missing, for their owner alone; return it.

    A folder that is there already stays as it is: a trust may share a home within a group.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))
    return folder


def close_to_others(home: Path) -> None:
    """Take from everybody but the owner and the group what they may do in a home that is there already.

    Releases before made homes as the umask of the shell said, mostly open to every account of the
    machine. What the group may do is left: a trust may have given it on purpose. Nothing happens where
    the home is another account's.
    """
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(home.stat().st_mode)
        if mode & stat.S_IRWXO:
            home.chmod(mode & ~stat.S_IRWXO)

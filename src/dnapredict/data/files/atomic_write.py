"""Write files and folders whole or not at all, and never over the files that they are made from.

There is one way: a draft with a random name on the same disk, flushed to the disk, then renamed. A reader
never meets half a file, and a process that is killed leaves at most a draft (`data.files.drafts`), which the next
writing of the same output removes.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from dnapredict.data.files.drafts import (
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    drafted_file,
    drafted_folder,
    moved_away,
    remove_abandoned_drafts,
)
from dnapredict.data.files.operating_system import flush
from dnapredict.errors import StoreError, UsageError

SHARED_FOLDER: Final = 0o755
SHARED_FILE: Final = 0o666
"""Less what the umask takes away: for files that other people are meant to read, such as a report."""


@contextlib.contextmanager
def write_atomically(
    path: Path,
    *,
    draft_folder: Path | None = None,
    before_publishing: Callable[[Path], None] | None = None,
    mode: int = PRIVATE_FILE,
    durable: bool = True,
) -> Iterator[Path]:
    """Yield a draft file that replaces `path` when the block ends, and is removed if the block raises.

    Parameters
    ----------
    draft_folder
        A folder on the same disk for the draft, where nobody sees it who looks for `path`;
        otherwise the folder of `path`.
    before_publishing
        Called with the draft once it is complete, before it replaces `path`.
    mode
        Permissions of the file. Missing folders are private where the file is.
    durable
        Whether the file survives a power cut: False for one that is worth less than the wait for the disk.

    Raises
    ------
    StoreError
        If the file cannot be written; an earlier file of that name stays.
    """
    path = path.resolve()
    with _draft(path, draft_folder or path.parent, mode=mode, sweep=durable) as draft:
        yield draft
        if durable:
            flush(draft)
        if before_publishing is not None:
            before_publishing(draft)
        os.replace(draft, path)
        if durable:
            flush(path.parent)


def write_private(path: Path, text: str, *, durable: bool = True) -> None:
    """Write `text` to `path` as UTF-8; only its owner may read or write the file. `durable` as in `write_atomically`.

    Raises
    ------
    StoreError
        If it cannot be written; an earlier file of that name stays.
    """
    with write_atomically(path, durable=durable) as draft:
        draft.write_bytes(text.encode())


def write_once(path: Path, text: str) -> None:
    """Write `text` to `path` unless a file is there, for its owner alone.

    Where several processes do so at the same time, all find the file of the first.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    if path.exists():
        return
    with _draft(path, path.parent, mode=PRIVATE_FILE) as draft:
        draft.write_bytes(text.encode())
        flush(draft)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # a rename would replace the file of another process


@contextlib.contextmanager
def _draft(path: Path, folder: Path, *, mode: int, sweep: bool = True) -> Iterator[Path]:
    """A draft of `path` in `folder`; with `sweep`, those that killed processes have left are removed first."""
    try:
        _make_parents(path, private=mode == PRIVATE_FILE)
        if sweep:
            remove_abandoned_drafts(folder, of=path.name)
        with drafted_file(folder, name=path.name, mode=mode) as draft:
            yield draft
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or type(error).__name__}).") from None


def _make_parents(path: Path, *, private: bool) -> None:
    if private:
        private_folder(path.parent)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def create_folder(path: Path, *, mode: int = PRIVATE_FOLDER, replace: bool = False) -> Iterator[Path]:
    """Yield a draft folder that becomes `path` when the block ends, and is removed if the block raises.

    Parameters
    ----------
    mode
        Permissions of the folder. In one for its owner alone the files are so too: a copy of them may be elsewhere.
    replace
        Remove an earlier folder at `path`, once the draft is complete.

    Raises
    ------
    OSError
        If it cannot be written, or `path` is a folder that holds something and is not to be replaced.
    """
    remove_abandoned_drafts(path.parent, of=path.name)
    with drafted_folder(path.parent, name=path.name) as draft:
        yield draft
        for each in draft.rglob("*"):
            if mode == PRIVATE_FOLDER:
                each.chmod(PRIVATE_FOLDER if each.is_dir() else PRIVATE_FILE)
            flush(each)
        draft.chmod(mode)
        # A folder that holds something cannot be replaced by a rename, so it is moved away first.
        with moved_away(path) if replace and path.exists() else contextlib.nullcontext():
            draft.rename(path)
        flush(path.parent)


def private_folder(folder: Path) -> Path:
    """Create `folder` and the missing folders above it, for their owner alone; return it.

    A folder that exists stays as it is: a trust may share a home within a group.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))
    return folder


def create_private_file(path: Path) -> None:
    """Create an empty file at `path` for its owner alone, unless there is one.

    A library that is then given the path, such as SQLite, keeps its permissions. A file that exists is not
    opened: closing it would drop the locks that SQLite holds on it in this process.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    private_folder(path.parent)
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE))


def close_to_others(home: Path) -> None:
    """Remove the permissions of everybody but owner and group from an existing home.

    Earlier releases made homes as the umask of the shell said, mostly open to every account of the
    machine. The group's permissions stay: a trust may have given them on purpose. Nothing happens where
    the home belongs to another account.
    """
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(home.stat().st_mode)
        if mode & stat.S_IRWXO:
            home.chmod(mode & ~stat.S_IRWXO)


def require_apart(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    """Refuse an output that is one of the inputs, under whatever name, or a folder that holds one.

    The files are compared and not their names, so that links, relative paths and another case of letters
    on a file system that ignores case are recognised.

    Parameters
    ----------
    outputs, inputs
        Paths by their names on the command line, such as "--out"; None where it was not given.

    Raises
    ------
    UsageError
    """
    for option, out in outputs.items():
        for name, path in inputs.items():
            if out is not None and path is not None and _overwrites(out, path):
                raise UsageError(
                    f"{option} {out}: would overwrite {name} ({path}), which is read. Give the output another name."
                )


def _overwrites(out: Path, path: Path) -> bool:
    try:
        if out.samefile(path):
            return True
        return out.is_dir() and path.resolve().is_relative_to(out.resolve())
    except OSError:
        # One of the two does not exist. An output that does not exist yet overwrites nothing.
        return out.absolute() == path.absolute()

"""Checks of the files of a home as such: kinds, owners, permissions, and what an interrupted write has left."""

import contextlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from dnapredict.data.files.drafts import DRAFT, REPLACED, is_abandoned, is_in_use
from dnapredict.data.files.operating_system import has_permissions
from dnapredict.data.files.temporary_folder import PREFIX as TEMPORARY
from dnapredict.service.home_checks.home_files import unfollowed_links, walk
from dnapredict.service.home_checks.home_findings import REPAIR, HomeFinding
from dnapredict.worklist.follow_up.outcome_store import FOLDER as OUTCOMES

# A draft of a folder, or a folder that was being replaced, of earlier releases; a history of an early one.
_FOLDER_BEFORE: Final = re.compile(r"\.(?P<name>.+?)-(?P<old>old-)?[a-z0-9_]{8}")
# The file into which MLflow copies a file of a run.
_OF_MLFLOW: Final = re.compile(r"\.artifact\.uploading\.[a-z0-9_]{8}")
_DRAFT_BEFORE: Final = re.compile(r"draft-.+")
# What is about patients or keeps the home safe. Models, runs, histories and reports are private because the home is,
# and their files have the permissions that MLflow, DuckDB or a person gave them.
_PRIVATE: Final = (
    *("decisions", "keys", "lists", "mappings", "models", "newest", "outcomes", "output-folders", "published"),
    *("revoked-keys", "sign-in"),
    *("tested", "trial", "uploads"),
)
_SECRET_ENDINGS: Final = (".secret", ".key")
_OF_OTHERS: Final = stat.S_IRWXO
_OF_ALL_BUT_OWNER: Final = stat.S_IRWXG | stat.S_IRWXO


def special_files(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Broken links, and files that are neither regular nor folders: reading a named pipe would wait for ever."""
    for path in _everything(home):
        try:
            mode = path.stat().st_mode
        except OSError as error:
            if not isinstance(error, FileNotFoundError) or path.is_symlink():
                yield HomeFinding(
                    _name(path, home), "leads nowhere or cannot be read.", "Remove it, or restore its target."
                )
            continue
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            yield HomeFinding(_name(path, home), "is neither a file nor a folder.", "Remove it.")


def links(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Links to folders whose files no check and no backup sees."""
    for path in unfollowed_links(home):
        problem = "is a link to a folder, which is neither checked nor backed up."
        advice = "Put the folder in its place. Only a folder directly in the home may be a link, to a place outside."
        yield HomeFinding(_name(path, home), problem, advice)


def permissions(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Files that others may read, that their owner may not, or that belong to another account than the home."""
    if not has_permissions():
        return
    owner = home.stat().st_uid
    for path in (home, *_everything(home)):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            state = path.lstat()
            if not stat.S_ISLNK(state.st_mode):
                yield from _permission_findings(path, state, home, owner)


def _permission_findings(path: Path, state: os.stat_result, home: Path, owner: int) -> Iterator[HomeFinding]:
    name, mode = _name(path, home), stat.S_IMODE(state.st_mode)
    if state.st_uid != owner:
        advice = f"Give it to the account of the home: chown {owner} '{name}', or run dnapredict as that account."
        yield HomeFinding(name, "belongs to another account than the home.", advice)
    needed = stat.S_IRWXU if stat.S_ISDIR(state.st_mode) else stat.S_IRUSR | stat.S_IWUSR
    if mode & needed != needed:
        repair = partial(_change_mode, path, add=needed)
        yield HomeFinding(name, "may not be read or written by its owner.", REPAIR, repair)
    if excess := mode & _refused_mode(path, state, home):
        repair = partial(_change_mode, path, remove=excess)
        whom = "group or others" if excess & stat.S_IRWXG else "every account of this machine"
        yield HomeFinding(name, f"is open to {whom} ({mode:04o}).", REPAIR, repair)


def _refused_mode(path: Path, state: os.stat_result, home: Path) -> int:
    """The permissions that a file must not have: a secret is its owner's alone, other files are closed to others."""
    if path == home:
        return _OF_OTHERS
    parts = path.relative_to(home).parts
    if path.name.endswith(_SECRET_ENDINGS) or parts[0] == "keys":
        return _OF_ALL_BUT_OWNER
    is_file = stat.S_ISREG(state.st_mode)
    is_private = parts[0] in _PRIVATE or (len(parts) == 1 and is_file)
    is_lock = is_file and not state.st_size
    return _OF_OTHERS if is_private and not is_lock else 0


def _change_mode(path: Path, *, add: int = 0, remove: int = 0) -> None:
    path.chmod((stat.S_IMODE(path.stat().st_mode) | add) & ~remove)


def leftovers(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Drafts that a killed process has left, once they are an hour old."""
    for path in _everything(home, into_drafts=False):
        replaced = _replaced(path) if path.is_dir() and not path.is_symlink() else None
        if replaced is not None:
            yield from _replaced_folder(path, replaced, home)
        elif _is_draft(path) and _is_abandoned(path):
            repair = partial(_remove, path)
            yield HomeFinding(_name(path, home), "is left of a write that was interrupted.", REPAIR, repair)


def remove_leftovers(home: Path) -> int:
    """Remove the drafts that `leftovers` names, and return the number of those that are mended.

    Raises
    ------
    OSError
        If one cannot be removed.
    """
    repairs = [finding.repair for finding in leftovers(home) if finding.repair is not None]
    for repair in repairs:
        repair()
    return len(repairs)


def _replaced_folder(path: Path, wanted: Path, home: Path) -> Iterator[HomeFinding]:
    """A folder that was moved away to be replaced: where nothing has replaced it, it is the only one."""
    if not _is_abandoned(path):
        return
    before = path / wanted.name
    if before.exists() and not wanted.exists():
        repair = partial(_put_back, before, wanted)
        problem = "was being replaced when the process was killed, and is missing; the earlier one is still there."
        yield HomeFinding(_name(wanted, home), problem, REPAIR, repair)
        return
    yield HomeFinding(_name(path, home), "is left of a write that was interrupted.", REPAIR, partial(_remove, path))


def _replaced(path: Path) -> Path | None:
    """The folder that was moved into `path`; None where that is another folder."""
    if found := REPLACED.fullmatch(path.name):
        return path.with_name(found["name"])
    found = _FOLDER_BEFORE.fullmatch(path.name)
    return path.with_name(found["name"]) if found is not None and found["old"] else None


def _put_back(before: Path, wanted: Path) -> None:
    before.rename(wanted)
    before.parent.rmdir()


def _is_draft(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        in_history = path.parent.name == "history" and _DRAFT_BEFORE.fullmatch(path.name) is not None
        of_outcomes = path.parent.name == OUTCOMES and path.name.startswith(TEMPORARY)
        if in_history or of_outcomes or REPLACED.fullmatch(path.name) or _FOLDER_BEFORE.fullmatch(path.name):
            return True
    if _OF_MLFLOW.fullmatch(path.name):
        return True
    return DRAFT.fullmatch(path.name) is not None  # or what SQLite keeps next to one


def _is_abandoned(path: Path) -> bool:
    """Whether nothing in it was written to for an hour and no process holds it."""
    newest, is_held = 0.0, False
    with contextlib.suppress(OSError):
        is_held = is_in_use(path)
    with contextlib.suppress(OSError):
        newest = max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    return not is_held and is_abandoned(newest)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _everything(home: Path, *, into_drafts: bool = True) -> Iterator[Path]:
    """All files and folders of a home, in order."""
    for top, folders, files in walk(home):
        yield from (top / name for name in sorted([*folders, *files]))
        if not into_drafts:
            folders[:] = [name for name in folders if not _is_draft(top / name)]


def _name(path: Path, home: Path) -> str:
    return "" if path == home else path.relative_to(home).as_posix()

"""The files and folders of a home. A folder directly in it may be a link, as where `lists` is on another disk."""

import os
from collections.abc import Iterator
from pathlib import Path


def walk(home: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder with its sorted folders and files, as `os.walk`, from which folders to enter may be removed."""
    for top in (home, *linked_folders(home)):
        for folder, folders, files in os.walk(top):
            folders.sort()
            yield Path(folder), folders, sorted(files)


def unfollowed_links(home: Path) -> Iterator[Path]:
    """Links to folders that `walk` does not enter: deeper ones, and those that lead back into the home."""
    linked = set(linked_folders(home))
    for folder, folders, _ in walk(home):
        yield from (path for name in folders if (path := folder / name).is_symlink() and path not in linked)


def linked_folders(home: Path) -> Iterator[Path]:
    """The links directly in a home to folders outside it."""
    whole = home.resolve()
    for path in sorted(home.iterdir()):
        if path.is_symlink() and path.is_dir() and not path.name.startswith("."):
            target = path.resolve()
            if not (target.is_relative_to(whole) or whole.is_relative_to(target)):
                yield path

"""The home: the folder of models, runs, history and lists.

Apart from `loading`, whose library takes a twentieth of a second to import: `--help` needs the home's name alone.
"""

import os
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError

HOME_VARIABLE: Final = "DNAPREDICT_HOME"
DEFAULT_HOME: Final = Path(".dnapredict")
# Each home holds at least one of these, from its first command on.
_OF_A_HOME: Final = (
    *("clock.json", "contacts.key", "decisions", "history", "history.json", "keys", "keys-were-made", "lists"),
    *("mappings", "mlflow.db", "monitor", "newest", "outcomes", "published", "scoring-log.db", "scoring-log.db.made"),
    *("scoring-log.secret", "sign-in", "tested", "tested.secret", "trial"),
)


def home_folder(home: Path | None = None) -> Path:
    """The absolute path of `home`, or of the one that `DNAPREDICT_HOME` names, or of `.dnapredict` here.

    The folder need not exist yet.

    Raises
    ------
    StoreError
        If it is a file, or a link that leads back to itself; checked before any work is done.
    """
    given = home or Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
    try:
        folder = given.expanduser().resolve()
    except (OSError, RuntimeError) as error:
        raise StoreError(f"{given}: cannot be used as a home ({type(error).__name__}).") from None
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder}: is a file, and a home is a folder. Name another with --home.")
    return folder


def require_home(home: Path) -> None:
    """Refuse a folder that is no home, for verbs that would find nothing wrong with it.

    A disk that is not mounted leaves an empty folder: a nightly check or backup of it must not succeed.

    Raises
    ------
    StoreError
        If there is no such folder, or it holds nothing that a home holds.
    """
    if not home.is_dir():
        raise StoreError(f"{home}: there is no home. 'dnapredict train EXTRACT' makes one; name another with --home.")
    if not any((home / name).exists() or (home / name).is_symlink() for name in _OF_A_HOME):
        raise StoreError(
            f"{home}: this folder is no home: it holds nothing that dnapredict has written. If a disk belongs there, "
            "mount it; otherwise name another with --home."
        )

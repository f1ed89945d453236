"""The home: the folder of models, runs, history and lists.

Apart from `loading`, whose library takes a twentieth of a second to import: `--help` needs the home's name alone.
"""

import os
from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError

HOME_VARIABLE: Final = "DNAPREDICT_HOME"
DEFAULT_HOME: Final = Path(".dnapredict")


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

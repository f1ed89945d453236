"""What a person shows to sign: a personal key or an OpenID token, from a file, the environment or the keyboard.

Never from the command line, which others on the machine can read and the shell keeps.
"""

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnapredict.errors import UsageError

if TYPE_CHECKING:
    from dnapredict.fairness.signatories import Proof

VARIABLE: Final = "DNAPREDICT_SIGNING_KEY"
_LONGEST: Final = 16_384
# A token of OpenID Connect is a signed JSON object: three parts in base64, the first of which begins so.
_TOKEN_BEGINS: Final = "eyJ"  # noqa: S105 - not a secret


def proof_of(file: Path | None, settings: Path | None) -> "Proof":
    """The key or token in `file`, in the environment, or typed unseen.

    A token is verified with the issuer in the service's `settings`.

    Raises
    ------
    UsageError
        If the file cannot be read, or the token is not valid.
    """
    from dnapredict.fairness.signatories import NO_PROOF, Proof

    shown = _read(file) if file is not None else os.environ.get(VARIABLE, "") or _typed()
    if not shown.strip():
        return NO_PROOF
    if not shown.startswith(_TOKEN_BEGINS):
        return Proof(key=shown.strip())
    return Proof(openid_subject=_subject(shown.strip(), settings))


def _read(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_LONGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--signing-key {file}: cannot be read ({type(error).__name__}).") from None


def _typed() -> str:
    return getpass.getpass("Your signing key: ") if sys.stdin is not None and sys.stdin.isatty() else ""


def _subject(token: str, settings: Path | None) -> str:
    from dnapredict.config.service_config import served_config
    from dnapredict.service.auth.openid import Issuer

    config = served_config(settings).openid
    if config is None:
        raise UsageError("An OpenID token was given, and the service's settings name no issuer under [openid].")
    holder = Issuer(config).holder(token)
    if holder is None:
        raise UsageError("The OpenID token is not valid: it is another issuer's, for another audience, or has expired.")
    return holder.key_id.removeprefix("openid:")

"""Keyed hashes: what the scoring log holds instead of an appointment's or a patient's number."""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

from dnapredict.lists.private import written_once

__all__ = ["Hashes"]

_SECRET: Final = "scoring-log.secret"  # noqa: S105 - the name of a file


class Hashes:
    """Hashes with a home's secret. Hosts that write one log need the same secret in their homes."""

    def __init__(self, home: Path) -> None:
        """Read nothing yet; the first hash makes the secret."""
        self._place = home / _SECRET
        self._secret = b""

    def of(self, kind: str, value: str) -> str:
        """The hash of a value of that kind: keyed, since ten digits can be found by trying them all.

        Raises
        ------
        StoreError
            If the secret can be neither made nor read.
        """
        self._secret = self._secret or written_once(self._place, secrets.token_hex(32)).encode()
        return hmac.new(self._secret, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

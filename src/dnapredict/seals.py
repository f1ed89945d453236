"""Seals that chain the entries of a record, so that a changed, removed or inserted entry is found.

The scoring log and the ledger of decisions are chained alike.
"""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["FIRST_SEAL", "seal_of"]

FIRST_SEAL: Final = "0" * 64
"""Stands before the first entry."""


def seal_of(values: Sequence[Any], *, before: str, key: bytes = b"") -> str:
    """The seal of an entry with these `values`, SHA-256 in hexadecimal.

    Parameters
    ----------
    before
        The seal of the entry before it, or `FIRST_SEAL`.
    key
        With a key the seal is an HMAC, which nobody can make without the key; without one anybody can
        check the chain.
    """
    text = (before + json.dumps(values, allow_nan=False, sort_keys=True)).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest() if key else hashlib.sha256(text).hexdigest()

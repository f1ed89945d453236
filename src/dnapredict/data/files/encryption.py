"""Bytes encrypted with AES-256-GCM: a random nonce of 12 bytes, then the ciphertext with its tag (NIST SP 800-38D)."""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12


class DecryptionError(ValueError):
    """The bytes are damaged, or belong to another key or to another file."""


def encrypt(plain: bytes, key: bytes, *, bound_to: bytes) -> bytes:
    """`plain` encrypted under a `key` of 32 bytes; only with the same `bound_to` can it be decrypted."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to)


def decrypt(sealed: bytes, key: bytes, *, bound_to: bytes) -> bytes:
    """What `encrypt` encrypted.

    >>> sealed = encrypt(b"plain", bytes(32), bound_to=b"a list")
    >>> decrypt(sealed, bytes(32), bound_to=b"a list")
    b'plain'

    Raises
    ------
    DecryptionError
        If `sealed` was changed, or key or `bound_to` are not those of the encryption.
    ValueError
        If the key does not have 32 bytes.
    """
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound_to)
    except InvalidTag:
        raise DecryptionError("cannot be decrypted") from None

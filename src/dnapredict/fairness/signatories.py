"""Who may sign a report, and how they prove it: a personal key, or a token of the trust's OpenID issuer.

A key is 256 random bits, so that a plain SHA-256 of it cannot be reversed by guessing and may stand in the policy.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dnapredict.config.fairness_policy import Signatory
from dnapredict.errors import UsageError

_PREFIX: Final = "dnasign_"
_KEY: Final = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{43}}")
_WORD: Final = re.compile(r"[^\W\d_][\w.'’-]*")


@dataclass(frozen=True)
class Proof:
    """What a person shows to sign: a personal key, or the subject of an OpenID token that was verified."""

    key: str = field(default="", repr=False)
    openid_subject: str = field(default="", repr=False)

    @property
    def kind(self) -> str:
        """ "key", "openid", or "" for no proof."""
        return "key" if self.key else "openid" if self.openid_subject else ""


NO_PROOF: Final = Proof()


def make_key() -> str:
    """A new personal key. It is shown once; the policy holds its `key_sha256`."""
    return _PREFIX + secrets.token_urlsafe(32)


def key_sha256(key: str) -> str:
    """SHA-256 of a personal key, for `[[signatories]]`.

    Raises
    ------
    UsageError
        If it is no personal key. The message does not quote it.
    """
    if not _KEY.fullmatch(key.strip()):
        raise UsageError(f"This is no personal key: one begins with {_PREFIX} and has 51 characters.")
    return hashlib.sha256(key.strip().encode()).hexdigest()


def require_person(name: str) -> None:
    """Refuse what is no name of a person: where nobody is named in the policy, this is all that can be asked.

    >>> require_person("A. Okafor")
    >>> require_person("xx")
    Traceback (most recent call last):
    dnapredict.errors.UsageError: 'xx' is no name of a person: give first and last name, such as "A. Okafor".

    Raises
    ------
    UsageError
    """
    words = _WORD.findall(name)
    if len({word.casefold() for word in words}) < 2 or max(map(len, words)) < 2:
        raise UsageError(f"'{name}' is no name of a person: give first and last name, such as \"A. Okafor\".")


def require_signatory(name: str, proof: Proof, *, signatories: Sequence[Signatory]) -> Signatory | None:
    """The signatory of that name, whose key or token this is; None where the policy names nobody.

    Raises
    ------
    UsageError
        If nobody of that name may sign, or the key or token is not theirs.
    """
    if not signatories:
        require_person(name)
        return None
    named = next((each for each in signatories if _folded(each.name) == _folded(name)), None)
    if named is None:
        who = ", ".join(f"{each.name} ({each.role})" for each in signatories)
        raise UsageError(f"'{name}' is no signatory of the policy. Those who may sign: {who}.")
    if not _proves(proof, named):
        raise UsageError(
            f"{named.name}: sign with your own key, typed when you are asked or read from --signing-key FILE or "
            "DNAPREDICT_SIGNING_KEY. The one given is not yours, or none was given."
        )
    return named


def _proves(proof: Proof, signatory: Signatory) -> bool:
    if signatory.key_sha256 and proof.key:
        return hmac.compare_digest(key_sha256(proof.key), signatory.key_sha256)
    return bool(signatory.openid_subject) and hmac.compare_digest(
        proof.openid_subject.encode(), signatory.openid_subject.encode()
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())

"""Keyed hashes: what the scoring log holds instead of an appointment's or a patient's number."""

from pathlib import Path
from typing import Final

from dnapredict.errors import StoreError
from dnapredict.lists.secret_files import keyed_hash, read_or_make
from dnapredict.service.store import ScoringLog

__all__ = ["Hashes"]

_SECRET: Final = "scoring-log.secret"  # noqa: S105 - the name of a file


class Hashes:
    """Hashes with a home's secret. Hosts that write one log need the same secret in their homes."""

    def __init__(self, home: Path, log: ScoringLog | None = None) -> None:
        """Read nothing yet; the first hash makes the secret, unless `log` has entries hashed with one."""
        self._place = home / _SECRET
        self._log = log
        self._secret = b""

    def of(self, kind: str, value: str) -> str:
        """The hash of a value of that kind: keyed, since ten digits can be found by trying them all.

        Raises
        ------
        StoreError
            If the secret can be neither made nor read, is damaged, or is not the one that the log's
            entries were hashed with.
        """
        self._secret = self._secret or self._checked()
        return keyed_hash(self._secret, kind, value)

    def unchecked(self, kind: str, value: str) -> str:
        """The same with the secret that is there, while the log cannot be asked which one is right.

        Raises
        ------
        StoreError
            If there is none, or it is damaged.
        """
        if not self._place.exists():
            raise StoreError(
                f"{self._place}: is missing, and cannot be made while the scoring log is unreadable."
            )
        return keyed_hash(read_or_make(self._place), kind, value)

    def _checked(self) -> bytes:
        if self._log is not None:
            self._log.require_secret(self._check_value, path=self._place)
        return read_or_make(self._place)

    def _check_value(self, has_entries: bool) -> str:
        used_for = "the entries of the scoring log were hashed with it" if has_entries else ""
        return keyed_hash(read_or_make(self._place, used_for=used_for), "secret", "check")

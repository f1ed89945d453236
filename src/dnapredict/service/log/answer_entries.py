"""Entries of the scoring log about answers, with keyed hashes instead of identifiers."""

import datetime
import json
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dnapredict.data.files.digests import keyed_hash, read_or_make
from dnapredict.errors import StoreError
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.scorer_protocol import ScorerProtocol

_SECRET: Final = "scoring-log.secret"  # noqa: S105 - the name of a file


class Hashes:
    """Keyed hashes with a home's secret. Hosts that share a log need the same secret in their homes."""

    def __init__(self, home: Path, log: ScoringLog | None = None) -> None:
        """The first hash creates the secret, unless `log` already has entries that were hashed with one."""
        self._path = home / _SECRET
        self._log = log
        self._secret = b""

    def of(self, kind: str, value: str) -> str:
        """The keyed hash of a value of that kind; a plain hash of a ten-digit number could be guessed.

        Raises
        ------
        StoreError
            If the secret can be neither created nor read, is damaged, or is not the one of the log's entries.
        """
        self._secret = self._secret or self._checked()
        return keyed_hash(self._secret, kind, value)

    def unchecked(self, kind: str, value: str) -> str:
        """The same, with the secret unchecked because the log cannot be read.

        Raises
        ------
        StoreError
            If there is none, or it is damaged.
        """
        if not self._path.exists():
            raise StoreError(f"{self._path}: is missing, and cannot be made while the scoring log is unreadable.")
        return keyed_hash(read_or_make(self._path), kind, value)

    def _checked(self) -> bytes:
        if self._log is not None:
            self._log.require_secret(self._check_value, path=self._path)
        return read_or_make(self._path)

    def _check_value(self, has_entries: bool) -> str:
        used_for = "the entries of the scoring log were hashed with it" if has_entries else ""
        return keyed_hash(read_or_make(self._path, used_for=used_for), "secret", "check")


# The key id of the current request; middleware sets it, and worker threads inherit the context.
REQUESTED_BY: ContextVar[str] = ContextVar("REQUESTED_BY", default="this machine")
_REASONS: Final = (1, 2, 3)
# Made once: `json.dumps` makes one for each row.
_INPUTS: Final = json.JSONEncoder(sort_keys=True)


class AnswerLog:
    """Turns answers into rows of the scoring log."""

    def __init__(self, log: ScoringLog, hashes: Hashes) -> None:
        """Write to `log`, and hash with `hashes`."""
        self._log = log
        self._hashes = hashes

    def note(
        self,
        worklist: pa.Table,
        *,
        rows: Mapping[int, Mapping[str, Any]],
        scorer: ScorerProtocol,
        at: datetime.datetime,
        list_id: str | None = None,
    ) -> str:
        """Log answers before they are sent, and return the id of the request in the log.

        Parameters
        ----------
        worklist
            The answers, each with its `row_number`.
        rows
            The rows of the request, by row number.
        list_id
            The id of the kept list, if the answers are kept as one.

        Raises
        ------
        StoreError
            If the log cannot be written: then no answer may be sent.
        """
        request = secrets.token_hex(8)
        always = {
            "at": at.isoformat(),
            "asked_by": REQUESTED_BY.get(),
            "request": request,
            "model_version": scorer.model_version,
            "model_sha256": scorer.stored.digest,
            "list": list_id,
        }
        self._log.write([always | self._entry(line, rows[line["row_number"]]) for line in worklist.to_pylist()])
        return request

    def _entry(self, line: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        patient = row.get("patient_id")
        # The trimmed and mapped number of the worklist, by which a later action is recorded too.
        appointment = line["appointment_id"] or row.get("appointment_id")
        factors = [line[f"reason_factor_{number}"] for number in _REASONS]
        return {
            "appointment": self._hashes.of("appointment", str(appointment)),
            "patient": None if patient is None else self._hashes.of("patient", str(patient)),
            "inputs": self._hashes.of("inputs", _INPUTS.encode(row)),
            "reasons": " ".join(factor for factor in factors if factor),
            **{name: line[name] for name in ("probability", "band", "rank", "selected", "action", "error")},
        }

"""What the scoring log is told of an answer: no name and no number of a patient, only keyed hashes."""

import datetime
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dnapredict.lists.private import written_once
from dnapredict.service.champion import Scoring
from dnapredict.service.store import ScoringLog

__all__ = ["ASKED_BY", "Logbook"]

# The id of the key that a request came with; middleware sets it, and a worker's thread inherits it.
ASKED_BY: ContextVar[str] = ContextVar("ASKED_BY", default="this machine")
_SECRET: Final = "scoring-log.secret"  # noqa: S105 - the name of a file
_REASONS: Final = (1, 2, 3)


class Logbook:
    """Turns answers into rows of the scoring log."""

    def __init__(self, home: Path) -> None:
        """Open nothing yet."""
        self._home = home
        self._log = ScoringLog(home)
        self._secret = b""

    def note(
        self,
        worklist: pa.Table,
        *,
        asked: Mapping[int, Mapping[str, Any]],
        scorer: Scoring,
        at: datetime.datetime,
    ) -> str:
        """Write down what is about to be answered, and return the request's id in the log.

        Parameters
        ----------
        worklist
            The answers, each with its `row_number`.
        asked
            What was asked, by row number.

        Raises
        ------
        StoreError
            If the log cannot be written: then there must be no answer.
        """
        request = secrets.token_hex(8)
        always = {
            "at": at.isoformat(),
            "asked_by": ASKED_BY.get(),
            "request": request,
            "model_version": scorer.model_version,
            "model_sha256": scorer.stored.digest,
        }
        self._log.write(
            [always | self._row(line, asked[line["row_number"]]) for line in worklist.to_pylist()]
        )
        return request

    def _row(self, line: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        patient = asked.get("patient_id")
        factors = [line[f"reason_factor_{place}"] for place in _REASONS]
        return {
            "appointment": self._hashed("appointment", str(asked.get("appointment_id"))),
            "patient": None if patient is None else self._hashed("patient", str(patient)),
            "inputs": self._hashed("inputs", json.dumps(asked, sort_keys=True)),
            "reasons": " ".join(factor for factor in factors if factor),
            **{name: line[name] for name in ("probability", "band", "rank", "selected", "action", "error")},
        }

    def _hashed(self, kind: str, value: str) -> str:
        """Keyed, since a number of ten digits can be found by trying them all."""
        self._secret = self._secret or written_once(self._home / _SECRET, secrets.token_hex(32)).encode()
        return hmac.new(self._secret, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()

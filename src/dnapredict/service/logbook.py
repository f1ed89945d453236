"""What the scoring log is told of an answer: no name and no number of a patient, only keyed hashes."""

import datetime
import json
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import pyarrow as pa

from dnapredict.service.champion import Scoring
from dnapredict.service.hashes import Hashes
from dnapredict.service.store import ScoringLog

__all__ = ["ASKED_BY", "Logbook"]

# The id of the key that a request came with; middleware sets it, and a worker's thread inherits it.
ASKED_BY: ContextVar[str] = ContextVar("ASKED_BY", default="this machine")
_REASONS: Final = (1, 2, 3)


class Logbook:
    """Turns answers into rows of the scoring log."""

    def __init__(self, log: ScoringLog, hashes: Hashes) -> None:
        """Write to `log`, and hash with `hashes`."""
        self._log = log
        self._hashes = hashes

    def note(
        self,
        worklist: pa.Table,
        *,
        asked: Mapping[int, Mapping[str, Any]],
        scorer: Scoring,
        at: datetime.datetime,
        list_id: str | None = None,
    ) -> str:
        """Write down what is about to be answered, and return the request's id in the log.

        Parameters
        ----------
        worklist
            The answers, each with its `row_number`.
        asked
            What was asked, by row number.
        list_id
            The list that the answers are kept as, if they are.

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
            "list": list_id,
        }
        self._log.write(
            [always | self._row(line, asked[line["row_number"]]) for line in worklist.to_pylist()]
        )
        return request

    def _row(self, line: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
        patient = asked.get("patient_id")
        # As the worklist has it, trimmed and mapped: so an action is found by the same number.
        appointment = line["appointment_id"] or asked.get("appointment_id")
        factors = [line[f"reason_factor_{place}"] for place in _REASONS]
        return {
            "appointment": self._hashes.of("appointment", str(appointment)),
            "patient": None if patient is None else self._hashes.of("patient", str(patient)),
            "inputs": self._hashes.of("inputs", json.dumps(asked, sort_keys=True)),
            "reasons": " ".join(factor for factor in factors if factor),
            **{name: line[name] for name in ("probability", "band", "rank", "selected", "action", "error")},
        }

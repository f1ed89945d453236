"""Sign a report: who decided what, why, who disagreed, bound to exactly these files, model and data."""

import datetime
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.audit.folder import SIGNATURE
from dnapredict.audit.report import FIGURES, REPORT
from dnapredict.audit.verdicts import Verdict
from dnapredict.errors import StoreError, UsageError

__all__ = ["Signature", "sign", "signature_of"]

Said = Annotated[str, Field(min_length=2, max_length=4_000)]


class Signature(BaseModel):
    """The record of a decision. Any change to report, figures, model or data makes it void."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: Said
    role: Said
    decision: Literal["approve", "conditions", "reject"]
    reason: Said
    dissent: str = ""
    signed_at: datetime.datetime
    verdict: str
    report_sha256: str
    figures_sha256: str
    model_sha256: str
    data_sha256: str

    @property
    def allows_use(self) -> bool:
        """Whether the model may be used, with or without conditions."""
        return self.decision != "reject"

    @property
    def tags(self) -> dict[str, str]:
        """What stands beside a version in the registry: the decision, by whom, when, why, and on what."""
        return {
            "signed_decision": self.decision,
            "signed_by": self.name,
            "signed_role": self.role,
            "signed_reason": self.reason,
            "signed_dissent": self.dissent,
            "signed_at": self.signed_at.isoformat(timespec="seconds"),
            "signed_report_sha256": self.report_sha256,
        }


def sign(
    folder: Path,
    *,
    name: str,
    role: str,
    decision: str,
    reason: str,
    dissent: str = "",
    at: datetime.datetime | None = None,
) -> Signature:
    """Write the decision beside the report in `folder`.

    Raises
    ------
    UsageError
        If there is no report, it is signed already, a name, role or reason is missing, or a report that
        failed would be approved without conditions.
    """
    figures = _figures(folder)
    if (folder / SIGNATURE).exists():
        raise UsageError(f"{folder} is signed already. A new decision needs a new audit.")
    if decision == "approve" and figures["verdict"] == Verdict.FAIL:
        raise UsageError(
            "This report failed. Decide `conditions`, and say in the reason what must be put right first, "
            "or `reject`."
        )
    try:
        signature = Signature(
            name=name,
            role=role,
            decision=decision,  # type: ignore[arg-type]  # pydantic refuses another word
            reason=reason,
            dissent=dissent,
            signed_at=at or datetime.datetime.now(datetime.UTC),
            verdict=str(figures["verdict"]),
            report_sha256=_sha256(folder / REPORT),
            figures_sha256=_sha256(folder / FIGURES),
            model_sha256=str(figures["context"]["model_sha256"]),
            data_sha256=str(figures["context"]["data_sha256"]),
        )
    except ValidationError as error:
        wrong = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors()}))
        raise UsageError(
            "A signature needs a name, a role, a reason and a decision (approve, conditions or reject). "
            f"Wrong: {wrong}."
        ) from None
    _write(folder / SIGNATURE, signature)
    return signature


def signature_of(folder: Path) -> Signature | None:
    """The signature of a report, None where it has none.

    Raises
    ------
    StoreError
        If the signature cannot be read, or report or figures are not those that were signed.
    """
    path = folder / SIGNATURE
    if not path.exists():
        return None
    try:
        signature = Signature.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise StoreError(f"{path}: is not a signature that can be read.") from None
    for name, digest in ((REPORT, signature.report_sha256), (FIGURES, signature.figures_sha256)):
        if not (folder / name).exists() or _sha256(folder / name) != digest:
            raise StoreError(f"{folder / name}: is not the file that was signed, so the signature is void.")
    return signature


def _figures(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / FIGURES).read_bytes())
    except (OSError, ValueError):
        raise UsageError(f"{folder} holds no report. Make one with `dnapredict audit`.") from None
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, signature: Signature) -> None:
    """Written whole or not at all, and never over another."""
    beside = path.with_suffix(".part")
    try:
        beside.write_text(signature.model_dump_json(indent=1) + "\n", encoding="utf-8")
        beside.rename(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}).") from None

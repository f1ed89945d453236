"""Sign a report: a decision with name, role, reason and dissent, bound to the hashes of report, model and data."""

import datetime
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.data.files.atomic_write import SHARED_FILE, write_atomically
from dnapredict.errors import StoreError, UsageError
from dnapredict.fairness.report_folder import FIGURES, REPORT, SIGNATURE
from dnapredict.fairness.verdicts import Verdict

RequiredText = Annotated[str, Field(min_length=2, max_length=4_000)]


class Signature(BaseModel):
    """A signed decision. Any change to report, figures, model or data makes it void."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    name: RequiredText
    role: RequiredText
    decision: Literal["approve", "conditions", "reject"]
    reason: RequiredText
    dissent: str = ""
    signed_at: datetime.datetime
    verdict: str
    report_sha256: str
    figures_sha256: str
    model_sha256: str
    data_sha256: str


def sign(
    folder: Path,
    *,
    name: str,
    role: str,
    decision: str,
    reason: str,
    dissent: str = "",
    at: datetime.datetime | None = None,
    on_record: Signature | None = None,
    record: Callable[[Signature], object] = lambda _: None,
) -> Signature:
    """Record a decision on the report in `folder`, then write it next to the report.

    An interrupted `sign` is completed when it is run again, with the decision that was made first.

    Parameters
    ----------
    on_record
        The decision on this report that a registry already holds.
    record
        Records a decision in a registry, whose record is binding. It is called before the file is written, so
        that no report is signed without the registry knowing.

    Raises
    ------
    UsageError
        If there is no report, it is signed already, a name, role or reason is missing, or a report that
        failed would be approved without conditions.
    StoreError
        If the file cannot be written, or an existing signature is not that of these files.
    """
    figures = _figures(folder)
    request = {"name": name, "role": role, "decision": decision, "reason": reason, "dissent": dissent}
    existing = on_record or signature_of(folder)
    signature = existing or _new_signature(folder, figures, request, at or datetime.datetime.now(datetime.UTC))
    record(signature)
    _write(folder / SIGNATURE, signature)
    if any(getattr(signature, key) != value.strip() for key, value in request.items()):
        raise UsageError(f"{folder} is signed already. A new decision needs a new audit.")
    return signature


def _new_signature(folder: Path, figures: dict[str, Any], request: dict[str, str], at: datetime.datetime) -> Signature:
    """The requested signature, after checking it."""
    if request["decision"] == "approve" and figures["verdict"] == Verdict.FAIL:
        raise UsageError(
            "This report failed. Decide `conditions`, and say in the reason what must be put right first, or `reject`."
        )
    try:
        return Signature(
            **request,  # type: ignore[arg-type]  # pydantic refuses another word as a decision
            signed_at=at,
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


def signature_of(folder: Path) -> Signature | None:
    """The signature of a report; None where it is not signed.

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
    try:
        with write_atomically(path, mode=SHARED_FILE) as draft:
            draft.write_text(signature.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except StoreError as error:
        raise StoreError(
            f"{error} The decision is on record in the registry; run `dnapredict sign` again once the folder can "
            "be written."
        ) from None

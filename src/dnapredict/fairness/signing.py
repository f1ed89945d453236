"""Sign a report: a decision with name, role, reason and dissent, bound to the digests of report, model and data."""

import datetime
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dnapredict.data.files.atomic_write import SHARED_FILE, write_atomically
from dnapredict.data.system_clock import utc_now
from dnapredict.errors import StoreError, UsageError
from dnapredict.fairness.report_folder import FIGURES, REPORT, SIGNATURE, SIGNED_PAGE
from dnapredict.fairness.verdicts import Verdict

_OF_SIGNING: Final = (SIGNATURE, SIGNED_PAGE)
RequiredText = Annotated[str, Field(min_length=2, max_length=4_000)]
_LEAST_LETTERS: Final = 2
LONGEST_CONDITIONS: Final = datetime.timedelta(days=366)
"""Conditions hold for a year at most: then the model is audited again."""


class Cosignatory(BaseModel):
    """Somebody who signed the same report before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    role: str
    decision: str
    reason: str
    signed_at: datetime.datetime


class Signature(BaseModel):
    """A signed decision. Any change to report, tables, figures, model or data makes it void.

    Attributes
    ----------
    until
        Last day on which conditions hold; None for other decisions, and in signatures of earlier releases.
    files
        SHA-256 of every file of the report by its name; empty in signatures of earlier releases.
    proven
        How the person was known: "key", "openid", or "" where the policy names no signatories.
    also_signed
        Those who signed this report before, where a failed audit needs two.
    """

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
    until: datetime.date | None = None
    files: dict[str, str] = Field(default_factory=dict)
    proven: str = ""
    also_signed: tuple[Cosignatory, ...] = ()


@dataclass(frozen=True)
class _Request:
    """What a person asks to sign."""

    name: str
    role: str
    decision: str
    reason: str
    dissent: str
    until: datetime.date | None

    def is_of(self, signature: Signature) -> bool:
        """Whether a signature says the same."""
        texts = ("name", "role", "decision", "reason", "dissent")
        same = all(getattr(signature, name) == getattr(self, name).strip() for name in texts)
        return same and signature.until == self.until


def sign(
    folder: Path,
    *,
    name: str,
    role: str,
    decision: str,
    reason: str,
    dissent: str = "",
    until: datetime.date | None = None,
    proven: str = "",
    at: datetime.datetime | None = None,
    on_record: Signature | None = None,
    before: tuple[Signature, ...] = (),
    record: Callable[[Signature], object] = lambda _: None,
) -> Signature:
    """Record a decision on the report in `folder`, then write it next to the report.

    An interrupted `sign` is completed when it is run again, with the decision that was made first.

    Parameters
    ----------
    until
        The last day on which conditions hold.
    proven
        How the person was known: "key", "openid" or "".
    on_record
        The decision on this report that a registry already holds.
    before
        Signatures on this report that a registry holds and that are not enough: this is a further one.
    record
        Records a decision in a registry, whose record is binding. It is called before the file is written, so
        that no report is signed without the registry knowing.

    Raises
    ------
    UsageError
        If there is no report, it is signed already, a name, role, reason or end is missing, or a report that
        failed would be approved without conditions.
    StoreError
        If the file cannot be written, or an existing signature is not that of these files.
    """
    figures, request = _figures(folder), _Request(name, role, decision, reason, dissent, until)
    existing = on_record or (None if before else signature_of(folder))
    now = at or utc_now()
    signature = existing or _new_signature(folder, figures, request, now, proven=proven, before=before)
    record(signature)
    _write(folder / SIGNATURE, signature)
    if not request.is_of(signature):
        raise UsageError(f"{folder} is signed already. A new decision needs a new audit.")
    return signature


def _new_signature(
    folder: Path,
    figures: dict[str, Any],
    request: _Request,
    at: datetime.datetime,
    *,
    proven: str,
    before: tuple[Signature, ...],
) -> Signature:
    """The requested signature, after checking it."""
    if request.decision == "approve" and figures["verdict"] == Verdict.FAIL:
        raise UsageError(
            "This report failed. Decide `conditions`, and say in the reason what must be put right first, or `reject`."
        )
    _require_end(request, today=at.date())
    require_words(name=request.name, role=request.role, reason=request.reason)
    files = report_files_sha256(folder)
    try:
        return Signature(
            name=request.name,
            role=request.role,
            decision=request.decision,  # type: ignore[arg-type]  # pydantic refuses another word as a decision
            reason=request.reason,
            dissent=request.dissent,
            until=request.until,
            proven=proven,
            signed_at=at,
            verdict=str(figures["verdict"]),
            report_sha256=files[REPORT],
            figures_sha256=files[FIGURES],
            model_sha256=str(figures["context"]["model_sha256"]),
            data_sha256=str(figures["context"]["data_sha256"]),
            files=files,
            also_signed=tuple(_cosignatory(each) for each in before),
        )
    except ValidationError as error:
        raise _incomplete({str(problem["loc"][0]) for problem in error.errors()}) from None


def require_words(**texts: str) -> None:
    """Refuse texts of dots or invisible characters instead of words; `texts` by the name to print.

    Raises
    ------
    UsageError
    """
    if wrong := {name for name, text in texts.items() if sum(map(str.isalpha, text)) < _LEAST_LETTERS}:
        raise _incomplete(wrong)


def _incomplete(wrong: set[str]) -> UsageError:
    return UsageError(
        "A signature needs a name, a role, a reason and a decision (approve, conditions or reject). "
        f"Wrong: {', '.join(sorted(wrong))}."
    )


def _require_end(request: _Request, *, today: datetime.date) -> None:
    if request.decision != "conditions":
        if request.until is not None:
            raise UsageError("--until is the end of conditions; approve and reject have none.")
        return
    if request.until is None:
        raise UsageError("Conditions need their last day: --until YYYY-MM-DD. Afterwards somebody has to decide again.")
    if not today < request.until <= today + LONGEST_CONDITIONS:
        raise UsageError(f"--until {request.until}: give a day after today, at most a year from now.")


def _cosignatory(signature: Signature) -> Cosignatory:
    return Cosignatory.model_validate({name: getattr(signature, name) for name in Cosignatory.model_fields})


def signature_of(folder: Path) -> Signature | None:
    """The signature of a report; None where it is not signed.

    Raises
    ------
    StoreError
        If the signature cannot be read, or a file of the report is not the one that was signed.
    """
    path = folder / SIGNATURE
    if not path.exists():
        return None
    try:
        signature = Signature.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise StoreError(f"{path}: is not a signature that can be read.") from None
    signed = signature.files | {REPORT: signature.report_sha256, FIGURES: signature.figures_sha256}
    for name, digest in sorted(signed.items()):
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            raise StoreError(f"{folder / name}: is not the file that was signed, so the signature is void.")
    return signature


def report_files_sha256(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a report by its name, without what is written when it is signed."""
    files = (path.name for path in folder.iterdir() if path.is_file() and path.name not in _OF_SIGNING)
    names = sorted(name for name in files if not name.startswith("."))  # the draft of a signing that was killed
    return {name: _sha256(folder / name) for name in names}


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

"""Signatures in the ledger of decisions: written, read back, and the versions they apply to."""

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnapredict.errors import UsageError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.promotion import judgement

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


def decision_on(entries: Sequence[DecisionEntry], report: str) -> DecisionEntry | None:
    """The decision on the report with that digest since its last audit, None where there is none."""
    of_report = [e for e in entries if e["report"] == report and e.kind in {"audit", "decision"}]
    return of_report[-1] if of_report and of_report[-1].kind == "decision" else None


def refuse_decision(entries: Sequence[DecisionEntry], signature: "Signature", *, content: str) -> None:
    """Refuse a second decision on a report, and approval of a model that failed and nobody signed for.

    Raises
    ------
    UsageError
    """
    if decision_on(entries, signature.report_sha256) is not None:
        raise UsageError("This report is signed already. A new decision needs a new audit.")
    failed = judgement(entries, "", model="", content=content).failed
    if failed is not None and signature.decision == "approve":
        raise UsageError(
            f"This model failed the audit of {failed.when[:10]}, and nobody has signed for that. Decide "
            "`conditions`, and say in the reason what must be put right first, or `reject`."
        )


def bound_versions(entries: Sequence[DecisionEntry], signature: "Signature", *, content: str) -> tuple[str, ...]:
    """The versions that a decision applies to.

    Those whose last audit it is on; for a rejection, all versions of the model.
    """
    audited = (signature.model_sha256, signature.report_sha256)
    bound: dict[str, bool] = {}
    for entry in entries:
        if entry["content"] != content or entry.kind not in {"training", "audit"}:
            continue
        is_audited = entry.kind == "audit" and (entry["model"], entry["report"]) == audited
        bound[entry["version"]] = signature.decision == "reject" or is_audited
    return tuple(version for version, is_bound in bound.items() if is_bound)


def data_of(signature: "Signature", *, content: str) -> dict[str, str]:
    """A signature as the data of a ledger entry."""
    return {
        "model": signature.model_sha256,
        "content": content,
        "report": signature.report_sha256,
        "figures": signature.figures_sha256,
        "data": signature.data_sha256,
        "verdict": signature.verdict,
        "decision": signature.decision,
        "name": signature.name,
        "role": signature.role,
        "reason": signature.reason,
        "dissent": signature.dissent,
        "signed_at": signature.signed_at.isoformat(),
    }


def signature_from(entry: DecisionEntry) -> "Signature":
    """The signature in an entry of the ledger."""
    from dnapredict.fairness.signing import Signature  # imports libraries that take seconds

    return Signature(
        name=entry["name"],
        role=entry["role"],
        decision=entry["decision"],  # type: ignore[arg-type]  # pydantic refuses another word
        reason=entry["reason"],
        dissent=entry["dissent"],
        signed_at=datetime.datetime.fromisoformat(entry["signed_at"]),
        verdict=entry["verdict"],
        report_sha256=entry["report"],
        figures_sha256=entry["figures"],
        model_sha256=entry["model"],
        data_sha256=entry["data"],
    )

"""Signatures in the ledger of decisions: written, read back, and the versions they apply to."""

import datetime
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnapredict.config.fairness_policy import Signatory
from dnapredict.errors import UsageError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import covered_by, judgement, signatures_needed

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


def decisions_on(entries: Sequence[DecisionEntry], report: str) -> list[DecisionEntry]:
    """The decisions on the report with that digest since its last audit, oldest first."""
    found: list[DecisionEntry] = []
    for entry in entries:
        if entry["report"] == report and entry.kind in {"audit", "decision"}:
            found = [*found, entry] if entry.kind == "decision" else []
    return found


def decision_on(entries: Sequence[DecisionEntry], report: str) -> DecisionEntry | None:
    """The decision on the report with that digest since its last audit; None where there is none, or one is owed."""
    made = decisions_on(entries, report)
    return made[-1] if made and not is_owed(entries, report) else None


def is_owed(entries: Sequence[DecisionEntry], report: str) -> bool:
    """Whether another person has to sign a report."""
    made, audit = decisions_on(entries, report), audit_of(entries, report)
    if audit is None or any(entry["decision"] == "reject" for entry in made):
        return not made
    signers = {entry["name"] for entry in made}
    return len(signers) < signatures_needed(audit, has_failed=_has_failed(entries, audit))


def audit_of(entries: Sequence[DecisionEntry], report: str) -> DecisionEntry | None:
    """The last audit with that report; None where it is of another home, or of another product's scores."""
    return next((e for e in reversed(entries) if e.kind == "audit" and e["report"] == report), None)


def signatories_of(entries: Sequence[DecisionEntry], report: str) -> tuple[Signatory, ...]:
    """Who may sign a report by the policy that it was audited by; nobody is named in earlier releases."""
    audit = audit_of(entries, report)
    named = [] if audit is None else json.loads(audit["signatories"] or "[]")
    return tuple(Signatory.model_validate(each) for each in named)


def _has_failed(entries: Sequence[DecisionEntry], audit: DecisionEntry) -> bool:
    """Whether the model had failed, and nothing had lifted that, when this audit was entered."""
    until = [entry for entry in entries if entry.number <= audit.number]
    return judgement(until, "", model="", content=audit["content"]).failed is not None


def refuse_decision(entries: Sequence[DecisionEntry], signature: "Signature", *, content: str) -> None:
    """Refuse a decision too many on a report, and approval that cannot lift a failed audit or a rejection.

    Raises
    ------
    UsageError
    """
    _refuse_other_files(audit_of(entries, signature.report_sha256), signature)
    made = decisions_on(entries, signature.report_sha256)
    if made and not is_owed(entries, signature.report_sha256):
        raise UsageError("This report is signed already. A new decision needs a new audit.")
    if any(entry["name"] == signature.name for entry in made):
        raise UsageError(f"{signature.name} has signed this report already. It needs another person's signature too.")
    if signature.decision != "reject" and any(entry["decision"] != signature.decision for entry in made):
        raise UsageError(f"This report is signed as `{made[0]['decision']}`: sign the same, or `reject`.")
    if signature.decision == "approve":
        _refuse_approval(entries, signature.report_sha256, content=content)


def _refuse_other_files(audit: DecisionEntry | None, signature: "Signature") -> None:
    """Refuse a report of which a table was edited between audit and signature."""
    files = {} if audit is None else json.loads(audit["files"] or "{}")
    changed = sorted(name for name, digest in files.items() if signature.files.get(name) != digest)
    if changed:
        raise UsageError(
            f"{changed[0]}: is not the file that was audited. Sign the report as it was written, or audit again."
        )


def _refuse_approval(entries: Sequence[DecisionEntry], report: str, *, content: str) -> None:
    judged, audit = judgement(entries, "", model="", content=content), audit_of(entries, report)
    if judged.failed is not None:
        raise UsageError(
            f"This model failed the audit of {judged.failed.when[:10]}, and nobody has signed for that. Decide "
            "`conditions`, and say in the reason what must be put right first, or `reject`."
        )
    rejection = judged.rejected
    if audit is None or rejection is None or not audit["appointments"] or not rejection["of"]:
        return
    if int(rejection["of"]) not in {audit.number, *covered_by(audit)}:
        raise UsageError(
            f"{rejection['name']} rejected the report of an audit of more appointments, or by other limits, than this "
            "one. Audit all of them, or decide `conditions`."
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


def data_of(signature: "Signature", *, content: str, audit: DecisionEntry | None = None) -> dict[str, str]:
    """A signature as the data of a ledger entry; `audit` is the one whose report it is on."""
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
        "until": "" if signature.until is None else signature.until.isoformat(),
        "files": json.dumps(signature.files, sort_keys=True) if signature.files else "",
        "proven": signature.proven,
        "of": "" if audit is None else str(audit.number),
    }


def signature_from(entry: DecisionEntry, before: Sequence[DecisionEntry] = ()) -> "Signature":
    """The signature in an entry of the ledger; `before` are the signatures on the report before it."""
    from dnapredict.fairness.signing import Cosignatory, Signature  # imports libraries that take seconds

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
        until=datetime.date.fromisoformat(entry["until"]) if entry["until"] else None,
        files=json.loads(entry["files"] or "{}"),
        proven=entry["proven"],
        also_signed=tuple(
            Cosignatory(
                name=each["name"],
                role=each["role"],
                decision=each["decision"],
                reason=each["reason"],
                signed_at=datetime.datetime.fromisoformat(each["signed_at"]),
            )
            for each in before
        ),
    )

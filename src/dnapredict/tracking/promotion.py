"""What the ledger of decisions says of a version: may it be promoted, is it in use, may it score."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dnapredict.errors import GateFailedError, ModelError
from dnapredict.tracking.decisions import Entry

__all__ = [
    "Judgement",
    "judgement",
    "put_in_use",
    "refuse_against_audit",
    "refuse_not_in_use",
    "refuse_unskilled",
    "wrong_alias",
]

_FAILED: Final = "FAIL"


@dataclass(frozen=True)
class Judgement:
    """What stands for or against a version.

    Attributes
    ----------
    audit
        The last audit of the version; None where there was none.
    decision
        The signature on that audit's report.
    failed, rejected
        An audit that failed and a reviewer's no that nobody has signed against since. They stick to the
        content of the model: no further audit, and no other version number, clears them.
    """

    audit: Entry | None = None
    decision: Entry | None = None
    failed: Entry | None = None
    rejected: Entry | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Audit and decision as they are shown beside a version."""
        if self.audit is None:
            return {}
        shown = {
            "audit_verdict": self.audit["verdict"],
            "audit_sha256": self.audit["report"],
            "audited_at": self.audit.when,
        }
        decision = self.rejected or self.decision
        if decision is None:
            return shown | {"signed_decision": ""}
        return shown | {
            "signed_decision": decision["decision"],
            "signed_by": decision["name"],
            "signed_role": decision["role"],
            "signed_reason": decision["reason"],
            "signed_dissent": decision["dissent"],
            "signed_at": decision["signed_at"],
            "signed_report_sha256": decision["report"],
        }


def judgement(entries: Iterable[Entry], version: str, *, model: str, content: str) -> Judgement:
    """What stands for or against a version whose model has the digest `model`, its files `content`."""
    last: dict[tuple[str, str], str] = {}
    audit = decision = failed = rejected = None
    for entry in entries:
        if entry["content"] != content:
            continue
        if entry.kind == "audit":
            last[entry["version"], entry["model"]] = entry["report"]
            if (entry["version"], entry["model"]) == (version, model):
                audit, decision = entry, None
            if entry["verdict"] == _FAILED:
                failed = entry
        elif entry.kind == "decision" and entry["decision"] == "reject":
            rejected = entry
            decision = entry if audit and entry["report"] == audit["report"] else decision
        elif entry.kind == "decision" and entry["report"] in last.values():  # an older report binds nothing
            rejected, failed = None, failed if entry["decision"] == "approve" else None
            decision = entry if audit and entry["report"] == audit["report"] else decision
    return Judgement(audit, decision, failed, rejected)


def put_in_use(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The versions that were put in use one after another and not gone back from; the last is in use."""
    used: list[str] = []
    for entry in entries:
        if entry.kind == "promotion" and used[-1:] != [entry["version"]]:
            used.append(entry["version"])
        elif entry.kind == "rollback":
            used.pop()
    return tuple(used)


def wrong_alias(named: str, used: str) -> str:
    """What is wrong where MLflow's alias names another version than the one in use; "" where nothing is.

    Both are "" where there is none.
    """
    if named == used:
        return ""
    if not used:
        return (
            f"The alias champion in MLflow names version {named}, which was never put in use. "
            f"`dnapredict promote {named}` does so once its audit allows it."
        )
    told = f"names version {named}, and" if named else "is gone, though"
    return (
        f"The alias champion in MLflow {told} version {used} was put in use. `dnapredict promote "
        f"{used}` sets the alias right; `dnapredict promote V` puts another version in use."
    )


def refuse_unskilled(version: str, known: Mapping[str, str]) -> None:
    """Refuse a version without skill, and one whose figures are too good: nobody can sign for that."""
    if known.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {known['skill_verdict']}")
    if known.get("leak_alarm"):
        raise ModelError(f"Version {version} is not promoted. {known['leak_alarm']}")


def refuse_against_audit(version: str, found: Judgement, *, done: str = "promoted") -> None:
    """Refuse a version without an audit, a rejected one, and one that failed and is not signed for.

    Raises
    ------
    ModelError
        If it was never audited.
    GateFailedError
        If its model failed an audit or was rejected, and nobody has signed against that since.
    """
    if found.audit is None:
        raise ModelError(
            f"Version {version} was never audited. `dnapredict audit EXTRACT --model {version} --out DIR` "
            "compares how well patients of different groups are reached."
        )
    if (no := found.rejected) is not None:
        raise GateFailedError(
            f"Version {version} is not {done}: {no['name']} ({no['role']}) rejected it on "
            f"{no['signed_at'][:10]}. Reason: {no['reason'].rstrip('.')}. Another audit does not "
            "change that: a person has to sign its report (`dnapredict sign REPORT_DIR`)."
        )
    if found.failed is not None or (found.audit["verdict"] == _FAILED and found.decision is None):
        failed = found.failed or found.audit
        raise GateFailedError(
            f"Version {version} is not {done}: a fairness gate failed in the audit of {failed.when[:10]}. "
            "Read the report; the person who answers for equality may sign the last one (`dnapredict sign "
            "REPORT_DIR --decision conditions`) with a reason, which goes on record."
        )


def refuse_not_in_use(version: str, entries: Iterable[Entry], *, model: str) -> None:
    """Refuse a version that was never put in use with this model, or was taken out of use.

    Raises
    ------
    ModelError
    """
    last: Entry | None = None
    for entry in entries:
        promoted = entry.kind == "promotion" and (entry["version"], entry["model"]) == (version, model)
        left = entry.kind == "rollback" and entry["from"] == version
        back = entry.kind == "rollback" and entry["version"] == version
        last = entry if promoted or left or back else last
    if last is None:
        raise ModelError(
            f"Version {version} was never put in use, so no list is scored with it. `dnapredict promote "
            f"{version}` does so once its audit allows it; `dnapredict audit EXTRACT --model {version} --out "
            "DIR` and `dnapredict compare` judge it beforehand."
        )
    if last.kind == "rollback" and last["from"] == version:
        raise ModelError(
            f"Version {version} was taken out of use on {last.at[:10]} by {last['signed_by']}. Reason: "
            f"{last['why'].rstrip('.')}. `dnapredict promote {version}` puts it in use again."
        )

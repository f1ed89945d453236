"""What stops a version from becoming the champion, and the audits and decisions that are kept with it."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.mlflow_store import Store

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


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

    audit: DecisionEntry | None = None
    decision: DecisionEntry | None = None
    failed: DecisionEntry | None = None
    rejected: DecisionEntry | None = None

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


def judgement(entries: Iterable[DecisionEntry], version: str, *, model: str, content: str) -> Judgement:
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


def put_in_use(entries: Iterable[DecisionEntry]) -> tuple[str, ...]:
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


def refuse_not_in_use(version: str, entries: Iterable[DecisionEntry], *, model: str) -> None:
    """Refuse a version that was never put in use with this model, or was taken out of use.

    Raises
    ------
    ModelError
    """
    last: DecisionEntry | None = None
    for entry in entries:
        promoted = entry.kind == "promotion" and (entry["version"], entry["model"]) == (version, model)
        left = entry.kind == "rollback" and entry["from"] == version
        back = entry.kind == "rollback" and (entry["version"], entry["model"]) == (version, model)
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


REPORT: Final = "report.html"
_FIGURES: Final = "audit.json"
_SIGNATURE: Final = "signature.json"


def report_digest(report: Path) -> str:
    """What binds a signature and a version to one report: the SHA-256 of its page."""
    return _sha256(report / REPORT)


def kept_report(store: Store, version: Any, digest: str) -> Path:
    """Where the report with that digest is kept for a version; there may be none.

    By its place in this home and not by MLflow's address, which stays that of the old home when a home is
    moved or copied.
    """
    return _audits(store, version) / digest


def kept_reports(store: Store, version: Any) -> Iterator[Path]:
    """The folders of all reports that are kept for a version."""
    return (path.parent for path in sorted(_audits(store, version).glob(f"*/{REPORT}")))


def keep_report(store: Store, version: Any, report: Path) -> str:
    """Copy a report to the artefacts of a version's run, whole or not at all, and give its digest."""
    digest = report_digest(report)
    place = kept_report(store, version, digest)
    with store.sentences():
        if not (place.is_dir() and report_digest(place) == digest):
            draft = place.with_name(f".{digest}.part")
            for old in (draft, place):
                shutil.rmtree(old, ignore_errors=True)
            shutil.copytree(report, draft)
            draft.rename(place)
    return digest


def keep_signature(folder: Path, signature: "Signature") -> None:
    """Put a copy of a signature beside the kept report in `folder`."""
    draft = folder / f".{_SIGNATURE}.part"
    draft.write_text(signature.model_dump_json(indent=1) + "\n", encoding="utf-8")
    os.replace(draft, folder / _SIGNATURE)


def last_report(store: Store, entries: Sequence[DecisionEntry]) -> Path | None:
    """The newest kept report of any version, None where none is kept."""
    for entry in reversed(entries):
        if entry.kind != "audit":
            continue
        try:
            kept = kept_report(store, store.found(entry["version"]), entry["report"])
        except ModelError:  # the version was deleted in MLflow
            continue
        if kept.is_dir():
            return kept
    return None


def refuse_changed_report(folder: Path, found: Judgement) -> None:
    """Refuse a kept report that is not the one that was audited and signed.

    Raises
    ------
    StoreError
    """
    expected = {}
    if found.decision is not None:
        expected = {REPORT: found.decision["report"], _FIGURES: found.decision["figures"]}
    elif found.audit is not None and folder.is_dir():
        expected = {REPORT: found.audit["report"]}
    for name, digest in expected.items():
        if not (folder / name).is_file() or _sha256(folder / name) != digest:
            signed = "signed" if found.decision is not None else "kept at the audit"
            raise StoreError(
                f"{folder / name}: is not the file that was {signed}. Restore the home from a backup, or "
                "audit the version again."
            )


def _audits(store: Store, version: Any) -> Path:
    return store.home / "mlruns" / str(version.run_id) / "artifacts" / "audits"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""The rules that allow or refuse a version, and the audit reports that are kept with it.

`tests/spec/test_promotion.py` has these rules as tables.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dnapredict.data.files.atomic_write import create_folder, private_folder, write_private
from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import GateFailedError, ModelError, StoreError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.mlflow_store import Store

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


_FAILED: Final = "FAIL"


@dataclass(frozen=True)
class Judgement:
    """The audits and decisions that count for a version.

    Attributes
    ----------
    audit
        The last audit of the version; None where there was none.
    decision
        The signature on that audit's report.
    failed, rejected
        An audit that failed, and a reviewer's rejection, that no later signature has lifted. They belong to
        the content of the model: neither another audit nor another version number removes them.
    """

    audit: DecisionEntry | None = None
    decision: DecisionEntry | None = None
    failed: DecisionEntry | None = None
    rejected: DecisionEntry | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Audit and decision as tags of the version in MLflow."""
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
    """The judgement of a version whose manifest has the digest `model` and whose files have `content`."""
    last_report: dict[tuple[str, str], str] = {}
    audit = decision = failed = rejected = None
    for entry in entries:
        if entry["content"] != content:
            continue
        if entry.kind == "audit":
            last_report[entry["version"], entry["model"]] = entry["report"]
            if (entry["version"], entry["model"]) == (version, model):
                audit, decision = entry, None
            if entry["verdict"] == _FAILED:
                failed = entry
        elif entry.kind == "decision" and entry["decision"] == "reject":
            rejected = entry
            decision = entry if audit and entry["report"] == audit["report"] else decision
        elif entry.kind == "decision" and entry["report"] in last_report.values():
            # Approval and conditions count on the last report of a version only, a rejection on any report.
            rejected, failed = None, failed if entry["decision"] == "approve" else None
            decision = entry if audit and entry["report"] == audit["report"] else decision
    return Judgement(audit, decision, failed, rejected)


def champions(entries: Iterable[DecisionEntry]) -> tuple[str, ...]:
    """The versions that were promoted and not rolled back, oldest first; the last one is in use."""
    versions: list[str] = []
    for entry in entries:
        if entry.kind == "promotion" and versions[-1:] != [entry["version"]]:
            versions.append(entry["version"])
        elif entry.kind == "rollback":
            versions.pop()
    return tuple(versions)


def alias_problem(alias: str, champion: str) -> str:
    """A message where MLflow's alias names another version than the champion; "" where they agree.

    Each argument is "" where there is none.
    """
    if alias == champion:
        return ""
    if not champion:
        return (
            f"The alias champion in MLflow names version {alias}, which was never put in use. "
            f"`dnapredict promote {alias}` does so once its audit allows it."
        )
    problem = f"names version {alias}, and" if alias else "is gone, though"
    return (
        f"The alias champion in MLflow {problem} version {champion} was put in use. `dnapredict promote "
        f"{champion}` sets the alias right; `dnapredict promote V` puts another version in use."
    )


def refuse_unskilled(version: str, training: Mapping[str, str]) -> None:
    """Refuse a version without skill, and one with a leak alarm: no signature can allow either."""
    if training.get("skill") == "none":
        raise ModelError(f"Version {version} is not promoted. {training['skill_verdict']}")
    if training.get("leak_alarm"):
        raise ModelError(f"Version {version} is not promoted. {training['leak_alarm']}")


def refuse_by_audit(version: str, judged: Judgement, *, action: str = "promoted") -> None:
    """Refuse a version without an audit, a rejected one, and one that failed without a signature.

    Parameters
    ----------
    action
        The participle for the message: "Version 3 is not promoted: ...".

    Raises
    ------
    ModelError
        If it was never audited.
    GateFailedError
        If its model failed an audit or was rejected, and no later signature has lifted that.
    """
    if judged.audit is None:
        raise ModelError(
            f"Version {version} was never audited. `dnapredict audit EXTRACT --model {version} --out DIR` "
            "compares how well patients of different groups are reached."
        )
    if (rejection := judged.rejected) is not None:
        raise GateFailedError(
            f"Version {version} is not {action}: {rejection['name']} ({rejection['role']}) rejected it on "
            f"{rejection['signed_at'][:10]}. Reason: {rejection['reason'].rstrip('.')}. Another audit does not "
            "change that: a person has to sign its report (`dnapredict sign REPORT_DIR`)."
        )
    if judged.failed is not None or (judged.audit["verdict"] == _FAILED and judged.decision is None):
        failed = judged.failed or judged.audit
        raise GateFailedError(
            f"Version {version} is not {action}: a fairness gate failed in the audit of {failed.when[:10]}. "
            "Read the report; the person who answers for equality may sign the last one (`dnapredict sign "
            "REPORT_DIR --decision conditions`) with a reason, which goes on record."
        )


def refuse_not_in_use(version: str, entries: Iterable[DecisionEntry], *, model: str) -> None:
    """Refuse a version that was never promoted with this model, or was rolled back.

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
    """SHA-256 of a report's page, by which signatures and versions refer to the report."""
    return file_sha256(report / REPORT)


def kept_report(store: Store, version: Any, digest: str) -> Path:
    """The folder for the report with that digest of a version, whether it exists or not.

    It is found by its path in this home and not by MLflow's address, which still names the old home after a
    home was moved or copied.
    """
    return _audits(store, version) / digest


def kept_reports(store: Store, version: Any) -> Iterator[Path]:
    """The folders of all reports that are kept for a version."""
    return (path.parent for path in sorted(_audits(store, version).glob(f"*/{REPORT}")))


def keep_report(store: Store, version: Any, report: Path) -> str:
    """Copy a report to the artefacts of a version's run and return its digest."""
    digest = report_digest(report)
    folder = kept_report(store, version, digest)
    with store.errors_as_messages():
        if not (folder.is_dir() and report_digest(folder) == digest):
            private_folder(folder.parent)
            with create_folder(folder, replace=True) as draft:
                shutil.copytree(report, draft, dirs_exist_ok=True)
    return digest


def keep_signature(folder: Path, signature: "Signature") -> None:
    """Write a copy of a signature next to the kept report in `folder`."""
    write_private(folder / _SIGNATURE, signature.model_dump_json(indent=1) + "\n")


def last_report(store: Store, entries: Sequence[DecisionEntry]) -> Path | None:
    """The newest kept report of any version, None where none is kept."""
    for entry in reversed(entries):
        if entry.kind != "audit":
            continue
        try:
            kept = kept_report(store, store.version(entry["version"]), entry["report"])
        except ModelError:  # the version was deleted in MLflow
            continue
        if kept.is_dir():
            return kept
    return None


def refuse_changed_report(folder: Path, judged: Judgement) -> None:
    """Refuse a kept report that is not the one that was audited and signed.

    Raises
    ------
    StoreError
    """
    expected = {}
    if judged.decision is not None:
        expected = {REPORT: judged.decision["report"], _FIGURES: judged.decision["figures"]}
    elif judged.audit is not None and folder.is_dir():
        expected = {REPORT: judged.audit["report"]}
    for name, digest in expected.items():
        if not (folder / name).is_file() or file_sha256(folder / name) != digest:
            signed = "signed" if judged.decision is not None else "kept at the audit"
            raise StoreError(
                f"{folder / name}: is not the file that was {signed}. Restore the home from a backup, or "
                "audit the version again."
            )


def _audits(store: Store, version: Any) -> Path:
    return store.home / "mlruns" / str(version.run_id) / "artifacts" / "audits"

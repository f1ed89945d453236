"""What identifies a version's model, and what the ledger says of it: audits and signatures that count, and until when.

`tests/spec/test_promotion.py` and `tests/spec/test_laundering.py` have these rules as tables.
"""

import contextlib
import datetime
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import ModelError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.mlflow_store import Store

FAILED: Final = "FAIL"
PASSED: Final = "PASS"
SIGNATURES_FOR_A_FAIL: Final = 2
"""Signatures of different people that a failed audit needs, where the policy names who may sign."""
DAYS_OF_GRACE: Final = 14
"""Days for which a version stays in use after its conditions have ended, or without the signature that it owes."""


@dataclass(frozen=True)
class Judgement:
    """The audits and decisions that count for a version.

    Attributes
    ----------
    audit
        The last audit of the version for lists of patients; None where there was none.
    decision
        The signature on that audit's report; None while another signature is owed.
    failed, rejected
        An audit that failed, and a reviewer's rejection, that nothing later has lifted. They belong to the content of
        the model: neither an audit of fewer appointments nor another version number removes them.
    conditions
        The signature with conditions that allows the version, while it does.
    waiting
        The first of two signatures, where the second is owed.
    unsigned
        The first unsigned audit since the last decision or pass.
    """

    audit: DecisionEntry | None = None
    decision: DecisionEntry | None = None
    failed: DecisionEntry | None = None
    rejected: DecisionEntry | None = None
    conditions: DecisionEntry | None = None
    waiting: DecisionEntry | None = None
    unsigned: DecisionEntry | None = None

    @property
    def is_unsigned(self) -> bool:
        """Whether the verdict of the last audit needs a signature that is not there."""
        return self.audit is not None and self.audit["verdict"] != PASSED and self.decision is None

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
            "signed_until": decision["until"],
            "signed_report_sha256": decision["report"],
        }


def judgement(entries: Iterable[DecisionEntry], version: str, *, model: str, content: str) -> Judgement:
    """The judgement of a version whose manifest has the digest `model` and whose files have `content`."""
    state = _State()
    for entry in entries:
        if entry["content"] != content:
            continue
        if entry.kind == "audit" and (judges_lists(entry) or entry["verdict"] == FAILED):
            state.audit(entry, is_own=(entry["version"], entry["model"]) == (version, model))
        elif entry.kind == "decision":
            state.decide(entry)
    return state.found


def judges_lists(audit: DecisionEntry) -> bool:
    """Whether an audit judged who is reached by calls; one for capacity planning, which calls nobody, did not."""
    return audit["primary"] in {"", "reach"}


def covered_by(audit: DecisionEntry) -> frozenset[int]:
    """Numbers of the earlier audits whose appointments an audit holds, judged by the same limits."""
    return frozenset(json.loads(audit["covers"] or "[]"))


def signatures_needed(audit: DecisionEntry, *, has_failed: bool) -> int:
    """How many people have to sign the report of an audit, where the model has failed or not."""
    names_signatories = json.loads(audit["signatories"] or "[]")
    return SIGNATURES_FOR_A_FAIL if has_failed and names_signatories else 1


@dataclass
class _State:
    """The judgement after some of the entries."""

    found: Judgement = field(default_factory=Judgement)
    # The failed audit, whether it was signed with conditions or not; the last audit of each version and manifest.
    standing: DecisionEntry | None = None
    last: dict[tuple[str, str], DecisionEntry] = field(default_factory=dict)
    signed: list[DecisionEntry] = field(default_factory=list)

    def audit(self, entry: DecisionEntry, *, is_own: bool) -> None:
        """A new audit needs a new decision. A failed one stands until one that covers it does not fail."""
        self.last[entry["version"], entry["model"]] = entry
        self.signed = [each for each in self.signed if each["report"] != entry["report"]]
        changes: dict[str, DecisionEntry | None] = {}
        if is_own:
            # A further unsigned audit does not start the 14 days again.
            is_owed = entry["verdict"] != PASSED and bool(entry["primary"])  # earlier releases asked for none
            owed = (self.found.unsigned or entry) if is_owed else None
            changes = {"audit": entry, "decision": None, "waiting": None, "unsigned": owed}
        if entry["verdict"] == FAILED:
            self.standing = entry
            changes |= {"failed": entry, "conditions": None}
        elif self.standing is not None and self.standing.number in covered_by(entry):
            self.standing = None
            changes |= {"failed": None, "conditions": None}
        elif self.standing is None and self.found.conditions is not None and entry["verdict"] == PASSED:
            is_about_no_less = int(self.found.conditions["of"] or 0) in covered_by(entry)
            changes |= {"conditions": None} if is_about_no_less else {}
        self.found = replace(self.found, **changes)

    def decide(self, entry: DecisionEntry) -> None:
        """A rejection counts on any report; approval and conditions on the last report of a version only."""
        found, report = self.found, entry["report"]
        is_own = found.audit is not None and report == found.audit["report"]
        if entry["decision"] == "reject":
            self.found = replace(
                found,
                rejected=entry,
                decision=entry if is_own else found.decision,
                unsigned=None if is_own else found.unsigned,
            )
            return
        audit = next((each for each in self.last.values() if each["report"] == report), None)
        if audit is None:
            return
        self.signed.append(entry)
        agreed = {each["name"] for each in self.signed if each["report"] == report}
        if len(agreed) < signatures_needed(audit, has_failed=found.failed is not None):
            self.found = replace(found, waiting=entry if is_own else found.waiting)
            return
        self._allow(entry, audit, is_own=is_own)

    def _allow(self, entry: DecisionEntry, audit: DecisionEntry, *, is_own: bool) -> None:
        """Conditions lift a failed audit and a rejection; approval a rejection of no more appointments than these."""
        found, has_conditions = self.found, entry["decision"] == "conditions"
        self.found = replace(
            found,
            rejected=None if has_conditions or _replaces(audit, found.rejected) else found.rejected,
            failed=None if has_conditions else found.failed,
            conditions=entry if has_conditions else None if self.standing is None else found.conditions,
            decision=entry if is_own else found.decision,
            waiting=None if is_own else found.waiting,
            unsigned=None if is_own else found.unsigned,
        )


def _replaces(audit: DecisionEntry, rejection: DecisionEntry | None) -> bool:
    """Whether an audit holds what a rejected report was about; audits of earlier releases do not say."""
    return rejection is None or not audit["appointments"] or int(rejection["of"] or 0) in {
        0, audit.number, *covered_by(audit),
    }  # fmt: skip


@dataclass(frozen=True)
class Deadline:
    """A day after which a version needs somebody to decide; it stays in use for `DAYS_OF_GRACE` more days.

    `problem` is a clause: "the conditions that ... signed ended on 1 May 2026".
    """

    day: datetime.date
    problem: str

    @property
    def last_day(self) -> datetime.date:
        """The last day of use."""
        return self.day + datetime.timedelta(days=DAYS_OF_GRACE)


def deadline(judged: Judgement, entries: Sequence[DecisionEntry]) -> Deadline | None:
    """The first day after which somebody has to decide about a version in use; None where there is none."""
    deadlines = [each for each in (_end_of_conditions(judged), _unsigned_since(judged, entries)) if each is not None]
    return min(deadlines, key=lambda each: each.day, default=None)


def _end_of_conditions(judged: Judgement) -> Deadline | None:
    signed = judged.conditions
    if signed is None or not signed["until"]:  # signatures of earlier releases have no end
        return None
    until = datetime.date.fromisoformat(signed["until"])
    return Deadline(until, f"the conditions that {signed['name']} ({signed['role']}) signed ended on {until:%d %B %Y}")


def _unsigned_since(judged: Judgement, entries: Sequence[DecisionEntry]) -> Deadline | None:
    """The first unsigned audit of a version in use; one of an earlier release asked for no signature."""
    if judged.audit is None or not judged.is_unsigned or not judged.audit["primary"]:
        return None
    audit = judged.unsigned or judged.audit
    promotions = [each for each in entries if each.kind == "promotion" and each["content"] == audit["content"]]
    in_use = [each.number for each in promotions if each.number < judged.audit.number]
    if not in_use:
        return None
    if audit.number < in_use[0]:  # nobody had to sign it before the version was in use
        audit = judged.audit
    day = datetime.datetime.fromisoformat(audit.when).date()
    return Deadline(day, f"its audit of {day:%d %B %Y} ({audit['verdict']}) is not signed")


class Identity(NamedTuple):
    """A version, SHA-256 of its manifest (`model`), and of the files that it computes with (`content`)."""

    version: str
    model: str
    content: str

    @property
    def data(self) -> dict[str, str]:
        """The identity as data of a ledger entry."""
        return self._asdict()


def identity_of(store: Store, record: Any, entries: Sequence[DecisionEntry]) -> Identity:
    """The digests of a version, from the ledger entry of its training; else from MLflow's tag and the files.

    Raises
    ------
    ModelError
        If the ledger holds no training of it, or the files are not those that were registered.
    """
    version = str(record.version)
    for entry in reversed(entries):
        if entry.kind == "training" and entry["version"] == version:
            return Identity(version, entry["model"], entry["content"])
    if any(entry.kind == "training" for entry in entries):
        raise ModelError(
            f"Version {version} was not trained in this home: its ledger of decisions holds no training of it, so that "
            "nobody knows which appointments it was tested on. `dnapredict train EXTRACT` makes a version."
        )
    model = str(record.tags.get("manifest_sha256", ""))
    return Identity(version, model, content_of(model_folder(store, record, digest=model)))


def model_folder(store: Store, record: Any, *, digest: str) -> Path:
    """The folder of a version's stored model, whose manifest has that digest.

    Raises
    ------
    ModelError
        If there is none.
    """
    model_id = str(record.source).rpartition("/")[2]
    artefacts = store.home / "mlruns" / "models" / model_id / "artifacts" / "artifacts"
    for manifest in artefacts.glob("*/manifest.json"):
        with contextlib.suppress(OSError):
            if file_sha256(manifest) == digest:
                return manifest.parent
    raise ModelError(f"{artefacts}: does not hold the model that was registered. Restore it from a backup.")


def content_of(folder: Path) -> str:
    """SHA-256 of the files that a stored model computes with, equal for every repetition of a training.

    The manifest also names the code revision and the versions of libraries, so its digest differs between
    two runs of the same training.
    """
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

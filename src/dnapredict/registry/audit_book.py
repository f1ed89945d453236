"""The audits of a home: what one may rest on, what is entered of it, who signed it, and the evidence of all."""

import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnapredict.config.fairness_policy import Policy, Signatory
from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import GateFailedError
from dnapredict.registry.audit_record import (
    AuditRecord,
    ModelsAudited,
    last_policy,
    other_models_audited,
    policy_data,
    policy_digest,
    recorded_evidence,
    refuse_made_up_report,
    refuse_policy,
)
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import FAILED, covered_by, judges_lists
from dnapredict.registry.model_registry import Registry
from dnapredict.registry.promotion import REPORT, report_digest
from dnapredict.registry.signatures import decision_on, decisions_on, is_owed, signatories_of, signature_from
from dnapredict.registry.tested_appointments import RecordedOutcomes, coverage

if TYPE_CHECKING:
    from dnapredict.fairness.compare.e_values import Key, Window
    from dnapredict.fairness.measure.coverage import Coverage
    from dnapredict.fairness.signing import Signature


class AuditBook:
    """The audits of one home, read from and entered in its ledger.

    Raises
    ------
    StoreError
        From any method, if the home cannot be read or written.
    """

    def __init__(self, registry: Registry) -> None:
        """Use the ledger of a registry; nothing is read yet."""
        self.registry = registry

    def coverage(self, name: str, appointments: RecordedOutcomes) -> "Coverage | None":
        """What the appointments of an audit cover of a version's test; None where its training kept nothing.

        Raises
        ------
        StoreError
            If what the training kept is missing or was changed.
        """
        identity, entries = self.registry.identity(name), self.registry.entries()
        trainings = (entry for entry in reversed(entries) if entry.kind == "training")
        kept = (entry["coverage"] for entry in trainings if entry["model"] == identity.model)
        return coverage(
            self.registry.home,
            appointments,
            digest=identity.model,
            version=identity.version,
            sha256=next(filter(None, kept), ""),
        )

    def require_policy(self, policy: Policy) -> None:
        """Refuse a policy that decides otherwise than the last one here, without an agreed change.

        Raises
        ------
        ConfigurationError
            Names the setting.
        """
        refuse_policy(policy, self.registry.entries())

    def signatories_on_record(self) -> tuple[Signatory, ...]:
        """The signatories of the last policy of this home; two of them must agree to another policy."""
        last = last_policy(self.registry.entries())
        named = [] if last is None else json.loads(last["signatories"])
        return tuple(Signatory.model_validate(each) for each in named)

    def consent(self, policy: Policy, person: Signatory, *, reason: str, proven: str) -> DecisionEntry:
        """Record that a signatory on record agrees to a policy."""
        said = {"name": person.name, "role": person.role, "reason": reason, "proven": proven}
        return self.registry.enter("consent", {"policy": policy_digest(policy), "named": policy.version} | said)

    def require_report(self, report: Path) -> None:
        """Refuse a folder that is no report of an audit here, where there was an audit.

        Raises
        ------
        UsageError
        """
        page, figures = (
            file_sha256(report / name) if (report / name).is_file() else "" for name in (REPORT, "audit.json")
        )
        refuse_made_up_report(self.registry.entries(), page=page, figures=figures, named=report)

    def enter(self, name: str, report: Path, record: AuditRecord, *, began: datetime.datetime | None = None) -> None:
        """Keep an audit's `report` folder with the run of a version, and enter in the ledger what it rests on.

        `began` is when the audit began.
        """
        from dnapredict.fairness.signing import report_files_sha256  # imports libraries that take seconds

        registry, entries = self.registry, self.registry.entries()
        policy = policy_data(record.policy)
        if (last := last_policy(entries)) is None or last["policy"] != policy["policy"]:
            registry.enter("policy", policy)
        content, files = registry.identity(name).content, report_files_sha256(report)
        details = record.data(registry.home, entries, content=content, files=files)
        registry.keep_audit(name, report, verdict=record.verdict, details=details, began=began)

    def evidence(self, name: str, window: "Window") -> "Mapping[Key, tuple[float, float]]":
        """Evidence of earlier audits of a version's model that an audit of the days of `window` may add to its own."""
        from dnapredict.fairness.compare.e_values import evidence_before

        content = self.registry.identity(name).content
        return evidence_before(recorded_evidence(self.registry.entries(), content=content), window)

    def other_models(self, name: str) -> ModelsAudited:
        """The other models that were audited in this home, and how many of them did not pass."""
        content = self.registry.identity(name).content
        return other_models_audited(self.registry.entries(), content=content)

    def call_rules(self, name: str) -> Mapping[str, Any] | None:
        """The rules of the lists that a version was last audited on; None where no audit recorded them."""
        audit = self.registry.judged(name).audit
        return None if audit is None or not audit["call_rules"] else json.loads(audit["call_rules"])

    def require_lists_not_failed(self, name: str, *, alike: Callable[[Mapping[str, Any]], bool]) -> None:
        """Refuse lists by rules of which an audit of the version's model failed, and only one by other rules did not.

        `alike` says of the rules of an audited list whether they are those of the lists that are to be made. With more
        calls more people are reached, so that an audit with more says nothing of lists with fewer.

        Raises
        ------
        GateFailedError
            Unless a signature with conditions allows the version.
        """
        if self.registry.judged(name).conditions is not None:
            return
        identity, failed = self.registry.identity(name), None
        for entry in self.registry.entries():
            is_own = entry.kind == "audit" and entry["content"] == identity.content and judges_lists(entry)
            if not is_own or not entry["call_rules"] or not alike(json.loads(entry["call_rules"])):
                continue
            if entry["verdict"] == FAILED:
                failed = entry
            elif failed is not None and failed.number in covered_by(entry):
                failed = None
        if failed is not None:
            day = datetime.datetime.fromisoformat(failed.when).date()
            raise GateFailedError(
                f"Version {identity.version} failed the audit of {day:%d %B %Y}, and was not audited again by the rules "
                "of these lists (`serving/worklist.toml`): a later audit that did not fail was of lists with another "
                "number of calls, or another rule that shares them. Use those, or audit again (`dnapredict audit`)."
            )

    def signatories(self, report: Path) -> tuple[Signatory, ...]:
        """Who may sign a report, by the policy that it was audited by here."""
        return signatories_of(self.registry.entries(), _digest(report))

    def is_owed(self, report: Path) -> bool:
        """Whether a person still has to sign a report that was audited here."""
        return is_owed(self.registry.entries(), _digest(report))

    def signatures_before(self, report: Path) -> "tuple[Signature, ...]":
        """The signatures on a report since its last audit, where another one is owed."""
        made = decisions_on(self.registry.entries(), _digest(report))
        if decision_on(self.registry.entries(), _digest(report)) is not None:
            return ()
        return tuple(signature_from(entry, made[:number]) for number, entry in enumerate(made))


def _digest(report: Path) -> str:
    return report_digest(report) if (report / REPORT).is_file() else ""

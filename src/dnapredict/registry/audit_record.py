"""What the ledger holds of an audit: verdict, files of the report, policy, appointments, and evidence by comparison."""

import datetime
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnapredict.config.fairness_policy import Policy
from dnapredict.errors import ConfigurationError, UsageError
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.registry.judgement import FAILED, judges_lists
from dnapredict.registry.tested_appointments import RecordedOutcomes, is_covered, keep_audited

if TYPE_CHECKING:
    from dnapredict.fairness.compare.e_values import EvidenceIncrement


@dataclass(frozen=True)
class AuditRecord:
    """An audit as an entry of the ledger.

    Attributes
    ----------
    verdict, gates
        Of the audit, and of each gate by its code.
    appointments
        The labelled appointments that it was made of; None where they have no identifier.
    coverage
        Share of the tested appointments that were found again; None where the training kept none.
    evidence
        E-values by comparison.
    call_rules
        The rules of the audited lists (`worklist.plan.call_capacity.call_rules`).
    """

    verdict: str
    policy: Policy
    gates: Mapping[str, str] = field(default_factory=dict)
    appointments: RecordedOutcomes | None = None
    coverage: float | None = None
    evidence: "tuple[EvidenceIncrement, ...]" = ()
    call_rules: Mapping[str, Any] = field(default_factory=dict)

    def data(
        self, home: Path, entries: Sequence[DecisionEntry], *, content: str, files: Mapping[str, str]
    ) -> dict[str, str]:
        """The audit as data of a ledger entry; its appointments are kept in the home.

        `files` are the digests of the report's files by name.
        """
        appointments = "" if self.appointments is None else keep_audited(home, self.appointments)
        settings = settings_of(self.policy)
        earlier = (
            e for e in entries if e.kind == "audit" and e["content"] == content and _same(e["settings"], settings)
        )
        kept = (entry for entry in earlier if appointments and entry["appointments"])
        covers = [entry.number for entry in kept if is_covered(home, entry["appointments"], by=appointments)]
        return {
            "verdict": self.verdict,
            "gates": json.dumps(dict(self.gates), sort_keys=True),
            "files": json.dumps(dict(files), sort_keys=True),
            "policy": policy_digest(self.policy),
            "settings": settings,
            "primary": self.policy.primary,
            "signatories": signatories_json(self.policy),
            "appointments": appointments,
            "coverage": "" if self.coverage is None else f"{self.coverage:.4f}",
            "covers": json.dumps(covers),
            "evidence": json.dumps([asdict(each) for each in self.evidence], default=str),
            "call_rules": json.dumps(dict(self.call_rules), sort_keys=True),
        }


def _same(before: str, now: str) -> bool:
    """Whether all settings that an earlier audit recorded are as they were; releases since record more of them."""
    if not before:
        return False
    was, is_now = json.loads(before), json.loads(now)
    return all(name in is_now and is_now[name] == value for name, value in was.items())


def settings_of(policy: Policy) -> str:
    """Every setting of a policy that decides a verdict, as JSON text."""
    from dnapredict.fairness.publish.change_since import deciding_settings  # imports libraries that take seconds

    return json.dumps(deciding_settings(policy.model_dump(mode="json")), sort_keys=True)


def signatories_json(policy: Policy) -> str:
    """Who may sign by a policy, with the digests of their keys, as JSON text."""
    named = [
        {"name": p.name, "role": p.role, "key_sha256": p.key_sha256, "openid_subject": p.openid_subject}
        for p in policy.signatories
    ]
    return json.dumps(named, sort_keys=True)


def policy_digest(policy: Policy) -> str:
    """SHA-256 of everything that a policy says, with its signatories."""
    text = json.dumps(policy.model_dump(mode="json"), sort_keys=True) + signatories_json(policy)
    return hashlib.sha256(text.encode()).hexdigest()


def policy_data(policy: Policy) -> dict[str, str]:
    """A policy as data of a ledger entry."""
    return {
        "policy": policy_digest(policy),
        "version": "",
        "named": policy.version,
        "agreed_by": policy.agreed_by,
        "settings": settings_of(policy),
        "signatories": signatories_json(policy),
        "changes": json.dumps([change.model_dump(mode="json") for change in policy.changes]),
    }


def last_policy(entries: Sequence[DecisionEntry]) -> DecisionEntry | None:
    """The entry of the policy by which this home audited last; None before the first such audit."""
    return next((entry for entry in reversed(entries) if entry.kind == "policy"), None)


def refuse_policy(policy: Policy, entries: Sequence[DecisionEntry]) -> None:
    """Refuse a policy with other limits or signatories than the home's last one, unless it was agreed.

    Names under `[[changes]]` can be typed by anybody: where signatories are on record, two of them sign the file.

    Raises
    ------
    ConfigurationError
        Names the setting, or the signatories that are on record.
    """
    from dnapredict.fairness.publish.change_since import refuse_changed_settings

    last = last_policy(entries)
    if last is None:
        return
    refuse_changed_settings(policy, json.loads(last["settings"]))
    before = json.loads(last["signatories"])
    if not before or last["policy"] == policy_digest(policy):
        return
    same_people = signatories_json(policy) == last["signatories"]
    if same_people and _same(last["settings"], settings_of(policy)):
        return
    names = {_folded(each["name"]) for each in before}
    what = "limits" if same_people else "signatories"
    wanted = [change for change in policy.changes if same_people or change.limit == "signatories"]
    agreed = [{_folded(name) for name in (each.by, each.seconded_by)} for each in wanted]
    if not agreed or not agreed[-1] <= names:
        who = ", ".join(each["name"] for each in before)
        raise ConfigurationError(
            f"fairness policy: its {what} are not those on record in this home. A change needs an entry under "
            f"[[changes]] by two of the signatories on record: {who}."
        )
    if lacking := sorted(agreed[-1] - _consenting(entries, policy, since=last)):
        who = " and ".join(each["name"] for each in before if _folded(each["name"]) in lacking)
        raise ConfigurationError(
            f"fairness policy: {who} named under [[changes]] must sign this very file, with their own key: "
            "`dnapredict sign POLICY.toml --name NAME --role ROLE --decision approve --reason REASON`."
        )


def _consenting(entries: Sequence[DecisionEntry], policy: Policy, *, since: DecisionEntry) -> set[str]:
    """Names of those who signed a policy after the one that is on record was entered."""
    digest = policy_digest(policy)
    signed = (entry for entry in entries if entry.kind == "consent" and entry["policy"] == digest)
    return {_folded(entry["name"]) for entry in signed if entry.number > since.number}


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def refuse_made_up_report(entries: Iterable[DecisionEntry], *, page: str, figures: str, named: Path) -> None:
    """Refuse to compare with a report that no audit of this home wrote.

    Parameters
    ----------
    page, figures
        SHA-256 of `report.html` and `audit.json` in the folder `named`; "" for a file that is not there.

    Raises
    ------
    UsageError
    """
    audits = [entry for entry in entries if entry.kind == "audit"]
    for entry in audits:
        files = json.loads(entry["files"] or "{}")
        if figures and figures == files.get("audit.json"):
            return
        if not files and page and page == entry["report"]:
            return
    if audits:
        raise UsageError(
            f"{named}: is no report of an audit in this home, so that nothing is compared with it. Name an earlier "
            "report of this home, or leave out --previous: the last audit of the home is taken."
        )


@dataclass(frozen=True)
class ModelsAudited:
    """Other models that were audited in a home, by content: of several attempts one may pass by chance.

    `not_passed` of the `models` failed an audit or were rejected, in whatever version.
    """

    models: int
    not_passed: int


def other_models_audited(entries: Iterable[DecisionEntry], *, content: str) -> ModelsAudited:
    """The models other than that of `content` that were audited for lists, and how many of them did not pass."""
    audited, not_passed = set[str](), set[str]()
    for entry in entries:
        if entry.kind == "audit" and judges_lists(entry):
            audited.add(entry["content"])
        if (entry.kind == "audit" and entry["verdict"] == FAILED) or entry["decision"] == "reject":
            not_passed.add(entry["content"])
    audited.discard(content)
    return ModelsAudited(len(audited), len(audited & not_passed))


def recorded_evidence(entries: Iterable[DecisionEntry], *, content: str) -> "Iterator[EvidenceIncrement]":
    """The evidence of every audit of a model, oldest first."""
    from dnapredict.fairness.compare.e_values import EvidenceIncrement

    for entry in entries:
        if entry.kind == "audit" and entry["content"] == content:
            for values in json.loads(entry["evidence"] or "[]"):
                days = {name: datetime.date.fromisoformat(values[name]) for name in ("first", "last")}
                yield EvidenceIncrement(**(values | days))

"""Create the ledger of a home of an earlier release from the records in MLflow."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dnapredict.errors import DnapredictError, ModelError, StoreError
from dnapredict.registry.decision_ledger import FOLDER, DecisionEntry, Decisions, NewEntry
from dnapredict.registry.judgement import Identity, identity_of, judgement
from dnapredict.registry.mlflow_store import CHAMPION, MODEL_NAME, Store
from dnapredict.registry.promotion import kept_reports, refuse_by_audit, refuse_unskilled
from dnapredict.registry.signatures import data_of

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


_LOG: Final = logging.getLogger("dnapredict.registry")
_ADOPTED: Final = {"adopted": "yes"}
_TAG_OF_KEY: Final = {"name": "signed_by", "role": "signed_role", "reason": "signed_reason", "signed_at": "signed_at"}


def adopt(store: Store, ledger: Decisions) -> None:
    """Create the ledger of a home from the trainings, audits and decisions in its MLflow store.

    Every kept signature counts, so that a rejection is in force again even if a later audit replaced its report. The
    champion stays in use if `promote` would allow it today; otherwise a warning says why not.
    """
    with store.errors_as_messages():
        records = store.client.search_model_versions(f"name='{MODEL_NAME}'")
    versions = sorted(records, key=lambda version: int(version.version))
    events = [event for version in versions for event in _history(store, version)]
    entries = [event.entry for event in sorted(events, key=lambda event: event.at)]
    promotions = _promotions(store, versions, entries)
    ledger.create([*entries, *promotions])
    if entries:
        _report(store, promotions)


class _Event(NamedTuple):
    """An entry and its time, by which the entries of all versions are sorted."""

    at: str
    entry: NewEntry


def _history(store: Store, version: Any) -> Iterator[_Event]:
    """Training, last audit and every signature of one version."""
    tags = version.tags
    try:
        identity = identity_of(store, version, ())
    except ModelError:  # its files are missing or changed, so that it cannot be loaded anyway
        return
    verdicts = {key: tags[key] for key in ("skill", "skill_verdict", "leak_alarm") if tags.get(key)}
    yield _Event("", NewEntry("training", identity.data | verdicts | _ADOPTED))
    report, audited_at = tags.get("audit_sha256", ""), tags.get("audited_at", "")
    if tags.get("audit_verdict"):
        audit = {"report": report, "verdict": tags["audit_verdict"], "audited_at": audited_at}
        yield _Event(audited_at, NewEntry("audit", identity.data | audit | _ADOPTED))
    for decision in _decisions(store, version, identity):
        at = decision["signed_at"]
        at = max(at, audited_at) if decision["report"] == report else at
        yield _Event(at, NewEntry("decision", decision | _ADOPTED))


def _decisions(store: Store, version: Any, identity: Identity) -> Iterator[dict[str, str]]:
    """Every kept signature, and a rejection of which only MLflow's tags are left."""
    tags, report = version.tags, version.tags.get("audit_sha256", "")
    signed = [data_of(each, content=identity.content) for each in _signatures(store, version, identity)]
    yield from signed
    if tags.get("signed_decision") == "reject" and report not in {each["report"] for each in signed}:
        decision = {key: tags.get(tag, "") for key, tag in _TAG_OF_KEY.items()}
        yield identity.data | decision | {"report": report, "decision": "reject"}


def _signatures(store: Store, version: Any, identity: Identity) -> Iterator["Signature"]:
    from dnapredict.fairness.signing import signature_of  # imports libraries that take seconds

    for folder in kept_reports(store, version):
        try:
            signature = signature_of(folder)
        except StoreError as error:
            _LOG.warning("%s", error)
            continue
        if signature is not None and signature.model_sha256 == identity.model:
            yield signature


def _promotions(store: Store, versions: list[Any], entries: list[NewEntry]) -> list[NewEntry]:
    """Promotions of the champion and its predecessors, oldest first; none where the champion is refused."""
    try:
        name = str(store.version(CHAMPION).version)
    except ModelError:
        return []
    trained = {entry.data["version"]: entry.data for entry in entries if entry.kind == "training"}
    tags = {str(version.version): version.tags for version in versions if str(version.version) in trained}
    chain: list[str] = []
    while name in tags and name not in chain and tags[name].get("promoted_at"):
        chain.append(name)
        name = tags[name].get("champion_before", "")
    if not chain:
        return []
    try:
        _refuse(trained[chain[0]], entries)
    except DnapredictError as error:
        _LOG.warning("%s: %s", store.home, error)
        return []
    return [
        NewEntry("promotion", {key: trained[name][key] for key in ("version", "model", "content")} | _ADOPTED)
        for name in reversed(chain)
    ]


def _refuse(champion: Any, entries: list[NewEntry]) -> None:
    unsealed = [DecisionEntry(number=0, kind=kind, at="", by="", data=dict(data), seal="") for kind, data in entries]
    refuse_unskilled(champion["version"], champion)
    judged = judgement(unsealed, champion["version"], model=champion["model"], content=champion["content"])
    refuse_by_audit(champion["version"], judged, action="used")


def _report(store: Store, promotions: list[NewEntry]) -> None:
    champion = (
        f"Version {promotions[-1].data['version']} stays in use as its audit and decision allow."
        if promotions
        else "No version is in use until `dnapredict promote V` puts one in use."
    )
    _LOG.warning(
        "%s: decisions are kept in its folder %s from now on; audits and signatures were taken over from "
        "MLflow this once. %s",
        store.home,
        FOLDER,
        champion,
    )

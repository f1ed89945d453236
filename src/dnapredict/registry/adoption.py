"""A home that was made before decisions were kept in a ledger: what MLflow tells of it is taken over once."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dnapredict.errors import DnapredictError, ModelError, StoreError
from dnapredict.registry.decision_ledger import FOLDER, DecisionEntry, Decisions, Draft
from dnapredict.registry.mlflow_store import CHAMPION, MODEL_NAME, Store
from dnapredict.registry.promotion import judgement, kept_reports, refuse_against_audit, refuse_unskilled
from dnapredict.registry.signatures import data_of
from dnapredict.registry.version_identity import Identity, identity_of

if TYPE_CHECKING:
    from dnapredict.fairness.signing import Signature


_LOG: Final = logging.getLogger("dnapredict.registry")
_ADOPTED: Final = {"adopted": "yes"}


def adopt(store: Store, ledger: Decisions) -> None:
    """Begin the ledger of a home with what its MLflow store tells of trainings, audits and decisions.

    Each signature that is kept counts, so that a reviewer's no that a later audit covered up is in force
    again. The champion stays in use if `promote` would put it in use today; otherwise a warning says why not.
    """
    found = _versions(store)
    told = [moment for version in found for moment in _history(store, version)]
    drafts = [moment.draft for moment in sorted(told, key=lambda moment: moment.at)]
    used = _used(store, found, drafts)
    ledger.begin([*drafts, *used])
    if drafts:
        _tell(store, used)


class _Moment(NamedTuple):
    """What happened, and when: in the order of time, whatever the version."""

    at: str
    draft: Draft


def _versions(store: Store) -> list[Any]:
    with store.sentences():
        found = list(store.client.search_model_versions(f"name='{MODEL_NAME}'"))
    return sorted(found, key=lambda version: int(version.version))


def _history(store: Store, found: Any) -> Iterator[_Moment]:
    """Training, last audit and every signature of one version."""
    tags = found.tags
    try:
        identity = identity_of(store, found, ())
    except ModelError:  # its files are gone or changed, so that it can never be loaded
        return
    told = {key: tags[key] for key in ("skill", "skill_verdict", "leak_alarm") if tags.get(key)}
    yield _Moment("", Draft("training", identity.data | told | _ADOPTED))
    report, audited_at = tags.get("audit_sha256", ""), tags.get("audited_at", "")
    if tags.get("audit_verdict"):
        audit = {"report": report, "verdict": tags["audit_verdict"], "audited_at": audited_at}
        yield _Moment(audited_at, Draft("audit", identity.data | audit | _ADOPTED))
    for decision in _decisions(store, found, identity):
        at = decision["signed_at"]
        at = max(at, audited_at) if decision["report"] == report else at
        yield _Moment(at, Draft("decision", decision | _ADOPTED))


def _decisions(store: Store, found: Any, identity: Identity) -> Iterator[dict[str, str]]:
    """Every signature that is kept, and a reject of which only MLflow's tags are left."""
    tags, report = found.tags, found.tags.get("audit_sha256", "")
    signed = [data_of(each, content=identity.content) for each in _signatures(store, found, identity)]
    yield from signed
    if tags.get("signed_decision") == "reject" and report not in {each["report"] for each in signed}:
        keys = {
            "name": "signed_by",
            "role": "signed_role",
            "reason": "signed_reason",
            "signed_at": "signed_at",
        }
        told = {key: tags.get(tag, "") for key, tag in keys.items()}
        yield identity.data | told | {"report": report, "decision": "reject"}


def _signatures(store: Store, found: Any, identity: Identity) -> Iterator["Signature"]:
    from dnapredict.fairness.signing import signature_of  # with it come libraries that take seconds

    for folder in kept_reports(store, found):
        try:
            signature = signature_of(folder)
        except StoreError as error:
            _LOG.warning("%s", error)
            continue
        if signature is not None and signature.model_sha256 == identity.model:
            yield signature


def _used(store: Store, versions: list[Any], drafts: list[Draft]) -> list[Draft]:
    """Promotions of the champion and of those before it, oldest first; none where it may not be used."""
    try:
        name = str(store.found(CHAMPION).version)
    except ModelError:
        return []
    trained = {draft.data["version"]: draft.data for draft in drafts if draft.kind == "training"}
    tags = {str(found.version): found.tags for found in versions if str(found.version) in trained}
    chain: list[str] = []
    while name in tags and name not in chain and tags[name].get("promoted_at"):
        chain.append(name)
        name = tags[name].get("champion_before", "")
    if not chain:
        return []
    try:
        _refuse(trained[chain[0]], drafts)
    except DnapredictError as error:
        _LOG.warning("%s: %s", store.home, error)
        return []
    return [
        Draft("promotion", {key: trained[name][key] for key in ("version", "model", "content")} | _ADOPTED)
        for name in reversed(chain)
    ]


def _refuse(champion: Any, drafts: list[Draft]) -> None:
    entries = [
        DecisionEntry(number=0, kind=draft.kind, at="", by="", data=dict(draft.data), seal="") for draft in drafts
    ]
    refuse_unskilled(champion["version"], champion)
    found = judgement(entries, champion["version"], model=champion["model"], content=champion["content"])
    refuse_against_audit(champion["version"], found, done="used")


def _tell(store: Store, used: list[Draft]) -> None:
    champion = (
        f"Version {used[-1].data['version']} stays in use as its audit and decision allow."
        if used
        else "No version is in use until `dnapredict promote V` puts one in use."
    )
    _LOG.warning(
        "%s: decisions are kept in its folder %s from now on; audits and signatures were taken over from "
        "MLflow this once. %s",
        store.home,
        FOLDER,
        champion,
    )

"""Report a trial of the calls: the effect by its arms and the outcomes read so far, and the ranking it supports."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.files.digests import file_sha256
from dnapredict.errors import ModelError, UsageError
from dnapredict.pipeline.in_use.trial_planning import registered_trials
from dnapredict.pipeline.in_use.trial_state import keep_reported
from dnapredict.pipeline.run_inputs import code_revision
from dnapredict.registry import Registry
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.trial.pre_registration import FOLDER, PreRegistration
from dnapredict.worklist.calls.trial_register import appointments_listed
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.benefit_ranking import FILE, write_benefit_model

if TYPE_CHECKING:
    from dnapredict.trial.trial_result import RegisteredTrial, TrialResult

_YES: Final = "true"


@dataclass(frozen=True)
class TrialReport:
    """The result of a trial report, its page, and the benefit model that it wrote; None where risk ranks as well."""

    result: "TrialResult"
    page: Path
    benefit_model: Path | None


def report_trial(
    home: Path,
    out: Path,
    *,
    name: str | None = None,
    policy: Policy | None = None,
    pounds_per_call: float | None = None,
    say: Callable[[str], None] | None = None,
) -> TrialReport:
    """Write the report of a trial of `home` into the folder `out`.

    Where the planned analysis shows that ranking by benefit keeps more appointments, the benefit model is written to
    `HOME/trial/benefit.json`; lists use it once `rank_by = "benefit"` stands in serving/worklist.toml, and an audit by
    that rule decides on it as on any list. The home keeps the claim, for the page of the week, and MLflow a run of the
    report.

    Parameters
    ----------
    name
        The trial; by default the one with the latest appointments.
    policy
        Whose rule of disclosure holds; by default fairness/policy.toml.
    pounds_per_call
        What a call costs, for the cost of an appointment that is kept.
    say
        Receives a warning where comparisons with other reports are not protected.

    Raises
    ------
    UsageError
        If the home has no trial of that name, a call costs less than nothing, or `out` holds something else.
    StoreError
        If no outcomes were read yet, or the store, the ledger or a registration is damaged.
    """
    from dnapredict.fairness import remembered  # fairlearn and matplotlib take seconds to import
    from dnapredict.trial.trial_assessment import assess_trial, trial_window
    from dnapredict.trial.trial_report import ReportProvenance, as_json, require_free, write_report

    if pounds_per_call is not None and pounds_per_call < 0:
        raise UsageError(f"A call that costs {pounds_per_call} pounds was given; expected 0 or more.")
    require_free(out)
    began = datetime.datetime.now(datetime.UTC)
    store, registry = OutcomeStore(home), Registry(home)
    rows = store.read()
    trial = _registered(_name_of(rows, name), registry, home=home)
    digest, rule = file_sha256(store.path), (policy or load(shipped("fairness/policy.toml"), Policy)).disclosure
    window = trial_window(rows, trial.name) or (datetime.date.min, datetime.date.min)
    with remembered(home) as memory:
        if memory.note and say is not None:
            say(f"WARNING: {memory.note}")
        before = memory.before("trial", window, data_sha256=digest, listed=(trial.name,))
        result = assess_trial(
            rows,
            trial,
            rule=rule,
            before=before,
            pounds_per_call=pounds_per_call,
            lost=_lost(rows, trial.name, home=home),
        )
        told = " ".join(filter(None, (memory.note, result.not_protected)))
        result = replace(result, not_protected=told)
        provenance = ReportProvenance(digest, code_revision(), synthetic=_is_synthetic(rows, registry))
        memory.keep(result.publication)
        page = write_report(result, out, provenance=provenance, rule=rule)
    versions = _versions_of(rows.filter(pc.equal(rows["trial"], trial.name)))
    keep_reported(result, home, versions=versions, synthetic=provenance.synthetic)
    text = page.read_bytes().decode()
    registry.log_trial(versions, figures=as_json(result, provenance), page=text, began=began)
    return TrialReport(result, page, _kept_model(result, home))


def _kept_model(result: "TrialResult", home: Path) -> Path | None:
    """Write the benefit model where the trial supports one. An earlier one stays: another trial may have shown it."""
    if result.ranking.model is None:
        return None
    path = home / FOLDER / FILE
    write_benefit_model(result.ranking.model, path)
    return path


def _name_of(rows: pa.Table, name: str | None) -> str:
    """The trial to report: that of the latest appointments by default."""
    of_trials = rows.filter(pc.is_valid(rows["trial"]))
    names = sorted(pc.unique(of_trials["trial"]).to_pylist())
    if name is not None and name not in names:
        known = f"It knows: {', '.join(names)}." if names else "It knows none."
        raise UsageError(f"The outcome store of this home has no appointment of a trial '{name}'. {known}")
    if not names:
        raise UsageError(
            "The outcome store of this home has no appointment of a trial. Describe one as [trial] in "
            "serving/worklist.toml, register it with 'dnapredict trial plan', and read its outcomes with "
            "'dnapredict outcomes EXTRACT'."
        )
    if name is not None:
        return name
    latest = of_trials.take(pc.sort_indices(of_trials, sort_keys=[("starts_at", "descending")])[:1])
    return str(latest["trial"][0].as_py())


def _registered(name: str, registry: Registry, *, home: Path) -> "RegisteredTrial":
    """What was fixed of a trial before its first call."""
    from dnapredict.trial.trial_result import RegisteredTrial

    entries = registry.entries()
    registered = registered_trials(entries, home=home)
    registration = registered.get(name)
    if registration is None:
        return RegisteredTrial(name, "not registered")
    settings, sizes = registration.settings, registration.sizes
    is_late = any(
        _day_of(entry) > settings.start for entry in entries if entry.kind == "trial" and entry["name"] == name
    )
    return RegisteredTrial(
        name,
        # The first entry cannot be late: `trial plan` refuses a start in the past.
        "amended" if is_late else "registered",
        start=settings.start,
        end=settings.end,
        planned_appointments=None if sizes is None else sizes.called + sizes.held_out,
        share_held_out=float(settings.share),
        earlier_trials=_earlier_trials(registered, settings.start),
    )


def _earlier_trials(registered: "dict[str, PreRegistration]", start: datetime.date) -> tuple[str, ...]:
    """The names of the trials with an earlier start, in order of it: each had a chance of its own to show an effect."""
    settings = sorted((each.settings for each in registered.values()), key=lambda each: each.start)
    return tuple(each.name for each in settings if each.start < start)


def _lost(rows: pa.Table, name: str, *, home: Path) -> int:
    """Appointments of the trial that were on a list before the last one in the store, and are not in the store."""
    listed = rows.filter(pc.equal(rows["trial"], name))["scored_at"].cast("date32")
    last = pc.max(listed).as_py()
    if last is None:
        return 0
    stored = pc.sum(pc.less(listed, pa.scalar(last))).as_py() or 0
    return max(0, appointments_listed(home, name, before=last) - int(stored))


def _day_of(entry: DecisionEntry) -> datetime.date:
    return datetime.datetime.fromisoformat(entry.at).date()


def _is_synthetic(rows: pa.Table, registry: Registry) -> bool:
    """Whether a model scored these appointments that was trained on made-up patients."""
    return any(_tag(registry, version) == _YES for version in _versions_of(rows))


def _versions_of(rows: pa.Table) -> tuple[str, ...]:
    """The versions that scored these appointments."""
    return tuple(sorted(pc.unique(rows["model_version"].drop_null()).to_pylist()))


def _tag(registry: Registry, version: str) -> str:
    try:
        return registry.tags(version).get("synthetic", "")
    except ModelError:
        return ""  # scored by a version of another home

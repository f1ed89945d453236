"""Plan a trial of the calls: its size from the trust's own figures, its registration, and whether it runs on a day."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.trial_config import AMENDABLE, TrialConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract import codes
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.errors import ConfigurationError, UsageError
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.registry import Registry
from dnapredict.registry.decision_ledger import DecisionEntry
from dnapredict.trial.pre_registration import (
    FOLDER,
    ArmSizes,
    PreRegistration,
    changed_settings,
    read_registration,
    refuse_changes,
    registration_file,
)
from dnapredict.trial.trial_design import (
    EVIDENCE_RELATIVE_RISK,
    TrialInputs,
    TrialSize,
    design_effect,
    detectable_relative_risk,
    intracluster_correlation,
    relative_risk_of_reached,
    size_for,
)
from dnapredict.worklist.calls.trial_register import TrialRegister, another_secret
from dnapredict.worklist.files import list_store
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
from dnapredict.worklist.plan.working_days import local_today

# Below it a share is chance, and a count may point at a patient.
_FEWEST_APPOINTMENTS: Final = 100
_ASSUMED_DESIGN_EFFECT: Final = 1.1
_DEFAULT_SHARE: Final = 0.2
_DAYS_A_WEEK: Final = 7


@dataclass(frozen=True)
class TrustFigures:
    """What the home knows of its calls.

    Attributes
    ----------
    calls_a_week
        Planned calls in a week with a list.
    share_missed
        Share of the planned calls that are missed without a call: by outcome of those held out, or else by risk.
    design_effect, share_reached
        None if it is not known.
    source
        Where the figures come from, in words.
    """

    calls_a_week: float
    share_missed: float
    source: str
    design_effect: float | None = None
    share_reached: float | None = None


@dataclass(frozen=True)
class PlannedTrial:
    """The plan of a trial.

    Attributes
    ----------
    trial
        The trial of serving/worklist.toml; None without one. Without it or a model nothing is registered.
    inputs, size
        None if there are no figures.
    detectable
        The relative risk that the trial can show by its end; None without a trial or figures, or if it can show none.
    registration, file
        What is registered, and its file.
    is_new
        Whether it was registered now.
    """

    trial: TrialConfig | None
    figures: TrustFigures | None
    inputs: TrialInputs | None
    size: TrialSize | None
    relative_risk: float
    detectable: float | None
    registration: PreRegistration | None = None
    file: Path | None = None
    is_new: bool = False

    @property
    def weeks_planned(self) -> float | None:
        """Weeks from the start to the end of the trial."""
        return None if self.trial is None else _weeks(self.trial)

    @property
    def reached_relative_risk(self) -> float | None:
        """The relative risk that a call must have for those whom it reaches; None if nobody knows whom it reaches."""
        share = self.figures.share_reached if self.figures else None
        return relative_risk_of_reached(self.relative_risk, share) if share else None


def plan_trial(
    home: Path,
    *,
    relative_risk: float = EVIDENCE_RELATIVE_RISK,
    calls_a_week: float | None = None,
    share_missed: float | None = None,
    amend: str | None = None,
    worklist: WorklistConfig | None = None,
) -> PlannedTrial:
    """Plan the trial of serving/worklist.toml and register it, unless it is registered as it is.

    Parameters
    ----------
    relative_risk
        The effect that is looked for: the share missed with a planned call divided by the share missed without.
    calls_a_week, share_missed
        In place of the figures of the home.
    amend
        The reason for an amendment of the registered trial.
    worklist
        In place of serving/worklist.toml.

    Raises
    ------
    UsageError
        If a figure is out of range, or there is nothing to amend.
    ConfigurationError
        If the trial begins in the past, overlaps with another, or was changed in a way that cannot be amended.
    """
    if not 0 < relative_risk < 1:
        raise UsageError(f"A relative risk of {relative_risk} was asked for; expected a number between 0 and 1.")
    if amend is not None and not amend.strip():
        raise UsageError("--amend needs the reason for the amendment, in words.")
    trial = (worklist or worklist_config()).trial
    figures = _given(trust_figures(home), calls_a_week=calls_a_week, share_missed=share_missed)
    inputs = None if figures is None else _inputs(figures, trial)
    planned = PlannedTrial(
        trial=trial,
        figures=figures,
        inputs=inputs,
        size=None if inputs is None else size_for(inputs, relative_risk),
        relative_risk=relative_risk,
        detectable=None if inputs is None or trial is None else detectable_relative_risk(inputs, weeks=_weeks(trial)),
    )
    return planned if trial is None else _registered(planned, trial, Registry(home), home=home, amend=amend)


def trial_on(day: datetime.date, *, home: Path, worklist: WorklistConfig) -> TrialRegister | None:
    """The register of the trial that runs on `day`; None where none does.

    A clock that is turned back ends no trial: the day is never before the last entry of the ledger, nor before the
    last list of the trial.

    Raises
    ------
    ConfigurationError
        If the trial that should run is not registered, was changed since, or is missing from serving/worklist.toml.
    StoreError
        If the ledger, the registration or the register of the trial cannot be used.
    SecretError
        If the secret of the arms is not the registered one.
    """
    trial = worklist.trial
    if trial is None and not (home / FOLDER).is_dir():
        return None
    entries = Registry(home).entries()
    day = max([day, *(datetime.datetime.fromisoformat(entry.at).date() for entry in entries[-1:])])
    registered = registered_trials(entries, home=home)
    _refuse_unnamed(trial, registered, day)
    if trial is None:
        return None
    register = TrialRegister(home, trial, day)
    day = max(day, register.last_day or day)
    if not trial.runs_on(day):
        return None
    if trial.name not in registered:
        raise ConfigurationError(
            f"serving/worklist.toml: the trial '{trial.name}' began on {trial.start} and is not registered. Register "
            "it before the first call, with a start from today on: dnapredict trial plan"
        )
    refuse_changes(trial, registered[trial.name].settings)
    register = TrialRegister(home, trial, day)
    mark = registered[trial.name].secret_mark
    if mark and register.secret_mark != mark:
        raise another_secret(home)
    return register


def registered_trials(entries: Sequence[DecisionEntry], *, home: Path) -> dict[str, PreRegistration]:
    """The registration of each trial of a home by name, as last amended.

    Raises
    ------
    StoreError
        If one is not what was registered.
    """
    last = {entry["name"]: entry["sha256"] for entry in entries if entry.kind == "trial"}
    return {name: read_registration(home, name, sha256=sha256) for name, sha256 in last.items()}


def trust_figures(home: Path) -> TrustFigures | None:
    """What the home knows of its calls: from the outcome store, or else from the kept lists; None if too little."""
    store = OutcomeStore(home)
    found = _of_outcomes(store.read()) if store.exists else None
    return found or _of_lists(home)


def _of_outcomes(rows: pa.Table) -> TrustFigures | None:
    is_control = pc.fill_null(pc.equal(rows["trial_arm"], "CONTROL"), False)
    planned = rows.filter(pc.or_(pc.fill_null(rows["selected"], False), is_control))
    calls = planned.filter(pc.fill_null(planned["selected"], False))
    if calls.num_rows < _FEWEST_APPOINTMENTS:
        return None
    weeks = np.unique(week_of(calls["starts_at"].to_numpy().astype("datetime64[D]")))
    share, source = _share_missed(rows.filter(is_control), calls)
    return TrustFigures(
        calls_a_week=calls.num_rows / len(weeks),
        share_missed=share,
        source=f"the outcome store ({source})",
        design_effect=_design_effect_of(planned),
        share_reached=float(pc.mean(pc.fill_null(calls["reached"], False).cast("float64")).as_py()),
    )


def _share_missed(held_out: pa.Table, calls: pa.Table) -> tuple[float, str]:
    """The share missed without a call, and what it is taken from."""
    outcomes = _recorded(held_out)
    if outcomes.num_rows >= _FEWEST_APPOINTMENTS:
        return _mean(pc.fill_null(outcomes["missed"], False)), "outcomes of appointments held out earlier"
    # A risk is of appointments that are not cancelled, and the trial counts those as not missed.
    known = _recorded(calls)
    took_place = _mean(known["missed"].is_valid()) if known.num_rows >= _FEWEST_APPOINTMENTS else 1.0
    return took_place * _mean(calls["probability"]), "risks of the planned calls"


def _recorded(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.is_in(rows["outcome_code"], pa.array(codes.RECORDED)))


def _mean(values: pa.ChunkedArray) -> float:
    return float(pc.mean(values.cast("float64")).as_py())


def _design_effect_of(planned: pa.Table) -> float:
    known = planned.filter(pc.is_valid(planned["patient"]))
    patient = np.asarray(known["patient"].combine_chunks().dictionary_encode().indices)
    if not len(patient):
        return _ASSUMED_DESIGN_EFFECT
    has_outcome = known["missed"].is_valid().to_numpy()
    missed = pc.fill_null(known["missed"], False).to_numpy()[has_outcome].astype(bool)
    correlation = intracluster_correlation(missed, patient[has_outcome].astype(np.int64)) if has_outcome.any() else 0.0
    return design_effect(np.bincount(patient).astype(np.int64), correlation)


def _of_lists(home: Path) -> TrustFigures | None:
    """Figures of the lists that are kept; an appointment of several exports counts once."""
    risk_of: dict[str, float] = {}
    weeks: set[int] = set()
    for path in list_store.kept_files(home):
        kept = list_store.find(home, path.stem)
        if kept is None:
            continue
        rows = kept.worklist.filter(pc.fill_null(kept.worklist["selected"], False))
        names, risks = rows["appointment_id"].to_pylist(), rows["probability"].to_pylist()
        risk_of |= {str(name): risk for name, risk in zip(names, risks, strict=True) if risk is not None}
        weeks.add(int(week_of(np.array([kept.heading.day], dtype="datetime64[D]"))[0]))
    if len(risk_of) < _FEWEST_APPOINTMENTS:
        return None
    return TrustFigures(len(risk_of) / len(weeks), float(np.mean(list(risk_of.values()))), "the kept lists (risks)")


def _given(
    known: TrustFigures | None, *, calls_a_week: float | None, share_missed: float | None
) -> TrustFigures | None:
    """The figures with those that were given in place of known ones."""
    if calls_a_week is not None and calls_a_week <= 0:
        raise UsageError(f"--calls-a-week {calls_a_week}: expected a number above 0.")
    if share_missed is not None and not 0 < share_missed < 1:
        raise UsageError(f"--share-missed {share_missed}: expected a share between 0 and 1.")
    calls = calls_a_week or (known.calls_a_week if known else None)
    share = share_missed or (known.share_missed if known else None)
    if calls is None or share is None:
        return None
    if known is None:
        return TrustFigures(calls, share, "the figures given")
    source = known.source if (calls_a_week, share_missed) == (None, None) else f"{known.source}, and figures given"
    return TrustFigures(calls, share, source, known.design_effect, known.share_reached)


def _inputs(figures: TrustFigures, trial: TrialConfig | None) -> TrialInputs:
    return TrialInputs(
        calls_a_week=figures.calls_a_week,
        share_missed=figures.share_missed,
        share_held_out=_DEFAULT_SHARE if trial is None else float(trial.share),
        design_effect=figures.design_effect or _ASSUMED_DESIGN_EFFECT,
    )


def _weeks(trial: TrialConfig) -> float:
    return ((trial.end - trial.start).days + 1) / _DAYS_A_WEEK


def _registered(
    planned: PlannedTrial, trial: TrialConfig, registry: Registry, *, home: Path, amend: str | None
) -> PlannedTrial:
    entries = registry.entries()
    if not entries:
        return planned  # without a model no list is scored, and there is no ledger yet
    known = registered_trials(entries, home=home)
    today = max([local_today(), *(datetime.datetime.fromisoformat(entry.at).date() for entry in entries[-1:])])
    before = known.get(trial.name)
    if before is not None and not changed_settings(trial, before.settings):
        if amend is not None:
            raise UsageError(f"The trial '{trial.name}' is as it was registered: there is nothing to amend.")
        return _with(planned, before, home=home)
    if before is None:
        _refuse_late(trial, today)
    elif amend is None:
        refuse_changes(trial, before.settings)
    else:
        _refuse_amendment(trial, before, TrialRegister(home, trial, today))
    _refuse_overlap(trial, known)
    registration = PreRegistration(
        registered_on=today,
        settings=trial,
        share_drawn=str(trial.share),
        sizes=_sizes(planned),
        secret_mark=_secret_mark(TrialRegister(home, trial, today), before),
    )
    registration.write(home)
    reason = {} if amend is None else {"reason": amend.strip()}
    registry.enter("trial", {"name": trial.name, "sha256": registration.sha256, "until": str(trial.end)} | reason)
    return _with(planned, registration, home=home, is_new=True)


def _secret_mark(register: TrialRegister, before: PreRegistration | None) -> str:
    """The mark of the secret, which an amendment keeps."""
    mark = register.secret_mark
    if before is not None and before.secret_mark not in {"", mark}:
        raise another_secret(register.home)
    return mark


def _with(planned: PlannedTrial, registration: PreRegistration, *, home: Path, is_new: bool = False) -> PlannedTrial:
    values: dict[str, Any] = vars(planned) | {
        "registration": registration,
        "file": registration_file(home, registration.settings.name),
        "is_new": is_new,
    }
    return PlannedTrial(**values)


def _sizes(planned: PlannedTrial) -> ArmSizes | None:
    if planned.size is None or planned.inputs is None or planned.weeks_planned is None:
        return None
    inputs, size = planned.inputs, planned.size
    return ArmSizes(
        called=size.called,
        held_out=size.held_out,
        weeks_needed=size.weeks,
        weeks_planned=round(planned.weeks_planned, 1),
        relative_risk_looked_for=planned.relative_risk,
        detectable_relative_risk=None if planned.detectable is None else round(planned.detectable, 3),
        share_missed=round(inputs.share_missed, 4),
        calls_a_week=round(inputs.calls_a_week, 1),
        design_effect=round(inputs.design_effect, 3),
        power=inputs.power,
        alpha=inputs.alpha,
    )


def _refuse_late(trial: TrialConfig, today: datetime.date) -> None:
    if trial.start < today:
        raise ConfigurationError(
            f"serving/worklist.toml: [trial] start is {trial.start}, and today is {today}. A trial is registered "
            "before its first call: set a start from today on."
        )


def _refuse_amendment(trial: TrialConfig, before: PreRegistration, register: TrialRegister) -> None:
    """Once patients have an arm, nothing may change that decides on arms."""
    fixed = [name for name in changed_settings(trial, before.settings) if name not in AMENDABLE]
    if fixed and register.last_day is not None:
        raise ConfigurationError(
            f"serving/worklist.toml: [trial] '{trial.name}': {', '.join(fixed)} cannot be amended any more, since "
            "patients were allocated by it. Restore it, or give the changed trial another name; "
            f"{', '.join(AMENDABLE)} can be amended."
        )


def _refuse_overlap(trial: TrialConfig, known: dict[str, PreRegistration]) -> None:
    for name, other in known.items():
        if name != trial.name and _file_of(name) == _file_of(trial.name):
            raise ConfigurationError(
                f"serving/worklist.toml: [trial] '{trial.name}' is too like '{name}', which is registered: both would "
                "have one file. Give the trial another name."
            )
        if name != trial.name and trial.start <= other.settings.end and other.settings.start <= trial.end:
            raise ConfigurationError(
                f"serving/worklist.toml: [trial] '{trial.name}' overlaps with '{name}', which runs from "
                f"{other.settings.start} to {other.settings.end}. Begin after it, or amend its end first."
            )


def _file_of(name: str) -> str:
    # Windows and macOS take names that differ in case alone for one.
    return registration_file(Path(), name).name.casefold()


def _refuse_unnamed(trial: TrialConfig | None, known: dict[str, PreRegistration], day: datetime.date) -> None:
    """A trial that runs must be in the configuration, or its patients would be called who are held out."""
    for name, registration in known.items():
        if registration.settings.runs_on(day) and (trial is None or trial.name != name):
            raise ConfigurationError(
                f"serving/worklist.toml: the trial '{name}' is registered until {registration.settings.end} and is "
                "missing from [trial], so that patients who are held out would be called. Restore it. To end it "
                'earlier, set its end, and register that: dnapredict trial plan --amend "REASON"'
            )

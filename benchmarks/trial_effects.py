"""Simulated trials: do the intervals of `dnapredict.trial` hold, and does it claim what is not there?

    python -m benchmarks.trial_effects coverage     # 500 trials with a relative risk of 0.61 and 500 without an effect
    python -m benchmarks.trial_effects planned      # 500 trials of the size that `trial plan` says
    python -m benchmarks.trial_effects benefit      # a gain in middle risks only: by benefit against by risk
    python -m benchmarks.trial_effects hiv FILE     # a real trial: Thornton 2008, `thornton_hiv` of causaldata as CSV

One process, one thread (OMP_NUM_THREADS=1), each under five minutes.
"""

import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.fairness.measure.intervals import RateDifference
from dnapredict.fairness.measure.membership import Group, Grouping, Membership
from dnapredict.trial.benefit_learner import BenefitRows, cross_fit
from dnapredict.trial.effect_estimates import arm_scores, risk_design, risk_difference, share_treated
from dnapredict.trial.ranking_value import COMPARED_AT, ranking_value
from dnapredict.trial.sequential_intervals import END_ALPHA, LOOK_ALPHA, sequential_interval
from dnapredict.trial.subgroup_effects import group_effects
from dnapredict.trial.trial_design import FEWEST_MISSED, TrialInputs, design_effect, size_for

TRIALS = 500
WEEKS = 26
HELD_OUT = 0.3
APPOINTMENTS = 3_000
SEED = 20_261_129
_Z = NormalDist().inv_cdf(0.975)
_END_Z = NormalDist().inv_cdf(1 - END_ALPHA / 2)
_MEAN_ODDS, _SPREAD, _OF_PATIENT = -1.6, 0.7, 0.6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SimulatedTrial:
    """The appointments of a trial in order of time, arrays of one length."""

    patient: NDArray[np.int64]
    week: NDArray[np.int64]
    treated: NDArray[np.bool_]
    missed: NDArray[np.bool_]
    probability: Floats
    stratum: NDArray[np.int64]
    groups: tuple[Membership, ...]

    def estimate(self, seen: NDArray[np.bool_] | slice = slice(None)) -> RateDifference:
        """The effect on everyone, of the appointments `seen`."""
        treated = self.treated[seen]
        scores = arm_scores(
            self.missed[seen].astype(float),
            treated,
            share=share_treated(treated, self.stratum[seen]),
            design=risk_design(self.probability[seen]),
            cluster=self.patient[seen],
        )
        return risk_difference(scores)


def simulate(generator: np.random.Generator, appointments: int, relative_risk: float) -> SimulatedTrial:
    """A trial whose patients differ in ways that the risk does not know, and have several appointments each."""
    patients = int(appointments / 1.4)
    own = generator.normal(0, _OF_PATIENT, patients)
    patient = generator.integers(0, patients, appointments)
    odds = generator.normal(_MEAN_ODDS, _SPREAD, appointments)
    probability, without = expit(odds), expit(odds + own[patient])
    treated = (generator.random(patients) >= HELD_OUT)[patient]
    missed = generator.random(appointments) < np.where(treated, without * relative_risk, without)
    patient_groups = [(5, "imd_quintile"), (6, "ethnicity_5"), (7, "age")]
    groups = [
        _membership(generator.integers(0, number, patients)[patient], number, name) for number, name in patient_groups
    ]
    fifth = np.searchsorted(np.quantile(probability, [0.2, 0.4, 0.6, 0.8]), probability)
    groups += [_membership(fifth, 5, "risk"), _membership(generator.random(appointments) < 0.2, 2, "mode")]
    week = np.sort(generator.integers(0, WEEKS, appointments))
    return SimulatedTrial(
        patient, week, treated, missed, probability, (probability > 0.2).astype(np.int64), tuple(groups)
    )


def _membership(index: NDArray[np.generic], number: int, name: str) -> Membership:
    groups = tuple(Group(str(code), str(code)) for code in range(number))
    return Membership(Grouping(name, name, "", groups, str), groups, index.astype(np.int32))


def true_difference(relative_risk: float) -> float:
    """The true risk difference, by the mean over two million appointments."""
    generator = np.random.default_rng(SEED)
    odds = generator.normal(_MEAN_ODDS, _SPREAD, 2_000_000) + generator.normal(0, _OF_PATIENT, 2_000_000)
    return float(expit(odds).mean()) * (relative_risk - 1)


@dataclass(frozen=True)
class Verdicts:
    """What the report would say of one trial."""

    fixed_covers: bool
    looks_cover: bool
    claimed_by_a_look: bool
    claimed_at_the_end: bool
    heterogeneity: bool


def judge(trial: SimulatedTrial, truth: float, planned: int) -> Verdicts:
    """Look each week, and analyse once at the end."""
    cover, claimed, seen = True, False, np.zeros(len(trial.week), dtype=bool)
    for week in range(WEEKS):
        seen = trial.week <= week
        if min((trial.missed & seen & arm).sum() for arm in (trial.treated, ~trial.treated)) < FEWEST_MISSED:
            continue
        estimate, progress = trial.estimate(seen), float(seen.sum()) / planned
        interval = sequential_interval(estimate, progress=progress)
        cover &= interval.low <= truth <= interval.high
        claimed |= sequential_interval(estimate, progress=progress, alpha=LOOK_ALPHA).high < 0
    final = trial.estimate()
    fixed = final.interval(_Z)
    return Verdicts(
        bool(fixed.low <= truth <= fixed.high),
        bool(cover),
        bool(claimed),
        final.interval(_END_Z).high < 0,
        _differs(trial),
    )


def _differs(trial: SimulatedTrial) -> bool:
    scores = arm_scores(
        trial.missed.astype(float),
        trial.treated,
        share=share_treated(trial.treated, trial.stratum),
        design=risk_design(trial.probability),
        cluster=trial.patient,
    )
    effects = group_effects(scores, trial.groups, missed=trial.missed, treated=trial.treated)
    return any(one.differs for one in effects)


def coverage(relative_risk: float, *, trials: int = TRIALS, appointments: int = APPOINTMENTS) -> None:
    """Coverage, false claims and false heterogeneity."""
    start, generator = time.perf_counter(), np.random.default_rng(SEED)
    truth = true_difference(relative_risk)
    found = [judge(simulate(generator, appointments, relative_risk), truth, appointments) for _ in range(trials)]
    share = {name: 100 * np.mean([getattr(one, name) for one in found]) for name in Verdicts.__annotations__}
    claimed = 100 * np.mean([one.claimed_by_a_look or one.claimed_at_the_end for one in found])
    print(
        f"relative risk {relative_risk}, {trials} trials of {appointments:,}: 95% interval covers "
        f"{share['fixed_covers']:.1f}, "
        f"all weekly looks cover {share['looks_cover']:.1f}; benefit claimed {claimed:.1f} (at the end "
        f"{share['claimed_at_the_end']:.1f}, by a look {share['claimed_by_a_look']:.1f}); a group differs "
        f"{share['heterogeneity']:.1f} in 100 [{time.perf_counter() - start:.0f} s]"
    )


def planned(relative_risk: float = 0.61, trials: int = TRIALS) -> None:
    """The share of trials of the planned size in which the effect is found."""
    start, generator = time.perf_counter(), np.random.default_rng(SEED)
    without = -true_difference(0.0)
    sizes = np.bincount(simulate(generator, 20_000, 1.0).patient)
    effect = design_effect(sizes[sizes > 0])
    inputs = TrialInputs(calls_a_week=100, share_missed=without, share_held_out=HELD_OUT, design_effect=effect)
    appointments = size_for(inputs, relative_risk).appointments
    found = looks = 0
    for _ in range(trials):
        verdicts = judge(simulate(generator, appointments, relative_risk), 0.0, appointments)
        found += verdicts.claimed_at_the_end or verdicts.claimed_by_a_look
        looks += verdicts.claimed_by_a_look
    print(
        f"planned for a relative risk of {relative_risk} where {100 * without:.1f} of 100 are missed: {appointments:,} "
        f"appointments; found {100 * found / trials:.1f} in 100, {100 * looks / trials:.1f} of them by a look before "
        f"the end [{time.perf_counter() - start:.0f} s]"
    )


def benefit(trials: int = 60, appointments: int = 20_000) -> None:
    """A gain in middle risks only, and worlds where benefit is no better than risk."""
    worlds = {
        "gain in middle risks only": lambda odds, _: 0.6 * np.exp(-(((odds + 1.6) / 0.45) ** 2)),
        "the same relative risk": lambda odds, _: np.full(len(odds), 0.39),
        "no effect if remote": lambda _, remote: np.where(remote, 0.0, 0.45),
        "no effect": lambda odds, _: np.zeros(len(odds)),
    }
    for name, prevented in worlds.items():
        start, generator, rows = time.perf_counter(), np.random.default_rng(SEED), []
        for _ in range(trials):
            trial = simulate(generator, appointments, 1.0)
            odds = np.log(trial.probability / (1 - trial.probability))
            remote = trial.groups[-1].index == 1
            share = np.where(trial.treated, prevented(odds, remote), 0.0)
            missed = trial.missed & (generator.random(appointments) >= share)
            treated = share_treated(trial.treated, trial.stratum)
            inputs = BenefitRows(missed, trial.treated, treated, trial.probability, remote, trial.patient)
            fitted = cross_fit(inputs)
            value = ranking_value(
                fitted.scores, benefit=fitted.benefit, probability=trial.probability, calls=COMPARED_AT
            )
            rows.append((value.by_risk.value, value.by_benefit.value, value.gain.interval(_Z).low > 0))
        by_risk, by_benefit, chosen = np.array(rows, dtype=float).mean(axis=0)
        more = f"{100 * (by_benefit / by_risk - 1):+.0f}%" if by_risk > 0.002 else "-"
        print(
            f"{name}, {trials} trials of {appointments:,}, held-out arms: kept of 100 by risk {100 * by_risk:.2f}, by "
            f"benefit {100 * by_benefit:.2f} ({more}); benefit chosen {100 * chosen:.0f} in 100 "
            f"[{time.perf_counter() - start:.0f} s]"
        )


def hiv(path: Path) -> None:
    """Who fetched a test result, with and without an incentive drawn by lot; villages as clusters (Thornton 2008)."""
    with path.open(newline="") as file:
        known = [row for row in csv.DictReader(file) if row["got"] not in {"", "NA"} and row["any"] not in {"", "NA"}]
    got, treated = (np.array([float(row[name]) for row in known]) for name in ("got", "any"))
    village = np.unique([row["villnum"] for row in known], return_inverse=True)[1]
    arm = treated == 1
    for unit, cluster in (("people", np.arange(len(got))), ("villages", village)):
        share = np.full(len(arm), arm.mean())
        scores = arm_scores(got, arm, share=share, design=np.ones((len(arm), 1)), cluster=cluster)
        interval = risk_difference(scores).interval(_Z)
        print(
            f"{len(got):,} people, {len(np.unique(village))} villages: {100 * scores.control.mean():.1f} -> "
            f"{100 * scores.treated.mean():.1f} in 100; difference {100 * interval.value:.1f} "
            f"({100 * interval.low:.1f} to {100 * interval.high:.1f}) with {unit} as clusters"
        )


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "coverage"
    if what == "coverage":
        coverage(0.61)
        coverage(1.0)
    elif what == "planned":
        planned()
    elif what == "benefit":
        benefit()
    else:
        hiv(Path(sys.argv[2]))

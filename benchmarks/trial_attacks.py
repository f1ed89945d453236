"""Simulated trials that go wrong: do the intervals of the report hold, and what does it claim?

    python -m benchmarks.trial_attacks worlds [RUNS]   # trials with clusters, spill-over, merged patients and others
    python -m benchmarks.trial_attacks stopped [RUNS]  # lists stop once a look is favourable, and the end is waited for
    python -m benchmarks.trial_attacks planned [RUNS]  # shares held out, shares missed and effects at the planned size
    python -m benchmarks.trial_attacks ranking [RUNS]  # how often benefit ranks where it cannot be better than risk

One process, one thread (OMP_NUM_THREADS=1). Of each world there are trials without an effect and with a relative risk
of 0.61, of the outcomes that calls do not reach otherwise.
"""

import datetime
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from dnapredict.fairness.measure.intervals import RateDifference
from dnapredict.trial.arm_checks import arms_as_planned, lists_stopped, outcomes_alike, outcomes_complete
from dnapredict.trial.claims import NOTHING_SAID, Claim, ClaimEvidence, ClaimKind, claim_of
from dnapredict.trial.effect_estimates import arm_scores, risk_design, risk_difference, share_treated
from dnapredict.trial.ranking_value import choose_ranking
from dnapredict.trial.sequential_intervals import END_ALPHA, LOOK_ALPHA, sequential_interval
from dnapredict.trial.subgroup_effects import group_effects
from dnapredict.trial.trial_design import FEWEST_MISSED, TrialInputs, design_effect, size_for
from dnapredict.trial.trial_rows import TrialRows
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA

RUNS, SEED, WEEKS = 300, 20_261_129, 26
START = datetime.date(2026, 1, 5)
END = START + datetime.timedelta(weeks=WEEKS)
NAME = "Attack"
_Z, _END_Z = NormalDist().inv_cdf(0.975), NormalDist().inv_cdf(1 - END_ALPHA / 2)
_DAY = np.timedelta64(1, "D")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A trial and what goes wrong in it; shares are of 1.

    Attributes
    ----------
    per_patient
        Appointments a patient.
    own
        Standard deviation of what the risk does not know of a patient, in log odds.
    mean_odds
        Log odds of missing in the middle.
    called_by_mistake
        Share of those held out who are called.
    cancels
        Share of the missed appointments that calls turn into cancelled ones, in place of the effect.
    missing, missing_of_missed
        Share of the outcomes that is not recorded, in both arms, and of the missed ones of the arm with calls.
    merged
        Share of the patients who were in the trial under two numbers, and so possibly in both arms.
    strata
        Shares of the strata.
    """

    name: str
    appointments: int = 3_000
    per_patient: float = 1.4
    own: float = 0.6
    mean_odds: float = -1.6
    held_out: float = 0.3
    called_by_mistake: float = 0.0
    cancels: float = 0.0
    missing: float = 0.0
    missing_of_missed: float = 0.0
    merged: float = 0.0
    strata: tuple[float, ...] = (0.5, 0.5)

    def rows(self, generator: np.random.Generator, relative_risk: float) -> pa.Table:
        """The outcome store of one trial."""
        n = self.appointments
        patients = max(2, int(n / self.per_patient))
        own = generator.normal(0, self.own, patients)
        patient = generator.integers(0, patients, n)
        risk_odds = generator.normal(self.mean_odds, 0.7, n)
        arm = generator.random(patients) >= self.held_out
        # A merged patient has half of the appointments under another number, with an arm of its own.
        second = generator.random(patients) >= self.held_out
        is_second = (generator.random(patients) < self.merged)[patient] & (generator.random(n) < 0.5)
        treated = np.where(is_second, second[patient], arm[patient])
        is_called = treated | (generator.random(n) < self.called_by_mistake)
        missed = generator.random(n) < expit(risk_odds + own[patient])
        prevented = is_called & missed & (generator.random(n) < 1 - relative_risk)
        if relative_risk > 1:
            missed |= is_called & (generator.random(n) < (relative_risk - 1) * expit(risk_odds + own[patient]))
        cancelled = is_called & missed & ~prevented & (generator.random(n) < self.cancels)
        missed &= ~prevented & ~cancelled
        cancelled |= generator.random(n) < 0.04
        code = np.where(cancelled, "2", np.where(missed, "3", "5")).astype(object)
        lost = generator.random(n) < np.where(treated & missed & ~cancelled, self.missing_of_missed, self.missing)
        code[lost] = None
        reached = is_called & (generator.random(n) < 0.6)
        stratum = generator.choice(len(self.strata), patients, p=self.strata)[patient]
        return _store(
            generator, code, patient=patient, odds=risk_odds, treated=treated, reached=reached, stratum=stratum
        )


def _store(
    generator: np.random.Generator,
    code: NDArray[np.object_],
    *,
    patient: NDArray[np.int64],
    odds: Floats,
    treated: NDArray[np.bool_],
    reached: NDArray[np.bool_],
    stratum: NDArray[np.int64],
) -> pa.Table:
    n = len(code)
    listed = np.datetime64(START, "us") + (generator.random(n) * WEEKS * 7 * 86_400e6).astype("timedelta64[us]")
    starts = listed + 7 * _DAY
    ages, deciles = generator.integers(0, 95, n).astype(float), generator.integers(1, 11, n)
    known: dict[str, Any] = {
        "appointment": [str(row) for row in range(n)],
        "patient": patient.astype(str),
        "scored_at": listed,
        "starts_at": starts,
        "probability": expit(odds),
        "trial": [NAME] * n,
        "stratum": stratum.astype(str),
        "trial_arm": np.where(treated, "TREATMENT", "CONTROL"),
        "attempts": np.where(reached, 1, 0),
        "reached": reached,
        "outcome_code": code.tolist(),
        "missed": [None if one in {None, "2"} else one == "3" for one in code],
        "recorded_at": pa.array(starts + 2 * _DAY, mask=np.array([one is None for one in code])),
        "age_years": ages,
        "imd_decile": deciles,
        "ethnic_category_code": generator.choice(list("AAAAAAAABCDHJKMNP"), n),
        "consultation_mechanism_code": np.where(generator.random(n) < 0.2, "02", "01"),
    }
    columns = [pa.array(known[f.name]).cast(f.type) if f.name in known else pa.nulls(n, f.type) for f in OUTCOME_SCHEMA]
    return pa.table(columns, schema=OUTCOME_SCHEMA)


WORLDS = (
    World("as registered"),
    World("eight appointments a patient, who differ much", per_patient=8, own=1.2),
    World("a fifth of those held out is called", called_by_mistake=0.2),
    World("9 in 100 outcomes not recorded in both arms", missing=0.09, missing_of_missed=0.09),
    World("15 in 100 of the missed of the arm with calls not recorded", missing_of_missed=0.15),
    World("calls make 3 in 10 who would miss cancel", cancels=0.3),
    World("strata of 1 and 99 in 100", strata=(0.01, 0.99)),
    World("200 strata", strata=(0.005,) * 200),
    World("a tenth held out", held_out=0.1),
    World("a half held out", held_out=0.5),
    World("a tenth held out, 20 to 40 of them miss", held_out=0.1, appointments=1_500),
    World("3 in 100 patients merged from two numbers", merged=0.03),
)


def true_difference(world: World, relative_risk: float) -> float:
    """The true difference between the arms, by the mean over half a million appointments."""
    generator = np.random.default_rng(SEED)
    odds = generator.normal(world.mean_odds, 0.7, 500_000) + generator.normal(0, world.own, 500_000)
    # Cancelled ones are not missed, whatever the arm.
    missed = 0.96 * expit(odds).mean()
    kept = relative_risk * (1 - world.cancels)
    return float(missed * (kept - 1) * (1 - world.called_by_mistake))


@dataclass(frozen=True)
class Verdict:
    """What is said of one trial at its end."""

    covers: bool
    kind: str
    differs: bool
    attended_more: bool
    claimed_by_a_look: bool


def judge(table: pa.Table, world: World, *, truth: float, looks: int) -> Verdict:
    """The planned analysis with its checks, and so many looks before it."""
    rows = TrialRows.of(table)
    difference = risk_difference(rows.scores(rows.missed))
    attended = risk_difference(rows.scores(rows.attended)).interval(_END_Z)
    as_of = END + datetime.timedelta(days=60)
    claim = claim_of(
        ClaimEvidence(
            appointments=len(rows),
            fewest_missed=min(int((rows.missed & arm).sum()) for arm in (rows.treated, ~rows.treated)),
            arms_as_planned=arms_as_planned(rows, world.held_out),
            outcomes_alike=outcomes_alike(table),
            outcomes_complete=outcomes_complete(table, as_of=as_of, lost=0),
            effect=difference.interval(_END_Z),
            attended=attended,
            is_finished=True,
            plan="registered",
            end=END,
        )
    )
    scores = rows.scores(rows.missed)
    groups = group_effects(scores, rows.memberships, missed=rows.missed, treated=rows.treated)
    interval = difference.interval(_Z)
    return Verdict(
        bool(interval.low <= truth <= interval.high),
        str(claim.kind),
        any(group.differs for group in groups),
        attended.low > 0,
        any(_look_claims(rows, world, part / (looks + 1)) for part in range(1, looks + 1)),
    )


def _look_claims(rows: TrialRows, world: World, part: float) -> bool:
    seen = rows.starts_at < np.quantile(rows.starts_at.astype("datetime64[us]").astype(np.int64), part).astype(
        "datetime64[us]"
    )
    if min(int((rows.missed & seen & arm).sum()) for arm in (rows.treated, ~rows.treated)) < FEWEST_MISSED:
        return False
    estimate = _estimate(rows, seen)
    return sequential_interval(estimate, progress=seen.sum() / world.appointments, alpha=LOOK_ALPHA).high < 0


def _estimate(rows: TrialRows, seen: NDArray[np.bool_]) -> RateDifference:
    treated = rows.treated[seen]
    return risk_difference(
        arm_scores(
            rows.missed[seen].astype(np.float64),
            treated,
            share=share_treated(treated, rows.stratum[seen]),
            design=risk_design(rows.probability[seen]),
            cluster=rows.patient[seen],
        )
    )


def worlds(runs: int) -> None:
    """Coverage, claims and groups of each world."""
    print("| world | relative risk | range holds | helps | harms | not claimed | a group differs | more attended |")
    print("|---|---|---|---|---|---|---|---|")
    for place, world in enumerate(WORLDS):
        for relative_risk, looks in ((1.0, 8), (0.61, 0)):
            # Each world has draws of its own: with the same ones, what is chance in one is in all.
            start, generator = time.process_time(), np.random.default_rng([SEED, place, looks])
            truth = true_difference(world, relative_risk)
            found = [judge(world.rows(generator, relative_risk), world, truth=truth, looks=looks) for _ in range(runs)]
            kinds = [one.kind for one in found]
            shares = (
                [one.covers for one in found],
                [one.kind == "helps" or (one.claimed_by_a_look and one.kind not in NOTHING_SAID) for one in found],
                [kind == "harms" for kind in kinds],
                [kind in NOTHING_SAID for kind in kinds],
                [one.differs for one in found],
                [one.attended_more for one in found],
            )
            cells = " | ".join(f"{100 * np.mean(share):.1f}" for share in shares)
            print(f"| {world.name} | {relative_risk} | {cells} | [{time.process_time() - start:.0f} s]", flush=True)


def stopped(runs: int) -> None:
    """Calls that do nothing: no list is made any more once a weekly look excludes 0 by the range for one analysis."""
    world, generator = World("stopped"), np.random.default_rng(SEED)
    stops = without_check = claimed = 0
    for _ in range(runs):
        table = world.rows(generator, 1.0).sort_by("scored_at")
        rows, listed = TrialRows.of(table), table["scored_at"].to_numpy()
        last = len(rows)
        for week in range(6, WEEKS + 1):
            seen = listed < np.datetime64(START) + np.timedelta64(7 * week, "D")
            if _estimate(rows, seen).interval(_END_Z).high < 0:
                stops, last = stops + (week < WEEKS), int(seen.sum())
                break
        kept = table.slice(0, last)
        is_claimed = _estimate(rows, np.arange(len(rows)) < last).interval(_END_Z).high < 0
        without_check += is_claimed
        claimed += is_claimed and not lists_stopped(kept, start=START, end=END)
    print(
        f"{runs} trials without an effect whose lists stop at the first favourable look: {100 * stops / runs:.1f} stop "
        f"before the end; the planned analysis would claim a benefit in {100 * without_check / runs:.1f}, and does in "
        f"{100 * claimed / runs:.1f}"
    )


def planned(runs: int) -> None:
    """The share of trials of the planned size in which an effect is found."""
    print("| held out | missed without a call of 100 | relative risk | appointments | found |")
    print("|---|---|---|---|---|")
    for held_out, odds, relative_risk, per_patient in (
        *((share, odds, 0.61, 1.4) for share in (0.1, 0.5) for odds in (-2.8, -1.6, -0.4)),
        (0.3, -1.6, 0.61, 6.0),
        *((0.5, odds, risk, 1.4) for odds, risk in ((-1.6, 0.3), (-0.4, 0.3), (-1.6, 0.8))),
    ):
        world = World("planned", held_out=held_out, mean_odds=odds, per_patient=per_patient)
        print(_planned(world, relative_risk, runs), flush=True)


def _planned(world: World, relative_risk: float, runs: int) -> str:
    generator = np.random.default_rng(SEED)
    without = -true_difference(world, 0.0)
    sizes = np.bincount(generator.integers(0, int(20_000 / world.per_patient), 20_000))
    inputs = TrialInputs(
        calls_a_week=100, share_missed=without, share_held_out=world.held_out, design_effect=design_effect(sizes)
    )
    world = replace(world, appointments=size_for(inputs, relative_risk).appointments)
    found = 100 * np.mean(
        [judge(world.rows(generator, relative_risk), world, truth=0.0, looks=0).kind == "helps" for _ in range(runs)]
    )
    return f"| {world.held_out} | {100 * without:.1f} | {relative_risk} | {world.appointments:,} | {found:.1f} |"


def ranking(runs: int) -> None:
    """How often a report ranks by benefit where calls do nothing, harm, or keep the same share at any risk."""
    print("| calls | appointments | benefit chosen |\n|---|---|---|")
    for name, relative_risk, appointments in (
        *(("do nothing", 1.0, number) for number in (400, 3_000)),
        ("raise the missed by a third", 1.33, 3_000),
        *(("keep 39 in 100 at any risk", 0.61, number) for number in (400, 3_000)),
    ):
        world, generator = World("ranking", appointments=appointments), np.random.default_rng(SEED)
        chosen = 0
        for _ in range(runs):
            table = world.rows(generator, relative_risk)
            kind = judge(table, world, truth=0.0, looks=0).kind
            claim = Claim(ClaimKind(kind), "")
            chosen += choose_ranking(TrialRows.of(table), claim, trial=NAME, is_final=True).choice == "benefit"
        print(f"| {name} | {appointments:,} | {100 * chosen / runs:.1f} |", flush=True)


_PARTS: dict[str, Callable[[int], None]] = {
    "worlds": worlds,
    "stopped": stopped,
    "planned": planned,
    "ranking": ranking,
}

if __name__ == "__main__":
    part = sys.argv[1] if len(sys.argv) > 1 else "worlds"
    _PARTS[part](int(sys.argv[2]) if len(sys.argv) > 2 else RUNS)

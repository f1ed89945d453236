"""How many appointments a ranking keeps, judged on the arms of a trial: by benefit against by risk.

The value of a ranking is the mean of the scores' difference over the appointments that it would call: an augmented
inverse probability estimate for a policy (Dudik, Langford and Li 2011; Athey and Wager 2021, Econometrica 89:133). Both
rankings are judged on the same patients, none of whom the benefit was learned from, so that the difference is paired.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.fairness.measure.intervals import Interval, RateDifference, z_of
from dnapredict.trial.benefit_learner import BenefitRows, cross_fit, learn_benefit
from dnapredict.trial.claims import Claim, ClaimKind
from dnapredict.trial.effect_estimates import ArmScores, Floats, Mask, cluster_covariance
from dnapredict.trial.trial_disclosure import printed_difference
from dnapredict.trial.trial_rows import TrialRows

_Z: Final = z_of(0.95)


@dataclass(frozen=True)
class RankingValue:
    """Appointments kept for each appointment on the list, if so many calls go to the first of either ranking.

    Attributes
    ----------
    by_risk, by_benefit
        Missed appointments that calls prevent.
    gain
        By benefit minus by risk.
    calls
        Calls as a share of the list.
    """

    by_risk: RateDifference
    by_benefit: RateDifference
    gain: RateDifference
    calls: float


def ranking_value(scores: ArmScores, *, benefit: Floats, probability: Floats, calls: float) -> RankingValue:
    """Compare the rankings at a capacity of `calls`, a share of the list between 0 and 1."""
    number = max(1, round(calls * len(scores)))
    chosen = {"benefit": _first(benefit, probability, number), "risk": _first(probability, benefit, number)}
    kept = -scores.difference
    by_benefit, by_risk = (_mean(kept * chosen[name], scores) for name in ("benefit", "risk"))
    gain = _mean(kept * (chosen["benefit"].astype(float) - chosen["risk"].astype(float)), scores)
    return RankingValue(by_risk, by_benefit, gain, calls)


def _first(values: Floats, then: Floats, number: int) -> Mask:
    """The rows with the highest values; of equal ones those that are higher by `then`."""
    chosen = np.zeros(len(values), dtype=bool)
    chosen[np.lexsort((-then, -values))[:number]] = True
    return chosen


def _mean(values: Floats, scores: ArmScores) -> RateDifference:
    centred = (values - values.mean()) / len(values)
    variance = cluster_covariance(centred[:, None], scores.cluster)[0, 0]
    return RateDifference(float(values.mean()), float(np.sqrt(variance)))


@dataclass(frozen=True)
class RankingChoice:
    """Which ranking the trial supports, and why.

    Attributes
    ----------
    choice
        `risk` or `benefit`.
    reason
        A sentence.
    by_risk, by_benefit, gain
        Missed appointments that calls prevent, of 1 on the list, with 95% intervals; None where they were not compared.
    calls
        The calls of that comparison, as a share of the trial's appointments.
    model
        The model of all rows, where `choice` is `benefit`.
    """

    choice: Literal["risk", "benefit"]
    reason: str
    by_risk: Interval | None = None
    by_benefit: Interval | None = None
    gain: Interval | None = None
    calls: float | None = None
    model: BenefitModel | None = None


COMPARED_AT: Final = 0.5
"""Calls in the comparison, as a share of the appointments that the trial would call: half, where rankings can differ.

Fixed here and not chosen by result, so that there is one comparison and one error rate.
"""


def choose_ranking(rows: TrialRows | None, claim: Claim, *, trial: str, is_final: bool) -> RankingChoice:
    """Rank by benefit only where that keeps more appointments than risk, beyond chance, in the planned analysis."""
    if not is_final or rows is None:
        return RankingChoice("risk", "By risk: rankings are compared at the planned end of a registered trial, once.")
    if claim.kind not in {ClaimKind.HELPS, ClaimKind.NOT_SHOWN}:
        return RankingChoice(
            "risk", "By risk: rankings are compared only where the trial is sound and calls do no harm."
        )
    inputs = BenefitRows(rows.missed, rows.treated, rows.share, rows.probability, rows.is_remote, rows.patient)
    fitted = cross_fit(inputs)
    value = ranking_value(fitted.scores, benefit=fitted.benefit, probability=rows.probability, calls=COMPARED_AT)
    gain = printed_difference(value.gain, z=_Z)
    is_better = gain.low > 0
    told = (
        f"{_more(gain.value)} of 100 appointments are kept than by risk (likely range: {_more(gain.low)} to "
        f"{_more(gain.high)}), if half of the trial's calls could be made."
    )
    return RankingChoice(
        "benefit" if is_better else "risk",
        f"By benefit: {told}" if is_better else f"By risk: that benefit ranks better is not shown. By benefit, {told}",
        by_risk=printed_difference(value.by_risk, z=_Z),
        by_benefit=printed_difference(value.by_benefit, z=_Z),
        gain=gain,
        calls=COMPARED_AT,
        model=learn_benefit(inputs, trial=trial) if is_better else None,
    )


def _more(difference: float) -> str:
    """A difference in words.

    >>> _more(0.0131), _more(-0.004)
    ('1.3 more', '0.4 fewer')
    """
    return f"{abs(100 * difference):.1f} {'fewer' if difference < 0 else 'more'}"

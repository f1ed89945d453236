"""How many appointments a ranking keeps, judged on the arms of a trial: by benefit against by risk.

The value of a ranking is the mean of the scores' difference over the appointments that it would call: an augmented
inverse probability estimate for a policy (Dudik, Langford and Li 2011; Athey and Wager 2021, Econometrica 89:133). Both
rankings are judged on the same patients, none of whom the benefit was learned from, so that the difference is paired.
"""

from dataclasses import dataclass

import numpy as np

from dnapredict.fairness.measure.intervals import RateDifference
from dnapredict.trial.effect_estimates import ArmScores, Floats, Mask, cluster_covariance


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

    @property
    def relative_gain(self) -> float | None:
        """How many more of 1 are kept by benefit; None where calls by risk keep none."""
        return self.gain.value / self.by_risk.value if self.by_risk.value > 0 else None


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

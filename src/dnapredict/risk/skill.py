"""Whether a model is worth having: better than the base rate, and trees than logistic regression."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.baselines import BASE_RATE
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.uncertainty import Difference, loss_difference

__all__ = ["LIGHTGBM", "LOGISTIC", "Skill", "skill_of"]

LIGHTGBM: Final = "lightgbm"
LOGISTIC: Final = "logistic_regression"


@dataclass(frozen=True)
class Skill:
    """Whether a model is worth having: differences of log loss on the test, below 0 where it is better.

    Parameters
    ----------
    chosen : `lightgbm`, or `logistic_regression` where trees are not better beyond chance
    over_base_rate : the chosen model less everyone at the base rate
    over_logistic : trees less logistic regression on the same factors
    """

    chosen: str
    over_base_rate: Difference
    over_logistic: Difference

    @property
    def exists(self) -> bool:
        """Whether the model beats the base rate beyond chance; without that it is never promoted."""
        return self.over_base_rate.high < 0

    def __str__(self) -> str:
        """The verdict in a sentence."""
        if not self.exists:
            return "No skill over the base rate: these factors do not tell who will miss an appointment."
        if self.chosen == LOGISTIC:
            return "Trees are not better than logistic regression beyond chance: the simpler model is used."
        return "Trees are better than logistic regression beyond chance."


def skill_of(tested: Cohort, risks: Mapping[str, NDArray[np.float64]], *, seed: int) -> Skill:
    """Choose between trees and logistic regression by their risks of the test: the simpler unless beaten."""

    def less(one: str, other: str) -> Difference:
        return loss_difference(tested.dna, risks[one], risks[other], patient=tested.patient, seed=seed)

    over_logistic = less(LIGHTGBM, LOGISTIC)
    chosen = LIGHTGBM if over_logistic.high < 0 else LOGISTIC
    return Skill(chosen, less(chosen, BASE_RATE), over_logistic)

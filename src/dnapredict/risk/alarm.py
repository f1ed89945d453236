"""An alarm for figures that are too good: the likeliest reason is that a factor knows the outcome."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dnapredict.risk.cohort import Cohort

__all__ = ["leak_alarm"]

# A list of factors is told from the strongest down; one that tells less alone than this is none's leak.
_TELLS: Final = 0.75
_NAMED: Final = 3


def leak_alarm(tested: Cohort, probability: NDArray[np.float64], *, above: float) -> str:
    """A sentence where AUROC on the test is above `above`, which honest models do not reach; else empty.

    Honest whole-trust models stand at 0.74 to 0.77; a patient's share of missed appointments over the
    whole extract, the test included, gives 0.97. The factors that tell most by themselves are named.

    Parameters
    ----------
    tested : the appointments of the test, with their factors
    """
    if tested.dna.all() or not tested.dna.any():
        return ""
    auroc = float(roc_auc_score(tested.dna, probability))
    if auroc <= above:
        return ""
    alone = {name: _alone(tested, column) for column, name in enumerate(tested.factors)}
    strongest = sorted((name for name in alone if alone[name] >= _TELLS), key=lambda name: -alone[name])
    told = ", ".join(f"{name} ({alone[name]:.2f})" for name in strongest[:_NAMED])
    named = f" Alone, these tell most: {told}." if told else ""
    return (
        f"AUROC on the test is {auroc:.3f}, above {above:g}: does a factor know the outcome?{named} "
        "Where the figure is honest, raise 'leak_alarm_auroc' in training/config.toml, which is on record."
    )


def _alone(tested: Cohort, column: int) -> float:
    """AUROC of one factor in either direction, with what is not known in the middle."""
    values = tested.matrix[:, column]
    known = ~np.isnan(values)
    if not known.any():
        return 0.5
    found = float(roc_auc_score(tested.dna, np.where(known, values, np.median(values[known]))))
    return max(found, 1 - found)

"""A bootstrap over patients from profiles: the check on the closed-form intervals.

Patients with the same sums are alike, so that drawing each with a Poisson(1) weight is drawing one
Poisson number with their count as its mean: a replicate costs thousands of draws, not millions.
"""

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness.measure.counts import SUMS, Profiles

_BATCH = 200


def reach_replicates(profiles: Profiles, *, replicates: int, seed: int) -> NDArray[np.float64]:
    """Reach of a group in `replicates` Poisson bootstraps of its patients, exactly patient-clustered.

    Replicates without a missed appointment are NaN.
    """
    random = np.random.default_rng(seed)
    columns = profiles.sums[:, [SUMS.index("reached"), SUMS.index("missed")]]
    relevant = columns[:, 1] > 0  # other patients change neither part of reach
    parts, mean = columns[relevant], profiles.patients[relevant].astype(np.float64)
    found = []
    for start in range(0, replicates, _BATCH):
        weights = random.poisson(mean, size=(min(_BATCH, replicates - start), len(mean)))
        reached, missed = (weights @ parts).T
        found.append(np.divide(reached, missed, out=np.full(len(missed), np.nan), where=missed > 0))
    return np.concatenate(found)

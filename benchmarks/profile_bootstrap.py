"""A bootstrap over patients, drawn from profiles: the independent check on the audit's closed-form intervals.

Patients of a group who have as many missed and as many reached appointments are alike. Drawing each of them with
a Poisson(1) weight is drawing one Poisson number whose mean is how many they are, so that a replicate costs as
many draws as there are distinct profiles and not as many as there are patients.
"""

import numpy as np
from numpy.typing import NDArray

from dnapredict.fairness import AuditData
from dnapredict.fairness.measure.membership import Membership

_BATCH = 200


def reach_profiles(audited: AuditData, members: Membership, group: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct (reached, missed) of the group's patients who missed an appointment, and how many have them."""
    rows = (members.index == group) & audited.table["dna"].to_numpy()
    patient, place = np.unique(audited.table["patient"].to_numpy()[rows], return_inverse=True)
    missed = np.bincount(place, minlength=len(patient))
    reached = np.bincount(place, audited.table["selected"].to_numpy()[rows], len(patient)).astype(np.int64)
    return np.unique(np.column_stack([reached, missed]), axis=0, return_counts=True)


def reach_replicates(
    profiles: NDArray[np.int64], patients: NDArray[np.int64], *, replicates: int, seed: int
) -> NDArray[np.float64]:
    """Reach of a group in `replicates` Poisson bootstraps of its patients; NaN where nobody missed."""
    random = np.random.default_rng(seed)
    found = []
    for start in range(0, replicates, _BATCH):
        weights = random.poisson(patients, size=(min(_BATCH, replicates - start), len(patients)))
        reached, missed = (weights @ profiles).T
        found.append(np.divide(reached, missed, out=np.full(len(missed), np.nan), where=missed > 0))
    return np.concatenate(found)

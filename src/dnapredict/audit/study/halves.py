"""Two halves of the patients: one to fit on, one to judge on. Nobody is in both."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.audit.appointments import Audited
from dnapredict.audit.groupings import QUINTILE, grouping_named
from dnapredict.audit.groups import membership

__all__ = ["Half", "halves"]

MOST_ROWS: Final = 60_000  # a reduction fits dozens of models: more rows say no more and take minutes


@dataclass(frozen=True)
class Half:
    """Appointments of half of the patients, with what a method may look at.

    `factors` are what the model sees, or the log-odds of its risk where the scores are somebody else's.
    `group` is the place of the ethnic group among five and the unknown; `fifth` that of deprivation.
    """

    audited: Audited
    missed: NDArray[np.bool_]
    risk: NDArray[np.float64]
    factors: NDArray[np.float64]
    group: NDArray[np.int64]
    fifth: NDArray[np.int64]


def halves(audited: Audited, factors: NDArray[np.float64] | None, *, seed: int) -> tuple[Half, Half]:
    """Two halves of a sample of at most `MOST_ROWS` appointments, split by patient."""
    random = np.random.default_rng(seed)
    patient = audited.table["patient"].to_numpy()
    people = random.permutation(np.unique(patient))
    share = min(1.0, MOST_ROWS / len(patient))
    taken = people[: max(2, int(share * len(people)))]
    first, second = np.array_split(taken, 2)
    return _half(audited, factors, np.isin(patient, first)), _half(audited, factors, np.isin(patient, second))


def _half(audited: Audited, factors: NDArray[np.float64] | None, inside: NDArray[np.bool_]) -> Half:
    kept = Audited(audited.table.filter(pa.array(inside)).combine_chunks())
    risk = np.clip(kept.table["probability"].to_numpy(), 1e-6, 1 - 1e-6)
    seen = np.log(risk / (1 - risk))[:, None] if factors is None else factors[inside]
    return Half(
        audited=kept,
        missed=kept.table["dna"].to_numpy(zero_copy_only=False).astype(bool),
        risk=risk,
        factors=seen,
        group=_known_places(kept, "ethnicity_5"),
        fifth=_known_places(kept, QUINTILE.name),
    )


def _known_places(audited: Audited, name: str) -> NDArray[np.int64]:
    """Place of each row's group; all groups that are not known are one, the last."""
    grouping = QUINTILE if name == QUINTILE.name else grouping_named(name)
    members = membership(audited, grouping)
    if members is None:
        return np.zeros(len(audited), dtype=np.int64)
    known = [place for place, group in enumerate(members.groups) if group.known]
    place = np.full(len(members.groups), len(known), dtype=np.int64)
    place[known] = np.arange(len(known))
    found: NDArray[np.int64] = place[members.index]
    return found

"""The figures of each specialty, site and mode: one good average can hide a clinic that is served badly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.risk.cohort import Cohort
from dnapredict.risk.metrics import Figures, figures

__all__ = ["SMALLER", "GroupFigures", "by_group"]

SMALLER: Final = "smaller ones together"
# Below it a figure is chance, and may point at a patient; such groups are counted together.
_FEWEST: Final = 100
_FEWEST_MISSED: Final = 10


@dataclass(frozen=True)
class GroupFigures:
    """The figures of one group, and missed appointments for each that was foretold (1 is right)."""

    grouping: str
    name: str
    figures: Figures
    observed_over_expected: float


def by_group(cohort: Cohort, probability: NDArray[np.float64]) -> tuple[GroupFigures, ...]:
    """Figures of each group of each grouping of the cohort, the largest first.

    A group with fewer than 100 appointments, 10 missed or 10 attended is counted with others like it.
    """
    return tuple(
        GroupFigures(
            grouping,
            name,
            figures(cohort.dna[rows], probability[rows]),
            float(cohort.dna[rows].sum() / probability[rows].sum()),
        )
        for grouping in cohort.groupings
        for name, rows in _groups(cohort, grouping)
    )


def _groups(cohort: Cohort, grouping: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Each group that is large enough, then the others together where they are."""
    found = cohort.groupings[grouping]
    sizes = np.bincount(found.codes[found.codes >= 0], minlength=len(found.names))
    smaller = np.zeros(len(cohort), dtype=bool)
    for code in np.argsort(-sizes, kind="stable"):
        rows = found.codes == code
        if _enough(cohort.dna[rows]):
            yield found.names[code], rows
        else:
            smaller |= rows
    if _enough(cohort.dna[smaller]):
        yield SMALLER, smaller


def _enough(dna: NDArray[np.bool_]) -> bool:
    missed = int(dna.sum())
    return len(dna) >= _FEWEST and min(missed, len(dna) - missed) >= _FEWEST_MISSED

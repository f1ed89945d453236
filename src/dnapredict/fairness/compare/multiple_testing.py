"""Correction of p-values for comparing many groups.

Each grouping that the board fixed in advance (ethnic group, age, Core20, ...) is a family, in which the family-wise
error rate is controlled (Holm 1979): a question about a further grouping costs the others no power. With a dozen
groupings the rates could add up; that they do not on fair worlds is measured (docs/results.md), since a gap must be
above a limit, beyond chance, in a grouping whose groups differ at all.

The null hypothesis is "not behind by more than the limit". A group that is clearly not behind has a p-value near 1,
and counting it would only cost power for small groups. So p-values above one half are set aside and the others are
doubled, which still controls the error rate (Ellis, Pecanka and Goeman 2020, Biostatistics 21:e65, on interval
hypotheses; Zhao, Small and Su 2019).
"""

from collections.abc import Sequence
from typing import Final

_SET_ASIDE: Final = 0.5


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given, which control the family-wise error rate.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def weighted_holm(p_values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values where some hypotheses have more of the error rate than others, set before the data.

    Weights of 1 for all give `holm`.

    >>> weighted_holm([0.01, 0.04, 0.03], [1, 1, 1]) == holm([0.01, 0.04, 0.03])
    True
    >>> [round(p, 3) for p in weighted_holm([0.02, 0.02], [3, 1])]     # for the first alone: 0.02 * 4 / 3
    [0.027, 0.027]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index] / weights[index])
    adjusted, highest, left = [1.0] * len(p_values), 0.0, sum(weights)
    for index in order:
        highest = max(highest, min(1.0, p_values[index] * left / weights[index]))
        adjusted[index] = highest
        left -= weights[index]
    return tuple(adjusted)


def adjust_within_families(p_values: Sequence[float], groupings: Sequence[str]) -> tuple[float, ...]:
    """P-values adjusted within their groupings, in the order given; `groupings` are those of the groups.

    >>> adjust_within_families([0.01, 0.99, 0.2], ["ethnicity", "ethnicity", "core20"])
    (0.02, 1.0, 0.4)
    """
    adjusted = [1.0] * len(p_values)
    for grouping in dict.fromkeys(groupings):
        family = _family(p_values, groupings, grouping)
        corrected = holm([p_values[index] / _SET_ASIDE for index in family])
        for index, p_value in zip(family, corrected, strict=True):
            adjusted[index] = p_value
    return tuple(adjusted)


def single_group_level(p_values: Sequence[float], groupings: Sequence[str], index: int, *, level: float) -> float:
    """The p-value below which the group at `index` would be significant if it alone were behind.

    >>> single_group_level([0.01, 0.99, 0.2], ["ethnicity", "ethnicity", "core20"], 1, level=0.05)
    0.0125
    """
    family = _family(p_values, groupings, groupings[index])
    return level * _SET_ASIDE / len({*family, index})


def _family(p_values: Sequence[float], groupings: Sequence[str], grouping: str) -> list[int]:
    """Indices of the groups of a grouping that are not set aside."""
    pairs = enumerate(zip(p_values, groupings, strict=True))
    return [index for index, (p, name) in pairs if name == grouping and p <= _SET_ASIDE]

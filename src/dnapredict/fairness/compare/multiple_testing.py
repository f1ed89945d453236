"""Many groups are asked about at once: what is corrected for it, and how.

Comparisons that the board fixed beforehand (Core20, interpreter, PLUS groups) keep the chance of any
false alarm at the level (Holm 1979). The ethnic codes are a family of their own, in which the share of
false alarms among all alarms is kept at the level (Benjamini and Hochberg 1995).

The question is "behind by more than the limit?". For a group that is clearly not behind the p-value is
near 1, and counting it would only blind the audit to small groups. So groups with a p-value above one
half are set aside and the others' p-values are doubled, which keeps both promises (Ellis, Pecanka and
Goeman 2020, Biostatistics 21:e65, on interval hypotheses; Zhao, Small and Su 2019).
"""

from collections.abc import Sequence
from typing import Final

_SET_ASIDE: Final = 0.5
_CODES: Final = ("ethnicity", "ethnicity_5")


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given: the chance of any false alarm stays at the level.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values that keep the share of false alarms among all alarms at the level.

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted, lowest = [1.0] * len(p_values), 1.0
    for rank, index in enumerate(order):
        lowest = min(lowest, len(p_values) / (len(p_values) - rank) * p_values[index])
        adjusted[index] = lowest
    return tuple(adjusted)


def corrected(p_values: Sequence[float], groupings: Sequence[str]) -> tuple[float, ...]:
    """P-values corrected within their families, in the order given; `groupings` are those of the groups.

    >>> corrected([0.01, 0.99, 0.2], ["ethnicity", "ethnicity", "core20"])
    (0.02, 1.0, 0.4)
    """
    found = [1.0] * len(p_values)
    for codes in (True, False):
        places = _family(p_values, groupings, codes=codes)
        doubled = [p_values[place] / _SET_ASIDE for place in places]
        adjusted = benjamini_hochberg(doubled) if codes else holm(doubled)
        for place, p_value in zip(places, adjusted, strict=True):
            found[place] = p_value
    return tuple(found)


def first_level(p_values: Sequence[float], groupings: Sequence[str], place: int, *, level: float) -> float:
    """The p-value below which the group at `place` would be found if it alone were behind.

    >>> first_level([0.01, 0.99, 0.2], ["ethnicity", "ethnicity", "core20"], 1, level=0.05)
    0.0125
    """
    family = _family(p_values, groupings, codes=groupings[place] in _CODES)
    return level * _SET_ASIDE / len({*family, place})


def _family(p_values: Sequence[float], groupings: Sequence[str], *, codes: bool) -> list[int]:
    """Places of a family whose groups are not set aside."""
    pairs = enumerate(zip(p_values, groupings, strict=True))
    return [place for place, (p, name) in pairs if (name in _CODES) is codes and p <= _SET_ASIDE]

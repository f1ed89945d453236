"""Hide as many counts as it takes that no printed total gives a hidden one back."""

from collections.abc import Sequence

from dnapredict.audit.disclosure import second_suppression
from dnapredict.config.policy import Disclosure

__all__ = ["also_hidden"]


def also_hidden(counts: Sequence[float], rule: Disclosure, *, parents: Sequence[str] = ()) -> set[int]:
    """Places of counts to hide beyond the small ones, among all groups and within each larger group.

    `parents` names the larger group that each is nested in, "" where in none; totals of those are printed
    too.
    """
    nested = [
        [p for p, name in enumerate(parents) if name == parent] for parent in sorted(set(parents) - {""})
    ]
    lines = [list(range(len(counts))), *nested]
    found = ((line, second_suppression([counts[place] for place in line], rule)) for line in lines)
    return {line[place] for line, place in found if place is not None}

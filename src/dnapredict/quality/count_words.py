"""Counts and shares in sentences, small numbers hidden and others rounded."""

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count


def shown_count(count: int, rule: Disclosure) -> str:
    """A count as it may be printed: rounded, and without its figure if it is small.

    >>> [shown_count(count, Disclosure(why="The rule of hospital statistics.")) for count in (0, 3, 1_234)]
    ['0', 'a few', '1,235']
    """
    shown = publish_count(count, rule)
    return "a few" if shown is None else f"{shown:,}"


def in_100(part: int, whole: int, rule: Disclosure) -> str:
    """A share in words, from counts as they may be printed.

    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [in_100(part, whole, rule) for part, whole in ((70, 1_000), (5, 1_000), (5, 12), (12, 12))]
    ['7 in 100', 'under 1 in 100', 'a few', '100 in 100']
    """
    shown, total = publish_count(part, rule), publish_count(whole, rule)
    if not total:
        return "a few"
    if shown is None:
        return "under 1 in 100" if 100 * rule.suppress_below < whole else "a few"
    share = 100 * min(shown / total, 1.0)
    return f"{share:.0f} in 100" if share >= 1 or shown == 0 else "under 1 in 100"

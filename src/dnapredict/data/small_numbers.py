"""Small-number control of counts: every count that is written anywhere passes through here.

Hospital statistics rule of 2018: counts of 1 to 7 are hidden, others are rounded to the nearest 5.
Rates have more to hide: see `fairness.disclosure.hidden_counts`.
"""

import math
from collections.abc import Sequence

from dnapredict.config.fairness_policy import Disclosure

# A hidden count must keep at least this many possible values for whoever knows everything that is printed.
FEWEST_POSSIBLE = 3
# Appointments below which a metric of a model is not shown: it is chance, and may point at a patient.
SMALLEST_EVALUATED = 100


def publish_count(count: float, rule: Disclosure) -> int | None:
    """`count` as it may be printed, or None where it must be hidden.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [publish_count(n, rule) for n in (0, 1, 7, 8, 57, 10023)]
    [0, None, None, 10, 55, 10025]
    """
    if 0 < count < rule.suppress_below:
        return None
    return math.floor(count / rule.round_to + 0.5) * rule.round_to


def second_suppression(counts: Sequence[float], rule: Disclosure) -> int | None:
    """Place of a second count to hide, where the printed total would give a single hidden one back.

    `counts` add up to a total that is printed too. Rounding usually hides the rest; where total and
    shown counts leave the hidden one fewer than three possible values, the smallest shown count goes.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> second_suppression([107, 107, 1], rule)           # 215 - 105 - 105 = 5: anything from 1 to 7
    >>> second_suppression([108, 108, 1], rule)           # 215 - 110 - 110 = -5: it can only be 1
    0
    """
    shown = [publish_count(count, rule) for count in counts]
    total = publish_count(sum(counts), rule)
    if shown.count(None) != 1 or total is None:
        return None
    left = total - sum(value for value in shown if value is not None)
    slack = (rule.round_to - 1) / 2 * sum(1 for value in shown if value) + (rule.round_to - 1) / 2
    possible = [value for value in range(1, rule.suppress_below) if abs(value - left) <= slack]
    others = [place for place, value in enumerate(shown) if value]
    if len(possible) >= FEWEST_POSSIBLE or not others:
        return None
    return min(others, key=lambda place: counts[place])

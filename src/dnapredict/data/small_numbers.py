"""Small-number suppression: every count that is published passes through here.

Hospital statistics rule of 2018: counts of 1 to 7 are hidden, others are rounded to the nearest 5.
Rates need more: see `fairness.disclosure.rounded_figures`.
"""

import math
from collections.abc import Sequence

from dnapredict.config.fairness_policy import Disclosure

# A hidden count must keep at least this many possible values for a reader of everything that is printed.
FEWEST_POSSIBLE = 3
# Appointments below which a metric of a model is not shown: it is chance, and may point at a patient.
SMALLEST_EVALUATED = 100


def publish_count(count: float, rule: Disclosure) -> int | None:
    """`count` rounded for publication, or None where it must be suppressed.

    >>> from dnapredict.config.fairness_policy import Disclosure
    >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> [publish_count(n, rule) for n in (0, 1, 7, 8, 57, 10023)]
    [0, None, None, 10, 55, 10025]
    """
    if 0 < count < rule.suppress_below:
        return None
    return math.floor(count / rule.round_to + 0.5) * rule.round_to


def second_suppression(counts: Sequence[float], rule: Disclosure) -> int | None:
    """Index of a second count to suppress, where the published total would reveal a single suppressed one.

    `counts` add up to a total that is published too. Rounding usually protects the rest; where total and
    published counts leave fewer than three possible values, the smallest published count is suppressed.

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
    others = [index for index, value in enumerate(shown) if value]
    if len(possible) >= FEWEST_POSSIBLE or not others:
        return None
    return min(others, key=lambda index: counts[index])

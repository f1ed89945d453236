"""Small-number control of the audit: every figure that is written anywhere passes through here.

Counts keep the rule of `small_numbers`. A rate is worked out from rounded counts, and is hidden with its
range when its numerator, its denominator or the rest is 1 to 7: a printed range can give a hidden count
back exactly.
Gates use exact counts; only what is printed is rounded.
"""

import math
from dataclasses import replace

from dnapredict.audit.counts import GroupCounts
from dnapredict.audit.intervals import Rate, Ratio
from dnapredict.config.policy import Disclosure
from dnapredict.small_numbers import publish_count

__all__ = ["publish_allocation", "publish_count", "publish_rate", "publish_ratio", "rounded_error"]


def publish_rate(rate: Rate, rule: Disclosure) -> Rate | None:
    """`rate` on rounded counts, or None where any part of it must be hidden.

    >>> from dnapredict.config.policy import Disclosure
        >>> rule = Disclosure(why="The rule of hospital statistics.")
    >>> publish_rate(Rate(23, 99), rule)
    Rate(numerator=25, denominator=100, design_effect=1.0)
    >>> publish_rate(Rate(95, 99), rule) is None          # 4 others are left
    True
    """
    parts = [rate.numerator, rate.denominator, rate.denominator - rate.numerator]
    shown = [publish_count(part, rule) for part in parts]
    if shown[0] is None or shown[1] is None or shown[2] is None or shown[1] == 0:
        return None
    return Rate(shown[0], shown[1], round(rate.design_effect, 1))


def publish_ratio(ratio: Ratio, rule: Disclosure) -> Ratio | None:
    """`ratio` on rounded parts and with a rounded error, or None where a part must be hidden."""
    above, below = publish_count(ratio.numerator, rule), publish_count(ratio.denominator, rule)
    if not above or not below:
        return None
    return replace(ratio, numerator=above, denominator=below, log_error=rounded_error(ratio.log_error))


def publish_allocation(
    index: Ratio, group: GroupCounts, everyone: GroupCounts, rule: Disclosure
) -> Ratio | None:
    """An allocation index from four rounded counts: the group's calls and missed, and everyone's."""
    pairs = ((group, "selected"), (everyone, "selected"), (group, "missed"), (everyone, "missed"))
    calls, all_calls, need, all_need = (publish_count(counts.total(name), rule) for counts, name in pairs)
    if not calls or not all_calls or not need or not all_need:
        return None
    return Ratio(calls / all_calls * all_need, need, rounded_error(index.log_error))


def rounded_error(error: float) -> float:
    """An error to two significant figures: more would tell how many people it rests on.

    >>> rounded_error(0.14142), rounded_error(0.0317), rounded_error(0.0)
    (0.14, 0.032, 0.0)
    """
    if error <= 0 or not math.isfinite(error):
        return error
    return round(error, 1 - math.floor(math.log10(error)))

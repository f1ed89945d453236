"""Published rates, ratios and allocation indexes: computed from rounded counts, and None where a count is hidden."""

import math
from dataclasses import replace

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.measure.counts import GroupCounts
from dnapredict.fairness.measure.group_metrics import RATES, rate
from dnapredict.fairness.measure.intervals import Rate, Ratio


def publish_rate(rate: Rate, rule: Disclosure) -> Rate | None:
    """`rate` on rounded counts, or None where any part of it must be hidden.

    >>> from dnapredict.config.fairness_policy import Disclosure
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


def publish_group_rate(counts: GroupCounts, name: str, rule: Disclosure) -> Rate | None:
    """The rate `name` of `RATES`, computed from the counts as they are printed, or None where it must be hidden.

    Counts are rounded before they are subtracted, so that reach and missed support add up to 1 and a rate reveals no
    more than the printed counts. A separately rounded difference would narrow the counts down.
    """
    exact = rate(counts, name)
    shown = publish_rate(exact, rule)
    if shown is None:
        return None
    numerator, denominator = (
        sum(sign * (publish_count(counts.total(part), rule) or 0.0) for sign, names in signed for part in names)
        for signed in (((1, RATES[name][0]), (-1, RATES[name][1])), ((1, RATES[name][2]), (-1, RATES[name][3])))
    )
    if denominator <= 0:
        return None
    # Rounding may make a part larger than its whole.
    return Rate(min(max(numerator, 0.0), denominator), denominator, shown.design_effect)


def publish_ratio(ratio: Ratio, rule: Disclosure) -> Ratio | None:
    """`ratio` from rounded counts and with a rounded error, or None where a count must be hidden."""
    above, below = publish_count(ratio.numerator, rule), publish_count(ratio.denominator, rule)
    if not above or not below:
        return None
    return replace(ratio, numerator=above, denominator=below, log_error=rounded_error(ratio.log_error))


def publish_allocation(index: Ratio, group: GroupCounts, everyone: GroupCounts, rule: Disclosure) -> Ratio | None:
    """An allocation index from four rounded counts: the group's calls and missed, and everyone's."""
    pairs = ((group, "selected"), (everyone, "selected"), (group, "missed"), (everyone, "missed"))
    calls, all_calls, need, all_need = (publish_count(counts.total(name), rule) for counts, name in pairs)
    if not calls or not all_calls or not need or not all_need:
        return None
    return Ratio(calls / all_calls * all_need, need, rounded_error(index.log_error))


def rounded_error(error: float) -> float:
    """A standard error to two significant figures: more would reveal how many people it is from.

    >>> rounded_error(0.14142), rounded_error(0.0317), rounded_error(0.0)
    (0.14, 0.032, 0.0)
    """
    if error <= 0 or not math.isfinite(error):
        return error
    return round(error, 1 - math.floor(math.log10(error)))

"""Small-number control of the audit: every figure that is written anywhere passes through here.

Counts keep the rule of `small_numbers`. A rate is worked out from rounded counts, and is hidden with its
range when its numerator, its denominator or the rest is 1 to 7: a printed range can give a hidden count
back exactly.
Gates use exact counts; only what is printed is rounded.
"""

from dataclasses import replace

from dnapredict.audit.intervals import Rate, Ratio
from dnapredict.config.policy import Disclosure
from dnapredict.small_numbers import publish_count, second_suppression

__all__ = ["publish_count", "publish_rate", "publish_ratio", "second_suppression"]


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
    return replace(ratio, numerator=above, denominator=below, log_error=round(ratio.log_error, 3))

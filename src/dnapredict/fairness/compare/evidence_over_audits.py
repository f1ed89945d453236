"""Evidence about one comparison from several audits and months, where no appointment counts twice.

An e-value is a bet against "this group is not harmed": its expected value is at most 1 if that is true, whatever was
seen before. E-values of different appointments are multiplied, and the product may be looked at after every audit
without a correction (Ramdas, Grünwald, Vovk and Shafer 2023, Statistical Science).
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ComparisonEvidence:
    """The natural logarithm of an e-value, from the appointments of the days `first` to `last`."""

    grouping: str
    group: str
    log_e: float
    first: datetime.date
    last: datetime.date


def accumulated(evidence: Iterable[ComparisonEvidence]) -> Mapping[tuple[str, str], ComparisonEvidence]:
    """The product of all evidence by grouping and group, in the order in which it was recorded.

    An appointment is on one day. Evidence from days that overlap with days counted before is left out, so that
    auditing the same months again adds nothing.

    >>> day = datetime.date
    >>> march = ComparisonEvidence("core20", "core20", 1.5, day(2026, 3, 1), day(2026, 3, 31))
    >>> april = ComparisonEvidence("core20", "core20", 2.0, day(2026, 4, 1), day(2026, 4, 30))
    >>> accumulated([march, april, march])["core20", "core20"].log_e
    3.5
    """
    found: dict[tuple[str, str], list[ComparisonEvidence]] = {}
    for each in evidence:
        counted = found.setdefault((each.grouping, each.group), [])
        if all(each.first > other.last or each.last < other.first for other in counted):
            counted.append(each)
    return {at: _product(counted) for at, counted in found.items()}


def _product(counted: list[ComparisonEvidence]) -> ComparisonEvidence:
    first, last = min(each.first for each in counted), max(each.last for each in counted)
    log_e = sum(each.log_e for each in counted)
    return ComparisonEvidence(counted[0].grouping, counted[0].group, log_e, first, last)

"""What a protected file of counts tells together with the reports and files that the home gave before.

Its numbers are exact. Two files whose days overlap would give the numbers of the other days by subtraction, so that a
second one is refused. With an earlier report of the same days a file narrows down numbers that the report hides, which
is said where fewer than three values of a small one are left. Reports that are made later know the file from the memory
of the home, and hide what would follow.
"""

from collections.abc import Callable, Sequence
from typing import Final

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.errors import DataError
from dnapredict.fairness.disclosure.count_differences import differences_of
from dnapredict.fairness.disclosure.derived_ranges import DerivedRanges, LinkedCounts, Unknown, unlinked_parts
from dnapredict.fairness.disclosure.linked_reports import LinkedReports
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import HIDDEN_ZERO_RANGE, CountCell
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.fairness.measure.membership import WITHHELD
from dnapredict.fairness.pooling.protection import KEPT

BESIDE_A_REPORT: Final = (
    "WARNING: Small numbers follow from these counts together with a report of the same days that this home has made. "
    "Give the file only to people who may know them."
)


def publication_of_counts(
    exact: AuditCounts,
    protected: AuditCounts,
    *,
    rule: Disclosure,
    before: PublishedBefore,
    tell: Callable[[str], None] | None = None,
) -> Publication:
    """What the memory of the home keeps of a file of counts that were `exact` before they were protected.

    `tell` is given a sentence where small numbers follow from the file together with an earlier report.

    Raises
    ------
    DataError
        If the home has given a file of other days that overlap with these.
    """
    linked = _linked(exact, protected)
    publication = before.publication(linked)
    files = (one for one in before.earlier if one.kind == "counts" and one.overlaps(before.first, before.last))
    other = next((one for one in files if one != publication), None)
    if other is not None:
        raise DataError(
            f"audit-counts: this home has already given counts of {other.first} to {other.last}, which overlap with "
            f"{before.first} to {before.last}. The two files would give the numbers of the other days by subtraction. "
            "Give files of days that do not overlap, such as one a quarter. Use another home for another trust."
        )
    together = before.link(linked)
    held = [cell for cell in linked.ranges if linked.ranges[cell] == HIDDEN_ZERO_RANGE]
    if tell is not None and together.reports and _gives_back(together, held, rule):
        tell(BESIDE_A_REPORT)
    return publication


def _linked(exact: AuditCounts, protected: AuditCounts) -> LinkedCounts:
    """Every number of the file, and the sums of its groups; groups that were put together are unknown."""
    linked = LinkedCounts()
    for name, one in protected.counted.items():
        held = _held(exact.counted[name], one)
        codes = ["&".join(held) if group == WITHHELD else group.code for group in one.groups]
        for code, counts in zip(codes, one.counts, strict=True):
            known = {count: counts.counted(count) for count in KEPT}
            for count, number in (*known.items(), *differences_of(known)):
                linked.ranges[CountCell(count, name, code)] = number, number
        for count in dict.fromkeys(cell.counted for cell in linked.ranges if isinstance(cell, CountCell)):
            _link(linked, [CountCell(count, name, code) for code in codes], [CountCell(count, name, c) for c in held])
    return linked


def _held(exact: CountedGrouping, protected: CountedGrouping) -> tuple[str, ...]:
    """The codes that were put together."""
    kept = {group.code for group in protected.groups}
    pairs = zip(exact.groups, exact.counts, strict=True)
    return tuple(group.code for group, counts in pairs if group.code not in kept and counts.counted("appointments"))


def _link(linked: LinkedCounts, cells: Sequence[CountCell], held: Sequence[CountCell]) -> None:
    """The groups of a grouping add up to everyone, and those that were put together to their row."""
    row = cells[-1]  # the row is the last of a grouping
    if len(held) > 1:
        linked.ranges |= dict.fromkeys(held, HIDDEN_ZERO_RANGE)
        linked.add_sum(held, row)
    if row.grouping != EVERYONE.name:
        linked.add_sum(cells, CountCell(row.counted, EVERYONE.name, EVERYONE.groups[0].code))


def _gives_back(together: LinkedReports, unknown: Sequence[Unknown], rule: Disclosure) -> bool:
    for part in unlinked_parts(together.counts):
        secrets = [name for name in (*unknown, *together.secrets) if name in part.ranges]
        derived = DerivedRanges(part, largest=rule.suppress_below - 1)
        if any(derived.exposing(secret) is not None for secret in derived.unsafe(secrets)):
            return True
    return False

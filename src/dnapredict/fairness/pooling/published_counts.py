"""Protect a file of counts together with the reports of the same home, and keep it in the memory of that home.

The numbers of a file are exact, those of a report are rounded. A file after a report: groups are put together until no
small number follows from both. A report after a file hides what would follow, from what the memory keeps of the file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.errors import DataError
from dnapredict.fairness.disclosure.count_differences import differences_of
from dnapredict.fairness.disclosure.derived_ranges import (
    DerivedRanges,
    LinkedCounts,
    Range,
    Unknown,
    protect,
    unlinked_parts,
)
from dnapredict.fairness.disclosure.linked_reports import LinkedReports
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import HIDDEN_ZERO_RANGE, CountCell
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.groupings import EVERYONE
from dnapredict.fairness.measure.membership import WITHHELD
from dnapredict.fairness.pooling.protection import KEPT, protected_counts

_BESIDE_REPORTS: Final = (
    "Since the trust has made reports of the same days, further groups are put together, of: {groupings}. Small "
    "numbers would follow from both otherwise."
)
_FROM_EVERYONE: Final = (
    "audit-counts: small numbers would follow from the totals of all appointments together with reports of the same "
    "days that this home has made, whichever groups are put together. No file is written. Make the file of counts of "
    "the next days before their report; or agree on a data sharing agreement, under which counts are exact "
    '(pooling.protect = "none").'
)

_LEFT_OUT: Final = (
    "WARNING: Numbers that follow from these counts together with {number} earlier reports of the same days are not "
    "protected: their records differ from these, or there are too many. Give the file only to people who may know them."
)


class ProtectedFile(NamedTuple):
    """Counts as they may leave the trust, what the pooled audit cannot know from them, and what the memory keeps."""

    counts: AuditCounts
    unknown: tuple[str, ...]
    publication: Publication


def protect_beside_reports(
    exact: AuditCounts, *, rule: Disclosure, before: PublishedBefore, tell: Callable[[str], None] | None = None
) -> ProtectedFile:
    """The counts of a trust with small groups put together, so that with earlier reports no small number follows.

    `tell` is given a sentence where an earlier report could not be followed.

    Raises
    ------
    DataError
        If the home has given a file of other days that overlap with these, or small numbers follow from the totals of
        everyone and the earlier reports, whichever groups are put together.
    """
    further: dict[str, set[str]] = {}
    while True:
        protected, unknown = protected_counts(exact, rule, further=further)
        linked = _linked(exact, protected)
        publication = before.publication(linked)
        _refuse_overlapping_file(publication, before)
        together, merging = before.link(linked), _Merging(exact, protected, rule)
        if together.reports:
            merging.follow(together, linked)
        if not merging.added:
            break
        for name, codes in merging.added.items():
            further.setdefault(name, set()).update(codes)
    if merging.from_everyone:
        raise DataError(_FROM_EVERYONE)
    if tell is not None and together.left_out:
        tell(_LEFT_OUT.format(number=together.left_out))
    if further:
        titles = ", ".join(exact.counted[name].grouping.title.lower() for name in sorted(further))
        unknown = (*unknown, _BESIDE_REPORTS.format(groupings=titles))
    return ProtectedFile(protected, unknown, publication)


def _refuse_overlapping_file(publication: Publication, before: PublishedBefore) -> None:
    files = (one for one in before.earlier if one.kind == "counts" and one.overlaps(before.first, before.last))
    other = next((one for one in files if one != publication), None)
    if other is not None:
        raise DataError(
            f"audit-counts: this home has already given counts of {other.first} to {other.last}, which overlap with "
            f"{before.first} to {before.last}. The two files would give the numbers of the other days by subtraction. "
            "Give files of days that do not overlap, such as one a quarter. Use another home for another trust."
        )


@dataclass
class _Merging:
    """Finds the groups of a file to put together, since small numbers follow from their counts and earlier reports.

    `added` are their codes by grouping. A group leaves the file with all its counts, and the row of the groups that are
    together grows by them: of these two, a reader then knows the sum only. `from_everyone` says whether a small number
    follows from the totals of everyone, which cannot leave.
    """

    exact: AuditCounts
    protected: AuditCounts
    rule: Disclosure
    added: dict[str, set[str]] = field(default_factory=dict)
    from_everyone: bool = False

    def follow(self, together: LinkedReports, linked: LinkedCounts) -> None:
        """Collect the groups for `linked`, the counts of the file as it would be, and earlier reports with them."""
        held = {cell for cell, known in linked.ranges.items() if known == HIDDEN_ZERO_RANGE}
        for part in unlinked_parts(together.counts):
            secrets = [name for name in (*held, *together.secrets) if name in part.ranges]
            own = [cell for cell in part.ranges if isinstance(cell, CountCell) and cell not in held]
            if secrets and own:
                self._follow_part(part, secrets, own)

    def _follow_part(self, part: LinkedCounts, secrets: Sequence[Unknown], own: Sequence[CountCell]) -> None:
        # What was put together for another count is unknown here too.
        part.ranges |= {cell: HIDDEN_ZERO_RANGE for cell in own if self._is_together(cell)}
        derived = DerivedRanges(part, largest=self.rule.suppress_below - 1)

        def hide(name: Unknown) -> Range:
            assert isinstance(name, CountCell)  # noqa: S101 - no other unknown has a price
            self._put_together(name)
            for cell in own:
                if cell.grouping == name.grouping and self._is_together(cell):
                    derived.set_range(cell, *HIDDEN_ZERO_RANGE)
            return HIDDEN_ZERO_RANGE

        protect(derived, secrets, cost=self._price, hide=hide, print_again=False)
        if derived.given_up:
            part.ranges |= dict.fromkeys(own, HIDDEN_ZERO_RANGE)
            without_file = DerivedRanges(part, largest=self.rule.suppress_below - 1)
            # What follows from the earlier reports alone is no reason to refuse the file.
            self.from_everyone |= any(without_file.exposing(secret) is None for secret in derived.given_up)

    def _left(self, grouping: str) -> dict[str, float]:
        """The groups of a grouping that have a row of their own, with their missed appointments."""
        one, added = self.protected.counted[grouping], self.added.get(grouping, ())
        if grouping == EVERYONE.name:
            return {}
        return {
            group.code: counts.counted("missed")
            for group, counts in zip(one.groups, one.counts, strict=True)
            if group != WITHHELD and group.code not in added and counts.counted("appointments")
        }

    def _is_row(self, cell: CountCell) -> bool:
        """Whether a cell is of the row of the groups that are together."""
        one = self.protected.counted[cell.grouping]
        return WITHHELD in one.groups and cell.code == _code_of_row(self.exact.counted[cell.grouping], one)

    def _is_together(self, cell: CountCell) -> bool:
        """Whether a cell is of a group that was added to those that are together, or of their row, which grows."""
        added = self.added.get(cell.grouping, set())
        return cell.code in added or (bool(added) and self._is_row(cell))

    def _price(self, name: Unknown) -> float | None:
        """The missed appointments of the group that would be added; of the row, those of the smallest group left."""
        if not isinstance(name, CountCell) or name.grouping not in self.protected.counted:
            return None
        left = self._left(name.grouping)
        return left.get(name.code, min(left.values()) if left and self._is_row(name) else None)

    def _put_together(self, cell: CountCell) -> None:
        left = self._left(cell.grouping)
        code = cell.code if cell.code in left else min(left, key=lambda one: left[one])
        self.added.setdefault(cell.grouping, set()).add(code)


def _linked(exact: AuditCounts, protected: AuditCounts) -> LinkedCounts:
    """Every number of the file, and the sums of its groups; groups that were put together are unknown."""
    linked = LinkedCounts()
    for name, one in protected.counted.items():
        held, row = _held(exact.counted[name], one), _code_of_row(exact.counted[name], one)
        codes = [row if group == WITHHELD else group.code for group in one.groups]
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


def _code_of_row(exact: CountedGrouping, protected: CountedGrouping) -> str:
    """The code of the row of the groups that were put together, as a report names such a row."""
    return "&".join(_held(exact, protected))


def _link(linked: LinkedCounts, cells: Sequence[CountCell], held: Sequence[CountCell]) -> None:
    """The groups of a grouping add up to everyone, and those that were put together to their row."""
    row = cells[-1]  # the row is the last of a grouping
    if len(held) > 1:
        linked.ranges |= dict.fromkeys(held, HIDDEN_ZERO_RANGE)
        linked.add_sum(held, row)
    if row.grouping != EVERYONE.name:
        linked.add_sum(cells, CountCell(row.counted, EVERYONE.name, EVERYONE.groups[0].code))

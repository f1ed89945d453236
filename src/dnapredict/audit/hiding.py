"""Which counts of an audit are hidden: decided once, over all tables, charts and gates together.

A report prints many sums of the same appointments. Here they become one system: groups add up to
everyone, deciles to fifths and to Core20, codes to the larger ethnic groups, a group and all others to
everyone, months to the year, cells of two groupings to their margins. `suppression` does the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dnapredict.audit.counts import SUMS, Counted
from dnapredict.audit.groups import Group
from dnapredict.audit.suppression import Cell, Line, hidden_cells
from dnapredict.config.policy import Disclosure

__all__ = ["EVERYONE", "Hidden", "group_lines", "hidden_in", "other_lines", "others_than"]

_NAMES: Final = SUMS[:-1]
# What is printed of everyone else than a group, and of the cells where two groupings cross.
_OF_OTHERS: Final = ("missed", "reached", "trust_side")
_OF_CROSSED: Final = ("appointments", "missed", "selected", "reached")
EVERYONE: Final = ("all", "all")
_OTHERS: Final = "all but "
_MONTH: Final = "month"


@dataclass(frozen=True)
class Hidden:
    """The cells that must not be printed."""

    cells: frozenset[Cell] = frozenset()

    def hides(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of a group is hidden."""
        return any(Cell(name, grouping, code) in self.cells for name in names)

    def hides_others(self, grouping: str, code: str, names: Sequence[str]) -> bool:
        """Whether any of the counts `names` of everyone else than a group is hidden."""
        return self.hides(grouping, _OTHERS + code, names)


def hidden_in(counted: Mapping[str, Counted], rule: Disclosure) -> Hidden:
    """The counts to hide of everything in `counted`, which need not hold everyone."""
    if not counted:
        return Hidden()
    everyone = next(iter(counted.values())).total
    exact = {Cell(name, *EVERYONE): everyone.total(name) for name in _NAMES}
    lines: list[Line] = []
    for name, found in counted.items():
        if name == EVERYONE[0]:
            continue
        if found.grouping.shown:
            exact |= {
                Cell(count, name, group.code): counts.total(count)
                for group, counts in zip(found.groups, found.counts, strict=True)
                for count in _NAMES
            }
            lines += group_lines(name, found.groups, _NAMES, present=tuple(counted))
            if not found.grouping.exploratory:
                exact |= _others(found)
                lines += other_lines(name, found.groups, _OF_OTHERS)
        else:
            crossed, sums = _crossed(found, present=counted)
            exact, lines = exact | crossed, lines + sums
    lines += _of_records(counted)
    return Hidden(hidden_cells(exact, lines, rule, spared=_spared(counted)))


def _spared(counted: Mapping[str, Counted]) -> frozenset[Cell]:
    """Cells of groups that a board asks about first, such as Core20."""
    return frozenset(
        Cell(count, name, code)
        for name, found in counted.items()
        for code in found.grouping.harmed
        for count in _NAMES
    )


def group_lines(
    name: str, groups: Sequence[Group], counts: Sequence[str], *, present: Sequence[str]
) -> Iterator[Line]:
    """Groups of the grouping `name` add up to everyone, and to the larger groups that they are within."""
    for count in counts:
        yield Line(tuple(Cell(count, name, group.code) for group in groups), Cell(count, *EVERYONE))
        for larger in dict.fromkeys(where for group in groups for where in group.within):
            if larger[0] in present:
                parts = tuple(Cell(count, name, group.code) for group in groups if larger in group.within)
                yield Line(parts, Cell(count, *larger))


def _others(found: Counted) -> dict[Cell, float]:
    """Everyone else than each group: printed where a gap or a ratio to them is."""
    return {
        others_than(group, found.grouping.name, count): found.rest(place).total(count)
        for place, group in enumerate(found.groups)
        for count in _OF_OTHERS
    }


def others_than(group: Group, grouping: str, count: str) -> Cell:
    """The cell of everyone else than a group."""
    return Cell(count, grouping, _OTHERS + group.code)


def other_lines(name: str, groups: Sequence[Group], counts: Sequence[str]) -> Iterator[Line]:
    """A group and everyone else add up to everyone; all other groups add up to everyone else."""
    for count in counts:
        for group in groups:
            others = others_than(group, name, count)
            yield Line((Cell(count, name, group.code), others), Cell(count, *EVERYONE))
            parts = tuple(Cell(count, name, one.code) for one in groups if one.code != group.code)
            if parts:
                yield Line(parts, others)


def _crossed(found: Counted, *, present: Mapping[str, Counted]) -> tuple[dict[Cell, float], list[Line]]:
    """Cells of two crossed groupings: months add up to the period, others leave those out who are unknown."""
    name = found.grouping.name
    first, _, second = name.partition("_by_")
    known = [(g, c) for g, c in zip(found.groups, found.counts, strict=True) if g.facets]
    exact = {Cell(count, name, g.code): c.total(count) for g, c in known for count in _OF_CROSSED}
    lines = []
    for side, margin in enumerate((first, second)):
        if margin not in present:
            continue
        for code in dict.fromkeys(group.facets[side] for group, _ in known):
            codes = [group.code for group, _ in known if group.facets[side] == code]
            lines += [
                Line(
                    tuple(Cell(count, name, each) for each in codes),
                    Cell(count, margin, code),
                    open=second != _MONTH,
                )
                for count in _OF_CROSSED
            ]
    return exact, lines


def _of_records(counted: Mapping[str, Counted]) -> Iterator[Line]:
    """Appointments without a known ethnic group are those of the groups that stand for not knowing."""
    for name in ("ethnicity", "ethnicity_5"):
        if name in counted:
            unknown = [group for group in counted[name].groups if not group.known]
            for group in unknown:
                own = Cell("unrecorded", name, group.code)
                yield Line((own,), Cell("appointments", name, group.code))

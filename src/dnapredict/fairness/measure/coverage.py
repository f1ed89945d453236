"""What an audit found again of the appointments that its model was tested on.

An audit of fewer, other or edited appointments can come out better than one of all. The training therefore keeps which
appointments the test held, with day and outcome, and how many there were of each group
(`registry.tested_appointments`); each audit is compared with that. The counts are exact, and never printed as they are.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import binom

from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import GROUPINGS, PLACE_GROUPINGS
from dnapredict.fairness.measure.membership import Group, membership

Composition = Mapping[str, Mapping[str, tuple[int, int]]]
"""Attended and missed appointments of each group, by grouping and code of the group."""

# One audit in a thousand is called incomplete by chance, over all groups and outcomes together.
_CHANCE: Final = 0.001
# A patient's appointments are lost or kept together, so that chance is taken on half as many.
_DESIGN_EFFECT: Final = 2.0


@dataclass(frozen=True)
class CoverageCell:
    """The missed, or the attended, appointments of one group.

    Attributes
    ----------
    tested, found
        How many the model was tested on, and how many of that group and outcome the audit found again.
    audited, foreign
        How many the audit holds, and how many of them are foreign (see `Coverage`).
    """

    grouping: str
    group: Group
    missed: bool
    tested: int
    found: int
    audited: int
    foreign: int


@dataclass(frozen=True)
class Coverage:
    """Appointments that an audit found again, and those that it should not hold.

    Attributes
    ----------
    tested, found
        Appointments that the model was tested on, and those of them that the audit holds with the same day and outcome.
    changed, moved
        Of those not found: the audit holds them with another outcome, or on another day.
    audited
        All appointments of the audit.
    foreign
        Those that were cancelled, on another day or not there when the model was trained, although they are of its
        test's days; and those that the model was trained on.
    cells
        The same by group and outcome; empty where the training kept no groups, as in earlier releases.
    """

    tested: int
    found: int
    changed: int
    moved: int
    audited: int
    foreign: int
    cells: tuple[CoverageCell, ...] = ()

    @property
    def share(self) -> float:
        """Share of the tested appointments that were found again."""
        return self.found / self.tested if self.tested else 0.0

    def lacking(self, least: float) -> tuple[CoverageCell, ...]:
        """Groups of which fewer than the share `least` were found again, beyond chance."""
        held = [(cell, cell.tested, cell.tested - cell.found) for cell in self.cells]
        return _beyond_chance(held, allowed=1 - least)

    def enlarged(self, least: float) -> tuple[CoverageCell, ...]:
        """Groups that hold more of the tested appointments than at the training, beyond chance.

        What was not known then may be recorded by now: such appointments are not counted.
        """
        recorded: dict[tuple[str, bool], int] = {}
        for cell in self.cells:
            if not cell.group.known:
                at = (cell.grouping, cell.missed)
                recorded[at] = recorded.get(at, 0) + cell.tested - cell.found
        held = [
            (
                cell,
                max(cell.tested, 1),
                cell.found - cell.tested - max(recorded.get((cell.grouping, cell.missed), 0), 0),
            )
            for cell in self.cells
        ]
        return _beyond_chance(held, allowed=1 - least)

    def diluted(self, least: float) -> tuple[CoverageCell, ...]:
        """Groups of which more than the share 1 - `least` is foreign, beyond chance."""
        held = [(cell, cell.audited, cell.foreign) for cell in self.cells]
        return _beyond_chance(held, allowed=1 - least)


def _beyond_chance(held: list[tuple[CoverageCell, int, int]], *, allowed: float) -> tuple[CoverageCell, ...]:
    """Cells of known groups of which more than the share `allowed` is wrong (one-sided binomial test, Bonferroni)."""
    held = [(cell, total, wrong) for cell, total, wrong in held if cell.group.known]
    if not held:
        return ()
    total = np.ceil(np.array([total for _, total, _ in held]) / _DESIGN_EFFECT)
    wrong = np.ceil(np.array([wrong for _, _, wrong in held]) / _DESIGN_EFFECT)
    p = binom.sf(np.minimum(wrong, total) - 1, total, allowed)
    return tuple(cell for (cell, _, _), low in zip(held, p < _CHANCE / len(held), strict=True) if low)


def composition(counts: Mapping[str, pa.Table], *, since: datetime.date) -> dict[str, dict[str, tuple[int, int]]]:
    """Attended and missed appointments of each group since a day.

    Parameters
    ----------
    counts
        For each contract column a table of its values with `day`, `missed` and `n`.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for table in counts.values():
        later = table.filter(pc.greater_equal(table["day"], pa.scalar(since, pa.date32())))
        missed = later["missed"].to_numpy().astype(np.int64)
        for name, groups, index in _memberships(later):
            cells = np.bincount(2 * index + missed, weights=later["n"].to_numpy(), minlength=2 * len(groups))
            pairs = zip(groups, cells.astype(int).reshape(-1, 2).tolist(), strict=True)
            found[name] = {group.code: (came, lost) for group, (came, lost) in pairs if came + lost}
    return found


def coverage_cells(
    tested: Composition,
    table: pa.Table,
    missed: NDArray[np.bool_],
    *,
    found: NDArray[np.bool_],
    foreign: NDArray[np.bool_],
) -> Iterator[CoverageCell]:
    """Each group of the test by outcome, with what the audit's `table` holds of it.

    An extract that lacks a column lacks every group of it.

    Parameters
    ----------
    found, foreign : (n,) bool
        The rows of `table` that the test held with the same day and outcome, and those that are foreign.
    """
    held = {name: (groups, index) for name, groups, index in _memberships(table)}
    everywhere = {grouping.name: grouping for grouping in (*GROUPINGS, *PLACE_GROUPINGS)}
    for name in tested.keys() & everywhere.keys():
        groups, index = held.get(name, ((), np.zeros(len(missed), dtype=np.int32)))
        known = {group.code: group for group in (*everywhere[name].groups, *groups)}
        counts = {
            kind: np.bincount((2 * index + missed)[rows], minlength=2 * len(groups))
            for kind, rows in (("found", found), ("foreign", foreign), ("audited", np.ones(len(missed), dtype=bool)))
        }
        at = {group.code: position for position, group in enumerate(groups)}
        for code in tested[name].keys() | at.keys():
            group = known.get(code, Group(code, code))
            for outcome in (0, 1):
                here = {k: int(v[2 * at[code] + outcome]) if code in at else 0 for k, v in counts.items()}
                before = tested[name].get(code, (0, 0))[outcome]
                yield CoverageCell(name, group, bool(outcome), before, here["found"], here["audited"], here["foreign"])


def _memberships(table: pa.Table) -> Iterator[tuple[str, tuple[Group, ...], NDArray[np.int32]]]:
    rows = AuditData(table)
    for grouping in (*GROUPINGS, *PLACE_GROUPINGS):
        members = membership(rows, grouping)
        if members is not None:
            yield grouping.name, members.groups, members.index

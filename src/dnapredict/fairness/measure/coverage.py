"""Coverage: how many of the appointments that a model was tested on an audit finds unchanged.

An audit of fewer, other or edited appointments can have a better result than one of all. The training therefore keeps
the appointments of the test, with day and outcome, and the number in each group (`registry.tested_appointments`). Each
audit is compared with them. The counts are exact, and are rounded before they are printed.
"""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
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
# Smallest number of a cell's appointments for each bucket of signs, so that no sum reveals who is in the cell.
_LEAST_IN_BUCKET: Final = 2
_FEWEST_BUCKETS: Final = 32
_MOST_BUCKETS: Final = 512
# An estimate of exchanged appointments is lowered by so many standard errors.
_CAUTION: Final = 3.0
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
    left
        A cautious estimate of how many of the tested are in another group now, or not in the audit.
    """

    grouping: str
    group: Group
    missed: bool
    tested: int
    found: int
    audited: int
    foreign: int
    left: int = 0


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

    def exchanged(self, least: float) -> tuple[CoverageCell, ...]:
        """Groups of unchanged size of which more than the share 1 - `least` was exchanged for other appointments."""
        lacking = set(self.lacking(least))
        return _beyond_chance(
            [(cell, cell.tested, cell.left) for cell in self.cells if cell not in lacking], allowed=1 - least
        )

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


Cell = tuple[str, str, int]
"""Grouping, code of the group, and 1 for its missed or 0 for its attended appointments."""


def group_sums(
    table: pa.Table, missed: NDArray[np.bool_], keys: NDArray[np.uint64], *, like: Mapping[Cell, int] | None = None
) -> dict[Cell, NDArray[np.int64]]:
    """For each cell its appointments' signs, added up by bucket; both are bits of the keyed fingerprint.

    The squared difference of two such sums estimates how many appointments are in only one of the two sets (Charikar,
    Chen and Farach-Colton 2002). The sums do not reveal whether an appointment is in a set: a cell has at most one
    bucket for two appointments, and a smaller cell is left out.

    Parameters
    ----------
    keys : (n,) uint64
        Keyed fingerprints of the appointments in `table`.
    like
        Buckets of each cell to add up; by default as many as the cell allows.
    """
    bucket = (keys >> np.uint64(64 - _MOST_BUCKETS.bit_length() + 1)).astype(np.int64)
    sign = np.where(keys & np.uint64(1 << 40), 1.0, -1.0)
    sums: dict[Cell, NDArray[np.int64]] = {}
    for name, groups, index in _memberships(table):
        at = 2 * index.astype(np.int64) + missed
        size = np.bincount(at, minlength=2 * len(groups))
        whole = np.bincount(at * _MOST_BUCKETS + bucket, weights=sign, minlength=len(size) * _MOST_BUCKETS)
        for position, cell in enumerate((name, group.code, outcome) for group in groups for outcome in (0, 1)):
            wanted = _buckets(int(size[position])) if like is None else like.get(cell, 0)
            if wanted:
                own = whole[position * _MOST_BUCKETS : (position + 1) * _MOST_BUCKETS]
                sums[cell] = own.reshape(wanted, -1).sum(axis=1).astype(np.int64)
    return sums


def _buckets(size: int) -> int:
    """The number of buckets of a cell, a power of two; 0 where it is too small."""
    most = min(size // _LEAST_IN_BUCKET, _MOST_BUCKETS)
    return 0 if most < _FEWEST_BUCKETS else 1 << (most.bit_length() - 1)


def _left(before: NDArray[np.int64], now: NDArray[np.int64], *, net: int) -> int:
    """A cautious estimate of how many appointments left a cell, which has `net` fewer than before."""
    apart = float(np.sum((before - now) ** 2)) * (1 - _CAUTION * (2 / len(before)) ** 0.5)
    return max(int((apart + net) / 2), 0)


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
    keys: NDArray[np.uint64] | None = None,
    sums: Mapping[Cell, NDArray[np.int64]] = MappingProxyType({}),
) -> Iterator[CoverageCell]:
    """Each group of the test by outcome, with its counts in the audit's `table`.

    An extract without a column has no group of that column.

    Parameters
    ----------
    found, foreign : (n,) bool
        The rows of `table` that the test held with the same day and outcome, and those that are foreign.
    keys : (n,) uint64, optional
        Keyed fingerprints of the rows, where `sums` has the `group_sums` of the test.
    """
    now = (
        group_sums(table.filter(pa.array(found)), missed[found], keys[found], like={k: len(v) for k, v in sums.items()})
        if keys is not None and sums
        else {}
    )
    held = {name: (groups, index) for name, groups, index in _memberships(table)}
    everywhere = {grouping.name: grouping for grouping in (*GROUPINGS, *PLACE_GROUPINGS)}
    for name in (name for name in everywhere if name in tested):  # not as a set: a report names the first ones
        groups, index = held.get(name, ((), np.zeros(len(missed), dtype=np.int32)))
        known = {group.code: group for group in (*everywhere[name].groups, *groups)}
        counts = {
            kind: np.bincount((2 * index + missed)[rows], minlength=2 * len(groups))
            for kind, rows in (("found", found), ("foreign", foreign), ("audited", np.ones(len(missed), dtype=bool)))
        }
        at = {group.code: position for position, group in enumerate(groups)}
        for code in dict.fromkeys((*tested[name], *at)):
            group = known.get(code, Group(code, code))
            for outcome in (0, 1):
                here = {k: int(v[2 * at[code] + outcome]) if code in at else 0 for k, v in counts.items()}
                before, cell = tested[name].get(code, (0, 0))[outcome], (name, code, outcome)
                left = _left(sums[cell], now[cell], net=before - here["found"]) if cell in now else 0
                yield CoverageCell(
                    name, group, bool(outcome), before, here["found"], here["audited"], here["foreign"], left
                )


def _memberships(table: pa.Table) -> Iterator[tuple[str, tuple[Group, ...], NDArray[np.int32]]]:
    rows = AuditData(table)
    for grouping in (*GROUPINGS, *PLACE_GROUPINGS):
        members = membership(rows, grouping)
        if members is not None:
            yield grouping.name, members.groups, members.index

"""What can be derived from published numbers: the range of each unknown count, by linear programming.

Published counts are linked: groups add up to everyone, deciles to fifths, months to the year, and nobody is reached
who was not called. Each printed number bounds its count within the rounding. The least and the greatest value that a
hidden count can have under all of these is found by a linear program, as an attacker would (Willenborg and de Waal
2001, Elements of Statistical Disclosure Control, section 6.2). A count is safe where at least `FEWEST_POSSIBLE`
whole values are left.

Every solution of such a program is a possible set of counts, and shows a range for all cells at once. So the
solutions are kept: most cells are found to be safe without a program of their own.
"""

import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from dnapredict.data.small_numbers import FEWEST_POSSIBLE
from dnapredict.fairness.disclosure.linear_program import LinearProgram, Solution

Unknown = Hashable
Range = tuple[float, float]
_TOLERANCE: Final = 1e-6
_WORTH_IT: Final = 4  # counts shown to be safe by four programs for many; by itself each would take two


@dataclass
class LinkedCounts:
    """Unknown counts with their ranges, and the sums that link them.

    `ranges` are the lowest and highest value of each unknown by what is printed of it alone; every unknown of a row
    must have one. `equal` are rows whose weighted sum is 0, `at_most` rows whose weighted sum is at most 0.
    """

    ranges: dict[Unknown, Range] = field(default_factory=dict)
    equal: list[Mapping[Unknown, float]] = field(default_factory=list)
    at_most: list[Mapping[Unknown, float]] = field(default_factory=list)

    def add_sum(self, parts: Iterable[Unknown], total: Unknown, *, open_ended: bool = False) -> None:
        """`parts` add up to `total`; `open_ended` where a further part is printed nowhere."""
        row: dict[Unknown, float] = {}
        for part in parts:
            row[part] = row.get(part, 0.0) + 1.0
        row[total] = row.get(total, 0.0) - 1.0
        (self.at_most if open_ended else self.equal).append(row)


def unlinked_parts(linked: LinkedCounts) -> list[LinkedCounts]:
    """The counts that are linked with one another, each such part by itself: smaller programs are solved faster."""
    place = {name: number for number, name in enumerate(linked.ranges)}
    rows = (*linked.equal, *linked.at_most)
    pairs = [(place[next(iter(row))], place[name]) for row in rows for name in row]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    links = csr_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(place), len(place)))
    number, label = connected_components(links, directed=False)
    parts = [LinkedCounts() for _ in range(number)]
    for name, known in linked.ranges.items():
        parts[label[place[name]]].ranges[name] = known
    for row in linked.equal:
        parts[label[place[next(iter(row))]]].equal.append(row)
    for row in linked.at_most:
        parts[label[place[next(iter(row))]]].at_most.append(row)
    return parts


class DerivedRanges:
    """The ranges that follow from `LinkedCounts`, as cells are hidden one by one.

    A range only widens when a cell is hidden, so that what was found safe stays safe.
    """

    def __init__(
        self, linked: LinkedCounts, *, truth: Mapping[Any, float] | None = None, largest: float = math.inf
    ) -> None:
        """Bind the system; `truth` is one possible set of counts, where every count is known.

        A count that is surely 0, or surely above `largest`, is no secret.
        """
        self._largest = largest
        self._settled: set[Unknown] = set()  # surely no secret, or given up
        self.given_up: list[Unknown] = []
        self._names = list(linked.ranges)
        self._place = {name: place for place, name in enumerate(self._names)}
        ranges = np.array([linked.ranges[name] for name in self._names], dtype=float).reshape(-1, 2)
        # A finite limit in place of infinity, so that each program has a solution.
        finite = ranges[np.isfinite(ranges)]
        self._most = 2.0 * (finite.max() if len(finite) else 0.0) + 1_000.0
        self._low, self._high = ranges[:, 0].copy(), np.minimum(ranges[:, 1], self._most)
        rows = self._matrix(linked.equal), self._matrix(linked.at_most)
        self._program = LinearProgram(*rows, self._low, self._high)
        self._found: list[NDArray[np.float64]] = []
        if truth is not None:
            self._found.append(np.array([truth[name] for name in self._names], dtype=float))

    def _matrix(self, rows: Sequence[Mapping[Unknown, float]]) -> csr_array:
        at = np.repeat(np.arange(len(rows)), np.array([len(row) for row in rows], dtype=np.int64))
        columns = np.array([self._place[name] for row in rows for name in row], dtype=np.int64)
        values = np.array([weight for row in rows for weight in row.values()], dtype=float)
        return csr_array((values, (at, columns)), shape=(len(rows), len(self._names)))

    @property
    def consistent(self) -> bool:
        """Whether any counts at all agree with everything that is printed."""
        return bool(self._found) or self._solve(np.zeros(len(self._names))) is not None

    @classmethod
    def are_consistent(cls, linked: LinkedCounts) -> bool:
        """Whether any counts at all agree with everything that is printed."""
        return all(cls(part).consistent for part in unlinked_parts(linked))

    def set_range(self, name: Unknown, low: float, high: float) -> Range:
        """Give an unknown another range; returns the one that it had. Solutions that no longer hold are dropped."""
        place = self._place[name]
        before = self._low[place], self._high[place]
        self._low[place], self._high[place] = low, min(high, self._most)
        self._program.set_limits(place, self._low[place], self._high[place])
        self._found = [
            one for one in self._found if self._low[place] - _TOLERANCE <= one[place] <= self._high[place] + _TOLERANCE
        ]
        return before

    def unsafe(self, secrets: Collection[Unknown]) -> list[Unknown]:
        """Those of `secrets` that no solutions show to be safe; programs for many at a time are tried first.

        All are made large, then small, then some large and others small, as long as that helps.
        """
        left, before = self._open(secrets), math.inf
        signs = np.random.default_rng(len(left))
        while left and before - len(left) >= _WORTH_IT:
            before = len(left)
            places = [self._place[name] for name in left]
            mixed = signs.choice([-1.0, 1.0], len(left))
            for weights in (np.full(len(left), -1.0), np.full(len(left), 1.0), mixed, -mixed):
                aim = np.zeros(len(self._names))
                aim[places] = weights
                self._solve(aim)
            left = self._open(left)
        return left

    def _open(self, secrets: Collection[Unknown]) -> list[Unknown]:
        names = [name for name in secrets if name not in self._settled]
        if not names or not self._found:
            return names
        places = [self._place[name] for name in names]
        values = np.array([one[places] for one in self._found])
        safe = _is_safe(values.min(axis=0), values.max(axis=0))
        return [name for name, is_safe in zip(names, safe, strict=True) if not is_safe]

    def exposing(self, secret: Unknown) -> list[Unknown] | None:
        """None where `secret` is safe, otherwise the unknowns whose printed ranges bound it, which may be none."""
        place, bounding = self._place[secret], set[int]()
        for sign in (-1.0, 1.0):
            aim = np.zeros(len(self._names))
            aim[place] = sign
            solved = self._solve(aim)
            if solved is None or not self._open([secret]):
                return None
            end = solved.values[place]
            if (end < 1 - _TOLERANCE) if sign < 0 else (end > self._largest + _TOLERANCE):
                self._settled.add(secret)
                return None
            bounding |= set(np.flatnonzero(solved.bounding).tolist())
        return [self._names[each] for each in sorted(bounding - {place})]

    def give_up(self, secret: Unknown) -> None:
        """Leave out a secret that nothing can protect."""
        self._settled.add(secret)
        self.given_up.append(secret)

    def range_of(self, secret: Unknown) -> Range:
        """Lowest and highest possible value of an unknown; the highest is infinity where nothing bounds it."""
        ends = []
        for sign in (1.0, -1.0):
            aim = np.zeros(len(self._names))
            aim[self._place[secret]] = sign
            solved = self._solve(aim)
            ends.append(math.nan if solved is None else float(solved.values[self._place[secret]]))
        return ends[0], math.inf if ends[1] > self._most - 1 else ends[1]

    def _solve(self, aim: NDArray[np.float64]) -> Solution | None:
        """A solution that minimises `aim`, which is kept; None where no counts agree with what is printed."""
        found = self._program.minimise(aim)
        if found is not None:
            self._found.append(found.values)
        return found


def _is_safe(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether enough whole numbers are between the two."""
    enough: NDArray[np.bool_] = high + _TOLERANCE >= np.ceil(low - _TOLERANCE) + FEWEST_POSSIBLE - 1
    return enough


class _Hidden(NamedTuple):
    """The range of an unknown before it was hidden, and the secret that hiding it protects."""

    printed: Range
    secret: Unknown


def protect(
    derived: DerivedRanges,
    secrets: Collection[Unknown],
    *,
    cost: Callable[[Unknown], float | None],
    hide: Callable[[Unknown], Range],
    print_again: bool = True,
) -> list[Unknown]:
    """Hide printed unknowns until every one of `secrets` is safe, at little cost; returns those hidden.

    Among the unknowns whose printed ranges bound an exposed secret (those with a dual value in the two programs), the
    cheapest is hidden; `cost` is None for those that cannot be hidden. At the end each hidden one is printed again
    where the secrets stay safe without it, the most expensive first (Fischetti and Salazar 2001, Management
    Science 47:1008, solve the same problem to optimality by branch and cut; this is the heuristic that they start
    from, with the dual values of their separation problem).
    """
    hidden: dict[Unknown, _Hidden] = {}
    for secret in derived.unsafe(secrets):
        while (bounding := derived.exposing(secret)) is not None:
            prices = {name: price for name in bounding if name not in hidden and (price := cost(name)) is not None}
            if not prices:
                derived.give_up(secret)
                break
            cheapest = min(prices, key=lambda name: prices[name])
            hidden[cheapest] = _Hidden(derived.set_range(cheapest, *hide(cheapest)), secret)
    return _still_needed(derived, secrets, hidden, cost=cost) if print_again else list(hidden)


def _still_needed(
    derived: DerivedRanges,
    secrets: Collection[Unknown],
    hidden: dict[Unknown, _Hidden],
    *,
    cost: Callable[[Unknown], float | None],
) -> list[Unknown]:
    """Those of `hidden` that the secrets need; the others are printed again."""
    needed = []
    for name in sorted(hidden, key=lambda each: -(cost(each) or 0.0)):
        while_hidden = derived.set_range(name, *hidden[name].printed)
        # Most are needed, and then most often by the secret that they were hidden for.
        if _is_exposed(derived, [hidden[name].secret]) or _is_exposed(derived, derived.unsafe(secrets)):
            derived.set_range(name, *while_hidden)
            needed.append(name)
    return needed


def _is_exposed(derived: DerivedRanges, secrets: Iterable[Unknown]) -> bool:
    return any(derived.exposing(each) is not None for each in secrets)

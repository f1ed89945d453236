"""Whatever is counted, reports of overlapping windows give no count of 1 to 7 back, nor one by subtraction."""

import datetime
import math

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.examples import examples

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, cells_to_hide, printed_range

RULE = Disclosure(why="The rule of hospital statistics.")
TOTAL = CountCell("missed", "all", "all")
CODES = ("a1", "a2", "b1", "b2", "b3")
CELLS = [
    TOTAL,
    *(CountCell("missed", "broad", code) for code in "ab"),
    *(CountCell("missed", "fine", code) for code in CODES),
]
SUMS = [
    *(SumConstraint(tuple(c for c in CELLS if c.grouping == "fine" and c.code[0] == b), CELLS[1 + place])
      for place, b in enumerate("ab")),
    SumConstraint(tuple(CELLS[1:3]), TOTAL),
]  # fmt: skip
few = st.one_of(st.just(0), st.integers(1, 7), st.integers(0, 40))
quarters = st.lists(st.lists(few, min_size=5, max_size=5), min_size=3, max_size=3)
WINDOWS = st.sampled_from([[(0, 1), (0, 2)], [(0, 2), (0, 1)], [(0, 0), (0, 2), (1, 2)], [(0, 1), (1, 2)]])


def test_what_no_hiding_prevents_is_told():
    """Each of three is in the year's last nine months, which a "*" tells: so the year's "*" can only be 1 or 2."""
    counts, earlier, exposed = [[0, 0, 0, 0, 13], [0, 0, 0, 0, 0], [0, 0, 1, 1, 1]], [], []
    for window in [(0, 0), (0, 2), (1, 2)]:
        before = PublishedBefore(b"key", tuple(earlier), "audit", *days(window), data=str(window), listed="")
        found = cells_to_hide(exact(counts, window), SUMS, RULE, with_earlier=(before.link, before.link_added))
        earlier.append(before.publication(found.linked))
        exposed.append(found.exposed > 0)
    assert exposed == [False, False, True]


def exact(counts: list[list[int]], window: tuple[int, int]) -> dict[CountCell, float]:
    fine = [sum(quarter[place] for quarter in counts[window[0] : window[1] + 1]) for place in range(5)]
    return dict(zip(CELLS, map(float, [sum(fine), sum(fine[:2]), sum(fine[2:]), *fine]), strict=True))


def days(window: tuple[int, int]) -> tuple[datetime.date, datetime.date]:
    return datetime.date(2025, 1 + 3 * window[0], 1), datetime.date(2025, 3 + 3 * window[1], 28)


@example([[7, 6, 0, 13, 1], [0, 0, 0, 0, 0], [4, 27, 8, 0, 3]], [(0, 0), (0, 2), (1, 2)])
@example([[0, 4, 12, 3, 7], [0, 0, 0, 0, 0], [8, 5, 27, 4, 3]], [(0, 0), (0, 2), (1, 2)])
@given(quarters, WINDOWS)
@settings(max_examples=examples(60), deadline=None)
def test_reports_of_overlapping_windows_give_no_small_count_back(
    counts: list[list[int]], windows: list[tuple[int, int]]
):
    earlier: list[Publication] = []
    printed: list[dict[CountCell, tuple[float, float]]] = []
    exposed = 0
    for window in windows:
        before = PublishedBefore(b"key", tuple(earlier), "audit", *days(window), data=str(window), listed="")
        here = exact(counts, window)
        found = cells_to_hide(here, SUMS, RULE, with_earlier=(before.link, before.link_added))
        assert found.left_out == 0
        exposed += found.exposed
        printed.append(
            {c: (min(1.0, here[c]), math.inf) if c in found.cells else printed_range(here[c], RULE) for c in CELLS}
        )
        earlier.append(before.publication(found.linked))
    if exposed:
        return  # which the report says
    unknown = _System(windows, printed)
    for window in windows:
        for cell, count in exact(counts, window).items():
            if 1 <= count <= 7:
                unknown.must_stay_secret(cell, range(window[0], window[1] + 1), count)
    _must_keep_differences(unknown, counts, windows)


def _must_keep_differences(unknown: "_System", counts: list[list[int]], windows: list[tuple[int, int]]) -> None:
    for first in windows:
        for second in windows:
            rest = set(range(second[0], second[1] + 1)) - set(range(first[0], first[1] + 1))
            if set(range(first[0], first[1] + 1)) < set(range(second[0], second[1] + 1)):
                for cell in CELLS:
                    left = exact(counts, second)[cell] - exact(counts, first)[cell]
                    if 1 <= left <= 7:
                        unknown.must_stay_secret(cell, rest, left)


class _System:
    """The attacker's unknowns: the finest groups in each quarter, and what is printed of their sums."""

    def __init__(self, windows: list[tuple[int, int]], printed: list[dict[CountCell, tuple[float, float]]]):
        rows, limits = [], []
        for window, ranges in zip(windows, printed, strict=True):
            for cell, (low, high) in ranges.items():
                row = self._row(cell, range(window[0], window[1] + 1))
                rows += [-row] + ([row] if math.isfinite(high) else [])
                limits += [-low] + ([high] if math.isfinite(high) else [])
        self.rows, self.limits = np.array(rows), limits

    @staticmethod
    def _row(cell: CountCell, quarters: object) -> np.ndarray:
        row = np.zeros(15)
        for quarter in quarters:
            for place, code in enumerate(CODES):
                if cell == TOTAL or cell.code in (code, code[0]):
                    row[5 * quarter + place] = 1
        return row

    def must_stay_secret(self, cell: CountCell, quarters: object, truth: float) -> None:
        aim, ends = self._row(cell, quarters), []
        for sign in (1, -1):
            solved = linprog(sign * aim, A_ub=self.rows, b_ub=self.limits, bounds=(0, None))
            assert solved.status in (0, 3), solved.message
            ends.append(sign * solved.fun if solved.status == 0 else math.inf)
        low, high = ends
        assert low - 1e-6 <= truth <= high + 1e-6
        assert high + 1e-6 >= math.ceil(low - 1e-6) + 2, (cell, quarters, low, high)

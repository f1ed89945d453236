"""Whatever the counts are, suppression gives an answer, and what is printed gives no small count back."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.examples import examples

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.disclosure.suppression import CountCell, SumConstraint, cells_to_hide

RULE = Disclosure(why="The rule of hospital statistics.")
FEWEST_POSSIBLE = 3
TOTAL = CountCell("missed", "all", "all")
Table = tuple[dict[CountCell, float], list[SumConstraint]]

small_counts = st.one_of(st.just(0), st.integers(1, 7), st.integers(0, 40), st.integers(0, 10_000))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of two crossed groupings with both margins and everyone, as a report prints them."""
    across, down = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    counts = [[draw(small_counts) for _ in range(across)] for _ in range(down)]
    exact = {CountCell("missed", "crossed", f"{d}|{a}"): float(n) for d, row in enumerate(counts)
             for a, n in enumerate(row)}  # fmt: skip
    lines = []
    for name, size, inside in (
        ("down", down, lambda at: [f"{at}|{a}" for a in range(across)]),
        ("across", across, lambda at: [f"{d}|{at}" for d in range(down)]),
    ):
        for at in range(size):
            parts = tuple(CountCell("missed", "crossed", code) for code in inside(at))
            margin = CountCell("missed", name, str(at))
            exact[margin] = sum(exact[part] for part in parts)
            lines.append(SumConstraint(parts, margin))
        margins = tuple(CountCell("missed", name, str(at)) for at in range(size))
        exact[TOTAL] = sum(exact[margin] for margin in margins)
        lines.append(SumConstraint(margins, TOTAL))
    return exact, lines


def known_to_an_attacker(
    exact: dict[CountCell, float], lines: list[SumConstraint], hidden: frozenset[CountCell], cell: CountCell
) -> tuple[float, float]:
    """Lowest and highest value that `cell` can have, by a linear program over all that is printed."""
    cells = list(exact)
    bounds = []
    for one in cells:
        shown = None if one in hidden else publish_count(exact[one], RULE)
        bounds.append((1, None) if shown is None else (max(0, shown - 2), shown + 2) if shown else (0, 0))
    sums = np.zeros((len(lines), len(cells)))
    for row, line in enumerate(lines):
        for part in line.parts:
            sums[row, cells.index(part)] += 1
        sums[row, cells.index(line.total)] -= 1
    aim = np.zeros(len(cells))
    aim[cells.index(cell)] = 1
    ends = []
    for sign in (1, -1):
        solved = linprog(sign * aim, A_eq=sums, b_eq=np.zeros(len(lines)), bounds=bounds)
        assert solved.status in (0, 3), solved.message  # 3: nothing bounds it
        ends.append(sign * solved.fun if solved.status == 0 else -sign * math.inf)
    return ends[0], ends[1]


@given(tables())
@settings(max_examples=examples(60))
def test_no_printed_table_gives_a_count_of_1_to_7_back(table: Table):
    exact, lines = table
    hidden = cells_to_hide(exact, lines, RULE).cells
    small = [cell for cell, number in exact.items() if 1 <= number <= 7]
    assert hidden >= set(small)
    for cell in small:
        low, high = known_to_an_attacker(exact, lines, hidden, cell)
        assert low - 1e-6 <= exact[cell] <= high + 1e-6
        assert high + 1e-6 >= math.ceil(low - 1e-6) + FEWEST_POSSIBLE - 1, (cell, low, high)


@given(tables(), st.sampled_from([0, 1, 8, 100]), st.sampled_from([1, 5, 10, 100]))
def test_suppression_answers_for_any_counts_and_any_rule(table: Table, below: int, to: int):
    exact, lines = table
    rule = Disclosure(suppress_below=below, round_to=to, why="Another rule of a trust.")
    hidden = cells_to_hide(exact, lines, rule).cells
    assert {cell for cell, number in exact.items() if publish_count(number, rule) is None} <= hidden <= set(exact)


def test_a_total_of_1_to_7_is_hidden_with_all_its_parts():
    """Was an OverflowError: nothing bounds a total that is hidden itself."""
    parts = [CountCell("missed", "sex", code) for code in "129"]
    exact = dict(zip([TOTAL, *parts], [5.0, 3.0, 2.0, 0.0], strict=True))
    assert cells_to_hide(exact, [SumConstraint(tuple(parts), TOTAL)], RULE).cells == {TOTAL, *parts[:2]}


def test_where_a_sum_is_hidden_whole_a_count_further_away_is_hidden():
    """Ten groups of one each add up to a hidden margin, which a printed count beside it would give back."""
    parts = tuple(CountCell("missed", "ethnicity", str(place)) for place in range(5))
    margin, other = CountCell("missed", "five", "a"), CountCell("missed", "five", "b")
    exact = {**dict.fromkeys(parts, 1.0), margin: 5.0, other: 100.0, TOTAL: 105.0}
    lines = [SumConstraint(parts, margin), SumConstraint((margin, other), TOTAL)]
    hidden = cells_to_hide(exact, lines, RULE).cells
    low, high = known_to_an_attacker(exact, lines, hidden, parts[0])
    assert high >= math.ceil(low) + FEWEST_POSSIBLE - 1

"""The weeks of several teams and of everyone, attacked together: no small count follows from all of them."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.examples import examples

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.service.call_actions import WeekEntry
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.week_counts import FIFTHS, WeekCounts, count_teams

RULE = Disclosure(why="The rule of hospital statistics.")
OUTCOMES = [outcome for outcome in Outcome if outcome is not Outcome.WITHDRAWN]
USED = (Outcome.CONFIRMED, Outcome.TRANSPORT_ARRANGED, Outcome.NO_ANSWER, Outcome.MESSAGE_LEFT)
SIZES = st.sampled_from((0, 1, 2, 5, 8, 12, 20, 40))
EVERYONE = "all"

Cell = tuple[str, str, str]
Week = list[tuple[Outcome, str]]
"""Outcome and fifth of each call."""


def cells_of(calls: Week) -> dict[tuple[str, str], int]:
    exact = {("outcome", outcome.value): sum(each is outcome for each, _ in calls) for outcome in OUTCOMES}
    exact |= {("called", fifth): sum(of == fifth for _, of in calls) for fifth in FIFTHS}
    return exact | {("reached", fifth): sum(of == fifth and each.reached for each, of in calls) for fifth in FIFTHS}


def printed(counts: WeekCounts) -> dict[tuple[str, str], int | None]:
    shown = {("outcome", outcome.value): counts.outcomes[outcome] for outcome in OUTCOMES}
    shown |= {("called", fifth): counts.by_fifth[fifth][0] for fifth in FIFTHS}
    return shown | {("reached", fifth): counts.by_fifth[fifth][1] for fifth in FIFTHS}


def limits(shown: int | None, *, may_be_zero: bool) -> tuple[float, float | None]:
    """What a reader knows of a count that is printed so; a 0 is hidden only with all parts of a small total."""
    if shown is None:
        return 0 if may_be_zero else 1, None
    return (0, 0) if shown == 0 else (max(shown - 2, 8), shown + 2)


def hides_zeros(cell: tuple[str, str], calls: Week) -> bool:
    """Whether the cell is part of a small total."""
    made, reached, nobody = totals(calls)
    kind, code = cell
    of_reached = kind == "reached" or (kind == "outcome" and Outcome(code).reached)
    parts_of = [made, *([reached] if of_reached else []), *([nobody] if kind == "outcome" and not of_reached else [])]
    return any(0 < total < RULE.suppress_below for total in parts_of)


def totals(calls: Week) -> tuple[int, int, int]:
    reached = sum(outcome.reached for outcome, _ in calls)
    return len(calls), reached, len(calls) - reached


class Attack:
    """A reader of the pages of all teams and of everyone, who knows each team's calls and people reached."""

    def __init__(self, weeks: Mapping[str, Week], shown: Mapping[str, WeekCounts]) -> None:
        pages = {team: printed(counts) for team, counts in shown.items()}
        self.names: list[Cell] = [(team, *cell) for team, page in pages.items() for cell in page]
        self.limits = [
            limits(page[cell], may_be_zero=hides_zeros(cell, weeks[team]))
            for team, page in pages.items()
            for cell in page
        ]
        self.place = {name: place for place, name in enumerate(self.names)}
        self.sums: list[tuple[np.ndarray, float]] = []
        self.less: list[np.ndarray] = []
        for team, calls in weeks.items():
            made, reached, _ = totals(calls)
            self.add([(team, "outcome", each.value) for each in OUTCOMES], made)
            self.add([(team, "outcome", each.value) for each in OUTCOMES if each.reached], reached)
            self.add([(team, "called", fifth) for fifth in FIFTHS], made)
            self.add([(team, "reached", fifth) for fifth in FIFTHS], reached)
            self.less += [self.row([(team, "reached", each)], [(team, "called", each)]) for each in FIFTHS]
        for cell in pages[EVERYONE]:
            parts: list[Cell] = [(team, *cell) for team in weeks if team != EVERYONE]
            self.sums.append((self.row(parts, [(EVERYONE, *cell)]), 0.0))

    def row(self, plus: Sequence[Cell], minus: Sequence[Cell] = ()) -> np.ndarray:
        row = np.zeros(len(self.names))
        for cells, sign in ((plus, 1.0), (minus, -1.0)):
            for cell in cells:
                row[self.place[cell]] += sign
        return row

    def add(self, cells: Sequence[Cell], total: float) -> None:
        self.sums.append((self.row(cells), total))

    def possible(self, cell: Cell) -> int:
        """How many whole numbers the count of a cell may be."""
        ends = []
        for sign in (1.0, -1.0):
            solved = linprog(
                sign * self.row([cell]),
                A_ub=np.array(self.less),
                b_ub=np.zeros(len(self.less)),
                A_eq=np.array([row for row, _ in self.sums]),
                b_eq=np.array([total for _, total in self.sums]),
                bounds=self.limits,
            )
            assert solved.success, solved.message
            ends.append(sign * solved.fun)
        return math.floor(ends[1] + 1e-6) - math.ceil(ends[0] - 1e-6) + 1


@settings(max_examples=examples(25), deadline=None)
@given(st.data(), st.integers(2, 3))
def test_no_small_count_follows_from_the_weeks_of_teams_and_of_everyone(data: st.DataObject, teams: int) -> None:
    draw: Callable[..., int] = data.draw
    weeks: dict[str, Week] = {}
    for number in range(teams):
        sizes = {(outcome, fifth): draw(SIZES) for outcome in USED for fifth in ("1", "5")}
        weeks[f"team {number}"] = [cell for cell, size in sizes.items() for _ in range(size)]
    weeks[EVERYONE] = [call for calls in weeks.values() for call in calls]
    entries: dict[str, list[WeekEntry]] = {}
    fifths: dict[str, int | None] = {}
    for team in list(weeks)[:-1]:
        entries[team] = [WeekEntry(f"{team} {n}", "list", outcome, None) for n, (outcome, _) in enumerate(weeks[team])]
        fifths |= {f"{team} {n}": int(fifth) for n, (_, fifth) in enumerate(weeks[team])}
    counted = count_teams(entries, fifths, RULE)
    attack = Attack(weeks, {EVERYONE: counted.everyone, **counted.by_team})
    # A known total of 1 is a secret of nobody's making: whoever made that call knows what happened.
    if any(1 in totals(calls) for calls in weeks.values()):
        return
    for team, calls in weeks.items():
        for cell, count in cells_of(calls).items():
            if 0 < count < RULE.suppress_below and count not in totals(calls):
                assert attack.possible((team, *cell)) >= 3, (team, cell)

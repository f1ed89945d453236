"""Groups too small to print are put together first: which ones, under which name, and never another."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.disclosure.merged_groups import MergedGroups, merge_small_groups
from dnapredict.fairness.measure.counts import BINS, SUMS, CountedGrouping, GroupCounts
from dnapredict.fairness.measure.groupings import grouping_named

RULE = Disclosure(why="The rule of hospital statistics.")


def counts(appointments: int, missed: int) -> GroupCounts:
    totals = np.zeros(len(SUMS))
    totals[[SUMS.index("appointments"), SUMS.index("missed")]] = appointments, missed
    empty = np.zeros((2, BINS))
    return GroupCounts(totals, np.zeros((len(SUMS), len(SUMS))), appointments, empty, empty)


def counted(name: str, missed: dict[str, int]) -> CountedGrouping:
    """A grouping whose groups have that many missed of ten times as many appointments; others are empty."""
    grouping = grouping_named(name)
    own = tuple(counts(10 * missed.get(group.code, 0), missed.get(group.code, 0)) for group in grouping.groups)
    return CountedGrouping(grouping, grouping.groups, own)


def merged(*groupings: CountedGrouping) -> MergedGroups:
    return merge_small_groups(groupings, RULE, sizes=lambda one: (one.appointments, one.missed))


@pytest.mark.parametrize(
    ("grouping", "missed", "rows"),
    [
        ("ethnicity_5", {"white": 90, "mixed": 3, "asian": 20, "black": 5, "other": 2}, {"mixed&black&other"}),
        ("ethnicity_5", {"white": 90, "mixed": 3, "asian": 20, "Z": 30}, set()),  # nobody to put it with
        ("ethnicity_5", {"white": 90, "Z": 3, "99": 4, "blank": 30}, {"Z&99"}),
        ("sex", {"1": 60, "2": 70, "9": 2, "unknown": 5}, {"9&unknown"}),
        ("core20", {"core20": 3, "rest": 90, "none": 2}, set()),  # the board looks at Core20 first
        ("imd_decile", {"1": 20, "2": 20, "7": 3, "8": 4, "9": 30}, {"7&8"}),
        ("imd_decile", {"1": 20, "2": 20, "7": 3, "8": 30, "9": 4}, set()),  # of different fifths
        ("age", {"0-15": 4, "16-24": 0, "25-34": 7, "35-49": 90}, {"0-15&25-34"}),
    ],
)
def test_which_groups_are_printed_together(grouping: str, missed: dict[str, int], rows: set[str]):
    assert {row.code for row in merged(counted(grouping, missed)).of(grouping)} == rows


def test_codes_go_together_within_their_broad_group_and_across_only_where_those_do():
    sixteen = {"A": 90, "D": 3, "E": 2, "G": 20, "M": 4, "N": 30, "R": 5, "S": 2}
    five = {"white": 92, "mixed": 25, "black": 34, "other": 7}
    found = merged(counted("ethnicity", sixteen), counted("ethnicity_5", five)).of("ethnicity")
    assert {row.name: codes for row, codes in found.items()} == {
        "Mixed: smaller groups, together": ("D", "E"),
        "Other: smaller groups, together": ("R", "S"),
    }
    five = {"white": 92, "mixed": 5, "black": 34, "other": 7}
    sixteen = {"A": 90, "D": 3, "E": 2, "M": 4, "N": 30, "R": 5, "S": 2}
    found = merged(counted("ethnicity", sixteen), counted("ethnicity_5", five)).of("ethnicity")
    assert {row.name: codes for row, codes in found.items()} == {"Other ethnic groups, together": ("D", "E", "R", "S")}
    (row,) = found
    assert row.holds[0] == "Mixed: White and Black Caribbean"
    assert row.within == (("ethnicity_5", "mixed&other"),)


@given(st.lists(st.integers(0, 30), min_size=9, max_size=9), st.randoms())
def test_nothing_is_lost_and_the_order_of_groups_does_not_matter(missed: list[int], random):
    one = counted("ethnicity_5", {})
    one = dataclasses.replace(one, counts=tuple(counts(10 * number, number) for number in missed))
    found = merged(one)
    groups, own = found.apply("ethnicity_5", one.groups, one.counts)
    assert sum(each.missed for each in own) == sum(missed)
    assert sum(max(1, len(group.holds)) for group in groups) == len(one.groups)
    places = random.sample(range(9), 9)
    turned = dataclasses.replace(
        one, groups=tuple(one.groups[p] for p in places), counts=tuple(one.counts[p] for p in places)
    )
    assert {frozenset(codes) for codes in merged(turned).of("ethnicity_5").values()} == {
        frozenset(codes) for codes in found.of("ethnicity_5").values()
    }

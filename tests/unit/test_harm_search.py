"""What the search for harm rests on: overlaps of groups, honest halves, and what may be printed of a finding."""

import numpy as np
import pytest
from benchmarks.planted_worlds import PlantedWorld

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.fairness.compare.harm_search import FoundHarm, HarmKind, HarmLimits, search_harms
from dnapredict.fairness.compare.searched_groups import Path, SearchedGroups, searched_groups
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells
from dnapredict.fairness.disclosure.suppression import CountCell
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.groupings import GROUPINGS, PLACE_GROUPINGS
from dnapredict.fairness.measure.intervals import Ratio
from dnapredict.fairness.measure.membership import membership
from dnapredict.fairness.measure.pair_counting import count_pairs
from dnapredict.fairness.measure.pair_counts import PairCounts
from dnapredict.fairness.publish.harm_findings import published_harms

RULE = Disclosure(why="The rule of hospital statistics.")
AUDITED = AuditData.of(PlantedWorld("one group at one site", seed=2, appointments=40_000).table())
PAIRS = count_pairs(AUDITED)
GROUPS = searched_groups(PAIRS, fewest_expected=5)


def inside(path: Path) -> np.ndarray:
    """Which rows are in a group or an intersection."""
    rows = np.ones(len(AUDITED), dtype=bool)
    for name, code in path:
        members = membership(AUDITED, next(g for g in (*GROUPINGS, *PLACE_GROUPINGS) if g.name == name))
        assert members is not None
        rows &= np.array([group.code for group in members.groups])[members.index] == code
    return rows


def at(path: Path, groups: SearchedGroups = GROUPS) -> int:
    return groups.paths.index(path)


PAKISTANI, SITE, WOMEN, CORE20 = ("ethnicity", "J"), ("site", "RXA01"), ("sex", "2"), ("core20", "core20")
OLD = ("age", "65-79")


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ((PAKISTANI,), (SITE,)),
        ((SITE,), (PAKISTANI, SITE)),
        ((CORE20, WOMEN), (PAKISTANI,)),
        ((PAKISTANI, WOMEN, CORE20), (OLD,)),
        ((PAKISTANI, WOMEN, CORE20), (SITE,)),
        ((OLD,), (PAKISTANI, WOMEN, CORE20)),
        ((("ethnicity_5", "asian"), SITE), (PAKISTANI, SITE)),
        ((WOMEN, OLD), (WOMEN, SITE)),
        ((OLD,), (("age", "80 and over"),)),
    ],
    ids=str,
)
def test_an_overlap_of_up_to_three_groupings_is_exact(path, other):
    paths = {frozenset(one): number for number, one in enumerate(GROUPS.paths)}
    risk = AUDITED.table["probability"].to_numpy()
    first, second = inside(path), inside(other)
    expected = risk[first & second].sum() / risk[first].sum()
    assert GROUPS.overlap(paths[frozenset(path)], paths[frozenset(other)]) == pytest.approx(expected, abs=1e-6)


def test_an_overlap_of_four_groupings_is_near():
    """Two pairs that share no grouping: further groupings are taken as independent within either pair."""
    paths = {frozenset(one): number for number, one in enumerate(GROUPS.paths)}
    path, other = (PAKISTANI, SITE), (WOMEN, CORE20)
    risk = AUDITED.table["probability"].to_numpy()
    expected = risk[inside(path) & inside(other)].sum() / risk[inside(path)].sum()
    found = GROUPS.overlap(paths[frozenset(path)], paths[frozenset(other)])
    assert found == pytest.approx(expected, abs=0.04)


def test_sums_of_an_intersection_are_those_of_its_rows():
    place = next(n for n, path in enumerate(GROUPS.paths) if set(path) == {CORE20, WOMEN})
    rows = inside((CORE20, WOMEN))
    assert GROUPS.sums[place][..., 0].sum() == rows.sum()
    assert GROUPS.sums[place][..., 1].sum() == AUDITED.table["dna"].to_numpy()[rows].sum()


def test_most_people_and_those_a_grouping_is_not_about_are_not_searched():
    singles = {path[0] for path in GROUPS.paths if len(path) == 1}
    assert ("ethnicity", "A") not in singles
    assert ("interpreter", "no") not in singles
    assert {PAKISTANI, SITE, CORE20, OLD} <= singles
    assert all(path[0] != ("core20", "rest") for path in GROUPS.paths)


def test_a_found_group_is_judged_on_the_other_half():
    """With the outcomes of one half swapped for fair ones, what is wrong in the other half alone is not confirmed."""
    world = PlantedWorld("under-scored", seed=3).table()
    fair = PlantedWorld("under-scored", seed=3, strength=1e-9).table()
    harmed, right = count_pairs(AuditData.of(world)), count_pairs(AuditData.of(fair))
    assert [one.path for one in search_harms(harmed)] == [(PAKISTANI,)]
    mixed = _halves_of(harmed, right)
    assert search_harms(mixed) == ()


def _halves_of(first: PairCounts, second: PairCounts) -> PairCounts:
    """The first half of the patients of `first` and the second half of `second`."""
    for name in ("singles", "pairs"):
        for key, cube in getattr(first, name).items():
            cube.sums[..., 1, :] = getattr(second, name)[key].sums[..., 1, :]
    assert first.triple is not None
    assert second.triple is not None
    first.triple.sums[..., 1, :] = second.triple.sums[..., 1, :]
    return first


def test_a_wider_limit_finds_less():
    pairs = count_pairs(AuditData.of(PlantedWorld("under-scored", seed=3).table()))
    assert search_harms(pairs, limits=HarmLimits(under_scored=3.0)) == ()


def test_a_finding_is_printed_rounded():
    found = FoundHarm((PAKISTANI, SITE), HarmKind.UNDER_SCORED, Ratio(203, 108.4, 0.0712), 1e-9, 1_013, 203)
    (shown,) = published_harms([found], PAIRS, RULE, z=1.96, hidden=HiddenCells())
    assert shown.name.endswith("Pakistani; site RXA01") or "site RXA01" in shown.name
    assert shown.appointments == 1_015
    assert shown.estimate is not None
    assert shown.estimate.value == pytest.approx(205 / 110, abs=1e-4)
    assert shown.p_value == 0.0001
    assert "186 appointments are missed for every 100 that the risks say" in shown.sentence


def test_a_finding_of_which_a_count_is_hidden_prints_no_number():
    found = FoundHarm((SITE,), HarmKind.UNDER_SCORED, Ratio(203, 108.4, 0.0712), 1e-9, 1_013, 203)
    hidden = HiddenCells(frozenset({CountCell("missed", *SITE)}))
    (shown,) = published_harms([found], PAIRS, RULE, z=1.96, hidden=hidden)
    assert shown.appointments is None
    assert shown.estimate is None
    assert "a number that is hidden" in shown.sentence


def test_a_finding_that_leaves_a_small_number_is_hidden():
    """All but a few of a group's appointments are at the site: the rest would follow from both printed counts."""
    table = PlantedWorld("fair", seed=1, appointments=4_000).table()
    ethnicity = np.array(["A"] * 3_500 + ["J"] * 500)
    site = np.array(["S2"] * 3_500 + ["S1"] * 495 + ["S2"] * 5)
    for name, values in (("ethnic_category_code", ethnicity), ("site_code", site)):
        table = table.set_column(table.schema.get_field_index(name), name, [values])
    path = (PAKISTANI, ("site", "S1"))
    found = FoundHarm(path, HarmKind.UNDER_SCORED, Ratio(90, 45.0, 0.1), 0.001, 495, 90)
    (shown,) = published_harms([found], count_pairs(AuditData.of(table)), RULE, z=1.96, hidden=HiddenCells())
    assert shown.appointments is None
    assert shown.estimate is None
    assert "495" not in shown.sentence


def test_calls_that_are_shared_by_area_are_no_harm():
    """With a floor for deprived areas others are called less at the same risk, as the board decided."""
    table = PlantedWorld("fair", seed=6, appointments=60_000).table()
    decile, risk = table["imd_decile"].fill_null(5).to_numpy(), table["probability"].to_numpy()
    order = risk * np.where(decile <= 2, 2.5, np.where(decile >= 9, 0.4, 1.0))
    called = order >= np.quantile(order, 0.9)
    place = table.schema.get_field_index("selected")
    pairs = count_pairs(AuditData.of(table.set_column(place, "selected", [called])))
    by_risk = {part[0] for one in search_harms(pairs) for part in one.path}
    assert by_risk == {"imd_decile"}
    assert search_harms(pairs, called_by="imd_decile") == ()

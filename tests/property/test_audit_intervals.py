"""Rules that hold for every rate, gap and hidden count."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.small_numbers import publish_count, second_suppression
from dnapredict.fairness.compare.multiple_testing import adjust_within_families, holm
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.intervals import Rate, Ratio, detectable_gap, gap, gap_p_value, z_of

RULE = Disclosure(why="The rule of hospital statistics.")
Z = z_of(0.95)


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    below = draw(st.integers(1, 100_000))
    return Rate(draw(st.integers(0, below)), below, draw(st.floats(1, 5)))


@given(rates())
def test_a_range_holds_its_rate_and_stays_a_share(rate: Rate):
    found = rate.interval(Z)
    assert found is not None
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(rates())
def test_dependent_patients_widen_the_range(rate: Rate):
    wide = Rate(rate.numerator, rate.denominator, rate.design_effect * 2).interval(Z)
    narrow = rate.interval(Z)
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low >= narrow.high - narrow.low - 1e-12


@given(rates(), rates())
def test_a_gap_turns_round_with_its_groups(first: Rate, second: Rate):
    there, back = gap(first, second, z=Z), gap(second, first, z=Z)
    assert there is not None
    assert back is not None
    assert abs(there.value + back.value) < 1e-12
    assert abs(there.low + back.high) < 1e-9


@given(rates(), rates(), st.floats(0.01, 0.2))
def test_p_value_and_range_never_contradict(rest: Rate, group: Rate, tolerance: float):
    p_value, found = gap_p_value(rest, group, tolerance=tolerance), gap(rest, group, z=z_of(0.90))
    assert p_value is not None
    assert found is not None
    if abs(found.low - tolerance) > 1e-6:
        assert (p_value < 0.05) == (found.low > tolerance)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_only_grow_and_keep_their_order(p_values: list[float]):
    adjusted = holm(p_values)
    assert all(raw <= more <= 1 for raw, more in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)


@given(st.integers(0, 10**7))
def test_no_published_count_is_small_and_none_is_far_off(count: int):
    shown = publish_count(count, RULE)
    assert (shown is None) == (1 <= count <= 7)
    if shown is not None:
        assert shown % 5 == 0
        assert abs(shown - count) <= 2


@given(st.integers(0, 2_000), st.integers(0, 2_000))
def test_a_rate_is_hidden_when_any_part_is_small(reached: int, others: int):
    shown = publish_rate(Rate(reached, reached + others), RULE)
    small = any(1 <= part <= 7 for part in (reached, others, reached + others))
    assert (shown is None) == (small or reached + others == 0)
    if shown is not None:
        assert 0 <= shown.numerator <= shown.denominator


@given(st.lists(st.integers(0, 500), min_size=2, max_size=12))
def test_a_total_never_gives_a_hidden_count_back(counts: list[int]):
    """An attacker who knows the rule, the total and the shown counts is left with three values or more."""
    second = second_suppression(counts, RULE)
    hidden = [place for place, count in enumerate(counts) if publish_count(count, RULE) is None]
    if second is not None:
        hidden.append(second)
    if len(hidden) != 1:
        return
    total = publish_count(sum(counts), RULE)
    if total is None:
        return
    shown = [publish_count(count, RULE) for place, count in enumerate(counts) if place != hidden[0]]
    slack = 2 * (1 + sum(1 for value in shown if value))
    left = total - sum(value or 0 for value in shown)
    possible = [value for value in range(1, 8) if abs(left - value) <= slack]
    assert counts[hidden[0]] in possible
    assert len(possible) >= 3 or not any(shown)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["ethnicity", "core20", "plus"])), max_size=20))
def test_correcting_never_makes_a_group_look_worse_and_sets_aside_who_is_not_behind(asked):
    p_values, groupings = [p for p, _ in asked], [name for _, name in asked]
    found = adjust_within_families(p_values, groupings)
    for p_value, adjusted in zip(p_values, found, strict=True):
        assert adjusted >= min(1.0, 2 * p_value) - 1e-12
        assert p_value <= 0.5 or adjusted == 1.0
    fair = adjust_within_families([*p_values, 0.9, 0.99], [*groupings, "ethnicity", "core20"])
    assert fair[: len(found)] == found


@given(st.lists(st.floats(0, 1), max_size=10), st.lists(st.floats(0, 1), max_size=10))
def test_a_further_grouping_changes_no_verdict_on_another(asked: list[float], further: list[float]):
    alone = adjust_within_families(asked, ["age"] * len(asked))
    both = adjust_within_families([*asked, *further], ["age"] * len(asked) + ["sex"] * len(further))
    assert both[: len(asked)] == alone
    assert alone == tuple(holm([2 * p for p in asked if p <= 0.5])) or max(asked) > 0.5


@given(st.integers(200, 100_000), st.floats(1, 4))
def test_more_people_show_smaller_gaps(missed: int, effect: float):
    rest = Rate(45_000, 100_000)
    few, many = (detectable_gap(rest, Rate(0, n, effect), tolerance=0.05, level=0.025) for n in (missed, 4 * missed))
    assert many is not None
    assert many > 0.05
    assert few is None or few >= many


@given(rates(), rates(), st.floats(0, 1, exclude_min=True, exclude_max=True), st.floats(1e-6, 0.2))
def test_the_smallest_gap_lies_between_the_limit_and_everyone_elses_rate(
    rest: Rate, group: Rate, tolerance: float, level: float
):
    """Any limit that a policy may have, also one that no gap can be above."""
    found = detectable_gap(rest, group, tolerance=tolerance, level=level)
    assert rest.value is not None
    assert found is None or tolerance <= found <= rest.value


@given(st.floats(1, 1e9), st.floats(1, 1e9), st.floats(0, allow_nan=False))
def test_a_ratio_has_a_range_with_two_ends_or_none(above: float, below: float, error: float):
    found = Ratio(above, below, error).interval(Z)
    if found is not None:
        assert 0 < found.low <= found.value <= found.high < math.inf

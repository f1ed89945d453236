"""The rules of fairness/policy.toml as tables: how verdicts combine, which group is judged, which number is printed."""

import pytest

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.small_numbers import publish_count, second_suppression
from dnapredict.fairness.compare.multiple_testing import adjust_within_families
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.intervals import Rate, gap, gap_p_value, z_of
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import Check, Gate, Verdict, combine_checks, overall_verdict

POLICY = load(shipped("fairness/policy.toml"), Policy)
WORDS = {"P": Verdict.PASS, "R": Verdict.REVIEW, "F": Verdict.FAIL, "N": Verdict.NOT_ENOUGH_DATA}


def cells(text: str) -> list[dict[str, str]]:
    """The rows of a table by column; a cell that is left out is empty."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return [dict(zip(header, line + [""] * (len(header) - len(line)), strict=True)) for line in lines]


def check(word: str) -> Check:
    return Check("ethnicity", Group("A", "A"), WORDS[word], "reach", "")


def gate(code: str, word: str) -> Gate:
    return Gate(code.strip("()"), "", "", WORDS[word], "", judged=not code.startswith("("))


# P passes, R needs a review, F fails, N has not enough data.
GROUPS_TO_GATE = """
    groups  | gate | because
    P P P   | P    | every group passes
    P P R   | R    | one group may be behind
    P P F   | F    | one group that fails is enough
    N N F   | F    | however little is known of the others
    P P N   | P    | half of the groups or more can be judged; gate G7 is about the others
    P R N   | R    |
    P N N   | N    | fewer than half of the groups can be judged
    R N N   | N    | so that a doubt about one of them does not count either
    N N N   | N    |
            | N    | no group is in the extract
"""


@pytest.mark.parametrize("row", cells(GROUPS_TO_GATE), ids=str)
def test_the_verdict_of_a_gate_follows_from_its_groups(row: dict[str, str]):
    assert combine_checks([check(word) for word in row["groups"].split()]) is WORDS[row["gate"]]


# G3 (reach) is the primary gate of supportive contact. In brackets: shown for information, not judged.
GATES_TO_AUDIT = """
    gates                 | audit | because
    G0=P G2=P G3=P        | P     | all gates pass
    G0=P G2=R G3=P        | R     | another gate needs a review
    G0=P G2=N G3=P        | R     | or cannot be judged
    G0=P G2=P G3=R        | R     |
    G0=P G2=P G3=N        | N     | without the primary gate nothing can pass
    G0=R G2=R G3=N        | N     |
    G0=F G2=P G3=P        | F     | a failure of any gate fails the audit
    G0=F G2=P G3=N        | F     |
    G0=P G2=P G3=P (G4)=R | P     | a gate for information does not count
    G0=P G2=P             | N     | the primary gate is missing
"""


@pytest.mark.parametrize("row", cells(GATES_TO_AUDIT), ids=str)
def test_the_verdict_of_the_audit_follows_from_its_gates(row: dict[str, str]):
    gates = [gate(*entry.split("=")) for entry in row["gates"].split()]
    assert overall_verdict(gates, primary="G3") is WORDS[row["audit"]]


# Reach of a group and of everyone else: called of missed. The limit is 5 points, at 95% confidence.
REACH = """
    group       | everyone else  | verdict | because
    300 of 1000 | 3000 of 10000  | P       | reached alike
    290 of 1000 | 3000 of 10000  | P       | 1 point behind, and surely less than 5
    270 of 1000 | 3000 of 10000  | R       | 3 points behind: it could be more than 5
    200 of 1000 | 3000 of 10000  | F       | 10 points behind, surely more than 5
    24 of 120   | 3000 of 10000  | R       | 10 points behind in a small group: it could be chance
    450 of 1000 | 3000 of 10000  | P       | reached more than others
"""


def reach_verdict(group: Rate, rest: Rate) -> str:
    """The rule of gate G3 for one group alone, with the limit and confidence of the shipped policy."""
    limit, level = POLICY.limits.reach.max_harm_gap, 1 - POLICY.confidence
    interval, p_value = gap(rest, group, z=z_of(POLICY.confidence)), gap_p_value(rest, group, tolerance=limit)
    assert interval is not None
    assert p_value is not None
    if interval.high < limit:
        return "P"
    return "F" if adjust_within_families([p_value], ["core20"])[0] < level else "R"


@pytest.mark.parametrize("row", cells(REACH), ids=str)
def test_a_group_fails_only_when_it_is_behind_by_more_than_the_limit_beyond_chance(row: dict[str, str]):
    group, rest = (Rate(*map(float, row[name].split(" of "))) for name in ("group", "everyone else"))
    assert reach_verdict(group, rest) == row["verdict"]


# Counts of 1 to 7 are hidden ("*"), others are rounded to 5.
COUNTS = """
    count | printed
    0     | 0
    1     | *
    7     | *
    8     | 10
    12    | 10
    13    | 15
    10023 | 10025
"""


@pytest.mark.parametrize("row", cells(COUNTS), ids=str)
def test_small_counts_are_hidden_and_others_rounded(row: dict[str, str]):
    printed = publish_count(int(row["count"]), POLICY.disclosure)
    assert ("*" if printed is None else str(printed)) == row["printed"]


# A rate is printed only where the count, the others and both together may be.
RATES = """
    reached | missed | printed
    23      | 99     | 25 of 100
    0       | 99     | 0 of 100
    5       | 99     | *
    95      | 99     | *
    99      | 99     | 100 of 100
    0       | 0      | *
"""


@pytest.mark.parametrize("row", cells(RATES), ids=str)
def test_a_rate_is_hidden_where_any_count_in_it_is(row: dict[str, str]):
    shown = publish_rate(Rate(float(row["reached"]), float(row["missed"])), POLICY.disclosure)
    assert (f"{shown.numerator:.0f} of {shown.denominator:.0f}" if shown else "*") == row["printed"]


# Parts of a printed total: where rounding does not protect the hidden one, the smallest other part is hidden too.
SUMS = """
    parts       | hidden as well
    107 107 1   |
    108 108 1   | 108
    20 30 3     |
    200 3 3     |
"""


@pytest.mark.parametrize("row", cells(SUMS), ids=str)
def test_a_single_hidden_count_cannot_be_derived_from_the_total(row: dict[str, str]):
    parts = [float(part) for part in row["parts"].split()]
    second = second_suppression(parts, POLICY.disclosure)
    assert ("" if second is None else f"{parts[second]:.0f}") == row["hidden as well"]

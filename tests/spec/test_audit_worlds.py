"""What the audit says of planted worlds: the table of issue 15, to read. More runs: `benchmarks.audit_worlds --table`."""

import pytest
from benchmarks.audit_table import audit, failed_groups
from benchmarks.planted_worlds import PlantedWorld

from dnapredict.fairness.verdicts import Gate, Verdict, separate_verdicts

# Each world is drawn with two seeds. Groups that fail, in any gate; the cause that is said of each; and the verdicts
# on list and level (P passes, R needs a review, F fails, N has not enough data; a slash is "or").
WORLDS = """
    world                    | groups that fail                        | cause                                | list  | level
    fair                     |                                         |                                      | P/R   | P
    fair with unequal need   |                                         |                                      | P/R   | P
    uniform drift            |                                         |                                      | P/R   | F
    under-scored             | ethnicity J                             | under-scored                         | F     | P
    weak information         | ethnicity J                             | weaker information                   | F     | P
    squeezed risks           | ethnicity J                             | squeezed risks                       | F     | P
    false DNAs flagged       | ethnicity J                             | how missed appointments are recorded | F     | P
    false DNAs with code 7   | ethnicity J                             | how missed appointments are recorded | F     | P
    false DNAs not flagged   | ethnicity J                             | how missed appointments are recorded | F     | P
    over-65s under-scored    | age 65-79, age 80 and over              | under-scored                         | F     | P/R
    disabled under-scored    | disability yes                          | under-scored                         | F     | P
    not asked cut from calls | ethnicity 99                            | who is called at the same risk       | F     | P
    one site                 | site RXA03                              | under-scored                         | F     | P/R
    one intersection         | search ethnicity=J|sex=2|core20=core20  | under-scored                         | F     | P
    one group at one site    | search ethnicity=J|site=RXA01           | under-scored                         | F     | P
    over-called              | ethnicity J                             | over-scored                          | F     | P
    two groups under-scored  | ethnicity J, ethnicity N                | under-scored                         | F     | P/R
    women under-scored       | sex 2                                   | under-scored                         | F     | F
    most deprived tenth under-scored | imd_decile 1                    | under-scored                         | F     | P/R/F
    most deprived site under-scored  | site RXA05                      | under-scored                         | F     | P/R/F
"""
# Others by their own seed: a fair service in which chance makes a gap larger than need does, and a group that misses so
# rarely that too few missed appointments are left to show why.
NOBODY_FAILS = (
    PlantedWorld("fair with unequal need", seed=1018),
    PlantedWorld("lower need", seed=5000, strength=2.0),
)
# Nothing fails, and the cause is said of the group.
EXPLAINED = """
    world          | cause
    lower need     | lower need
    mix of clinics | mix of clinics
"""
SEEDS = (0, 1)
WORDS = {"P": Verdict.PASS, "R": Verdict.REVIEW, "F": Verdict.FAIL, "N": Verdict.NOT_ENOUGH_DATA}


def cells(text: str) -> list[dict[str, str]]:
    """The rows of a table by column, which are divided by a bar between spaces."""
    header, *lines = [[cell.strip() for cell in line.split(" | ")] for line in text.strip().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def allowed(text: str) -> set[Verdict]:
    return {WORDS[letter] for letter in text.split("/")}


def groups(text: str) -> set[tuple[str, str]]:
    named = [part.strip().partition(" ") for part in text.split(",") if part.strip()]
    return {(grouping, code) for grouping, _, code in named}


def causes_of(gates: tuple[Gate, ...], code: str) -> set[str]:
    return {str(check.cause) for gate in gates for check in gate.checks if check.group.code == code and check.cause}


@pytest.mark.cases(14)  # each of another world, of one seed or the other
@pytest.mark.parametrize("row", cells(WORLDS), ids=lambda row: row["world"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_planted_group_fails_for_its_cause_and_no_other_group_does(row: dict[str, str], seed: int):
    gates = audit(PlantedWorld(row["world"], seed=seed))  # type: ignore[arg-type]
    failed, verdicts = failed_groups(gates), separate_verdicts(gates, primary="G3")
    assert failed.keys() == groups(row["groups that fail"])
    assert all(row["cause"] in {str(cause) for cause in causes} for causes in failed.values())
    assert verdicts.list in allowed(row["list"])
    assert verdicts.level in allowed(row["level"])


@pytest.mark.parametrize("world", NOBODY_FAILS, ids=lambda world: f"{world.planted}, seed {world.seed}")
def test_nobody_fails_where_chance_and_need_make_the_gap(world: PlantedWorld):
    assert failed_groups(audit(world)).keys() == set()


@pytest.mark.cases(2)
@pytest.mark.parametrize("row", cells(EXPLAINED), ids=lambda row: row["world"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_gap_that_is_no_fault_of_the_list_does_not_fail_and_is_said(row: dict[str, str], seed: int):
    gates = audit(PlantedWorld(row["world"], seed=seed))  # type: ignore[arg-type]
    assert ("ethnicity", "J") not in failed_groups(gates)
    assert row["cause"] in causes_of(gates, "J")

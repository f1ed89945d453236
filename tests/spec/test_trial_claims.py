"""What a trial report may say, by cases: never more than was seen."""

import datetime
from dataclasses import replace

import pytest

from dnapredict.fairness.measure.intervals import Interval
from dnapredict.trial.claims import Claim, ClaimEvidence, claim_of

# Differences are missed appointments of 100, with calls less without: below 0, calls help. "few" is of missed
# appointments in the arm that has fewer.
CASES = """
case                              | few | arms   | outcomes | effect low high | finished | plan           | claim
no outcome is recorded            | -   | alike  | alike    | -               | no       | registered     | no data
19 missed in an arm               | 19  | alike  | alike    | -9.0 -15 -3     | yes      | registered     | too few
20 missed in an arm               | 20  | alike  | alike    | -9.0 -15 -3     | yes      | registered     | helps
fewer are in an arm than drawn    | 500 | unlike | alike    | -9.0 -15 -3     | yes      | registered     | arms unlike
outcomes of an arm are missing    | 500 | alike  | unlike   | -9.0 -15 -3     | yes      | registered     | outcomes unlike
outcomes of many are missing      | 500 | alike  | missing  | -9.0 -15 -3     | yes      | registered     | outcomes missing
running, beyond chance            | 500 | alike  | alike    | -3.1 -6.0 -0.2  | no       | registered     | helps
running, chance explains it       | 500 | alike  | alike    | -3.1 -6.3 0.1   | no       | registered     | not yet
finished, beyond chance           | 500 | alike  | alike    | -3.1 -4.3 -1.9  | yes      | registered     | helps
finished, chance explains it      | 500 | alike  | alike    | -0.1 -1.2 1.0   | yes      | registered     | not shown
finished, more are missed         | 500 | alike  | alike    | 2.0 0.4 3.6     | yes      | registered     | harms
running, more are missed          | 500 | alike  | alike    | 4.0 0.4 7.6     | no       | registered     | harms
finished, nothing was registered  | 500 | alike  | alike    | -3.1 -6.3 0.1   | yes      | not registered | not shown
finished, but its end was moved   | 500 | alike  | alike    | -3.1 -6.3 0.1   | yes      | amended        | not shown
finished, but its lists stopped   | 500 | alike  | alike    | -3.1 -6.3 0.1   | yes      | stopped        | not shown
"""
HEADER, *LINES = ([cell.strip() for cell in line.split("|")] for line in CASES.strip().splitlines())


def evidence_of(few: str, arms: str, outcomes: str, effect: str, *, finished: str, plan: str) -> ClaimEvidence:
    """The evidence of a line of the table."""
    numbers = [float(number) / 100 for number in effect.split()] if effect != "-" else []
    return ClaimEvidence(
        appointments=0 if few == "-" else 10 * int(few),
        fewest_missed=0 if few == "-" else int(few),
        arms_as_planned=arms == "alike",
        outcomes_alike=outcomes != "unlike",
        outcomes_complete=outcomes != "missing",
        effect=Interval(*numbers) if numbers else None,
        is_finished=finished == "yes",
        plan=plan,
        end=datetime.date(2027, 6, 27),
    )


def claim_in(line: list[str]) -> Claim:
    _, few, arms, outcomes, effect, finished, plan, _ = line
    return claim_of(evidence_of(few, arms, outcomes, effect, finished=finished, plan=plan))


@pytest.mark.parametrize("line", LINES, ids=[line[0] for line in LINES])
def test_the_claim_of_each_case(line: list[str]):
    assert claim_in(line).kind == line[-1]


SENTENCES = {
    "running, beyond chance": "In this trial calls lowered missed appointments, beyond chance, by an interval that "
    "allows for every look: 3.1 fewer of 100 appointments (likely range: 0.2 fewer to 6.0 fewer).",
    "running, chance explains it": "It is not known yet whether calls change missed appointments: 3.1 fewer of 100 "
    "appointments (likely range: 6.3 fewer to 0.1 more), so far. Chance alone explains that. The trial runs until "
    "27 June 2027.",
    "finished, beyond chance": "In this trial calls lowered missed appointments, beyond chance, by the planned analysis "
    "at its end: 3.1 fewer of 100 appointments (likely range: 1.9 fewer to 4.3 fewer).",
    "finished, chance explains it": "This trial does not show that calls change missed appointments: 0.1 fewer of 100 "
    "appointments (likely range: 1.2 fewer to 1.0 more). Chance alone explains that. An effect of more than 1.2 fewer "
    "of 100 is unlikely.",
    "finished, more are missed": "In this trial more appointments were missed with calls, beyond chance, by the planned "
    "analysis at its end: 2.0 more of 100 appointments (likely range: 0.4 more to 3.6 more). Stop and find out why.",
    "finished, nothing was registered": "This trial does not show that calls change missed appointments: 3.1 fewer of "
    "100 appointments (likely range: 6.3 fewer to 0.1 more). Chance alone explains that. The plan of this trial was "
    "not registered before its first call, so that no analysis counts as the planned one.",
    "finished, but its end was moved": "This trial does not show that calls change missed appointments: 3.1 fewer of "
    "100 appointments (likely range: 6.3 fewer to 0.1 more). Chance alone explains that. The plan of this trial was "
    "amended after its start, so that no analysis counts as the planned one.",
}


def test_fewer_missed_appointments_are_no_more_attended_ones():
    evidence = evidence_of("500", "alike", "alike", "-3.1 -4.3 -1.9", finished="yes", plan="registered")
    told = claim_of(replace(evidence, attended=Interval(0.002, -0.011, 0.015))).sentence
    assert told.endswith(
        " That more were attended is not shown: 0.2 more of 100 (likely range: 1.1 fewer to 1.5 more). Calls may have "
        "made patients cancel."
    )
    assert "attended" not in claim_of(replace(evidence, attended=Interval(0.03, 0.011, 0.049))).sentence


def test_a_benefit_in_the_third_trial_of_a_home_is_said_to_be_of_the_third():
    evidence = evidence_of("500", "alike", "alike", "-3.1 -4.3 -1.9", finished="yes", plan="registered")
    told = claim_of(replace(evidence, earlier_trials=2)).sentence
    assert "This home registered 2 other trials before: each may show an effect by chance" in told
    assert "other" not in claim_of(evidence).sentence


@pytest.mark.parametrize("case", SENTENCES)
def test_the_sentence_of_a_case(case: str):
    assert claim_in(next(line for line in LINES if line[0] == case)).sentence == SENTENCES[case]


@pytest.mark.parametrize("line", LINES, ids=[line[0] for line in LINES])
def test_only_helps_and_harms_claim_an_effect(line: list[str]):
    assert ("beyond chance" in claim_in(line).sentence) == (line[-1] in {"helps", "harms"})

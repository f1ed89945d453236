"""What the board's policy allows, refuses and asks for: a specification for the equality lead.

Each line of a table is one change to the policy that comes with dnapredict (`fairness/policy.toml`).
"""

import json
import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import shipped
from dnapredict.errors import ConfigurationError
from dnapredict.fairness.publish.change_since import refuse_silent_changes

SHIPPED: dict[str, Any] = tomllib.loads(shipped("fairness/policy.toml").read_text(encoding="utf-8"))

USES = """
    use                            | answer
    supportive contact             | judged by reach
    offer of another time or mode  | judged by reach
    capacity planning              | judged by calibration
    overbooking                    | refused: make those who come wait
    double booking                 | refused: make those who come wait
    discharge                      | refused: withholds care from them
    removal from waiting list      | refused: withholds care from them
    delay                          | refused: withholds care from those who need help to come
    deprioritisation               | refused: withholds care from those who need help to come
    withholding care               | refused: never to withhold care
    marketing                      | refused: not a use that has been thought through
"""
SETTINGS = """
    setting                          | value        | answer
    limits.reach.max_harm_gap        | 0.10         | accepted
    limits.reach.max_harm_gap        | 5            | refused: limits.reach.max_harm_gap
    limits.reach.why                 | ""           | refused: limits.reach.why
    limits.records.why               | "because"    | refused: limits.records.why
    limits.records.fail_known        | 0.95         | refused: must not be above
    limits.calibration.low           | 0.95         | accepted
    smallest_group                   | 200          | accepted
    compared                         | ["core20"]   | accepted
    compared                         | ["age"]      | accepted
    compared                         | ["site"]     | accepted
    compared                         | ["shoe"]     | refused: must name groupings among
    compared                         | []           | refused: compared
    may_be_absent                    | ["shoe"]     | refused: must name groupings among
    disclosure.suppress_below        | 0            | accepted
"""
# The policy at the last audit had a gap of 0.05. What the policy holds now, and what `[[changes]]` says of it.
CHANGES = """
    gap now | recorded as | by        | seconded by | answer
    0.05    |             |           |             | audited
    0.10    |             |           |             | refused: needs an entry under [[changes]] with two names
    0.10    | 0.10        | A. Person | B. Person   | audited
    0.10    | 0.08        | A. Person | B. Person   | refused: needs an entry under [[changes]] with two names
    0.10    | 0.10        | A. Person | a. person   | refused: must be another person
    0.02    |             |           |             | refused: needs an entry under [[changes]] with two names
"""
# What the policy named at the last audit and names now, without an entry under `[[changes]]`.
GROUPINGS = """
    setting        | at the last audit | now               | answer
    compared       | core20            | core20, age       | audited
    compared       | core20, age       | age, core20       | audited
    compared       | core20, age       | age               | refused: 'compared' was
    may_be_absent  |                   | age               | audited
    may_be_absent  |                   | core20            | refused: 'may_be_absent' was
    may_be_absent  | core20, age       | core20            | audited
    judge_unknown  | false             | true              | audited
    judge_unknown  | true              | false             | refused: 'judge_unknown' was
"""
# A FAIL must hold on rounded counts too, and how many groups are tested depends on which counts are hidden.
DISCLOSURE = """
    setting                    | now | answer
    disclosure.round_to        | 5   | audited
    disclosure.round_to        | 100 | refused: 'disclosure.round_to' was 5 at the last audit
    disclosure.suppress_below  | 100 | refused: 'disclosure.suppress_below' was 8 at the last audit
    disclosure.suppress_below  | 0   | refused: 'disclosure.suppress_below' was 8 at the last audit
    limits.causes.risk         | 9.0 | refused: 'limits.causes.risk' was 1.35 at the last audit
    limits.level.slope_low     | 0.1 | refused: 'limits.level.slope_low' was 0.8 at the last audit
    smallest_group             | 900 | refused: 'smallest_group' was 100 at the last audit
    confidence                 | 0.9 | refused: 'confidence' was 0.95 at the last audit
"""


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()[1:]]


def policy(setting: str = "use", value: Any = SHIPPED["use"], **more: Any) -> Policy:
    """The shipped policy with one setting changed."""
    content: dict[str, Any] = {**SHIPPED, "limits": {k: dict(v) for k, v in SHIPPED["limits"].items()}, **more}
    content["disclosure"] = dict(SHIPPED["disclosure"])
    *tables, key = setting.split(".")
    inner = content
    for table in tables:
        inner = inner[table]
    inner[key] = value
    return Policy.model_validate(content)


@pytest.mark.parametrize(("use", "answer"), lines(USES))
def test_a_policy_permits_only_uses_that_help_patients(use: str, answer: str):
    if answer.startswith("judged by"):
        assert policy("use", use).primary == answer.removeprefix("judged by ")
        return
    with pytest.raises(ValidationError, match=answer.removeprefix("refused: ")):
        policy("use", use)


@pytest.mark.parametrize(("setting", "value", "answer"), lines(SETTINGS))
def test_a_limit_has_a_reason_and_is_within_its_range(setting: str, value: str, answer: str):
    content = tomllib.loads(f"value = {value}")["value"]
    if answer == "accepted":
        policy(setting, content)
        return
    with pytest.raises(ValidationError, match=answer.removeprefix("refused: ")):
        policy(setting, content)


@pytest.mark.parametrize(("now", "recorded", "by", "seconded", "answer"), lines(CHANGES))
def test_a_limit_that_moves_after_a_result_was_seen_needs_two_names(
    now: str, recorded: str, by: str, seconded: str, answer: str
):
    limit = "limits.reach.max_harm_gap"
    change = {
        "limit": limit,
        "was": 0.05,
        "on": "2026-01-01",
        "by": by,
        "seconded_by": seconded,
        "why": "A small trust.",
    }

    def audit() -> str:
        changed = policy(limit, float(now), changes=[change | {"now": float(recorded)}] if recorded else [])
        refuse_silent_changes(changed, {"policy": policy().model_dump(mode="json")})
        return "audited"

    if answer == "audited":
        assert audit() == answer
        return
    with pytest.raises((ValidationError, ConfigurationError)) as refusal:
        audit()
    assert answer.removeprefix("refused: ") in str(refusal.value)


def setting_of(text: str) -> Any:
    return text == "true" if text in ("true", "false") else [name.strip() for name in text.split(",") if name.strip()]


@pytest.mark.parametrize(("setting", "now", "answer"), lines(DISCLOSURE))
def test_every_number_that_decides_a_verdict_moves_only_with_two_names(setting: str, now: str, answer: str):
    before, changed = {"policy": policy().model_dump(mode="json")}, policy(setting, json.loads(now))
    if answer == "audited":
        refuse_silent_changes(changed, before)
        return
    with pytest.raises(ConfigurationError) as refusal:
        refuse_silent_changes(changed, before)
    assert answer.removeprefix("refused: ") in str(refusal.value)


@pytest.mark.parametrize(("setting", "before", "now", "answer"), lines(GROUPINGS))
def test_further_groups_may_be_judged_at_once_and_none_is_dropped_in_silence(
    setting: str, before: str, now: str, answer: str
):
    base = {"compared": ["core20"], "may_be_absent": [], "judge_unknown": True}
    was, changed = (policy(**(base | {setting: setting_of(text)})) for text in (before, now))
    if answer == "audited":
        refuse_silent_changes(changed, {"policy": was.model_dump(mode="json")})
        return
    with pytest.raises(ConfigurationError, match=answer.removeprefix("refused: ")):
        refuse_silent_changes(changed, {"policy": was.model_dump(mode="json")})


def test_a_policy_of_an_earlier_release_is_judged_as_it_was_agreed():
    earlier = policy(compared=["core20", "ethnicity", "interpreter", "plus"])
    content = earlier.model_dump(exclude={"judge_unknown"})
    assert Policy.model_validate(content).judge_unknown is False
    assert Policy.model_validate(content).compared == earlier.compared

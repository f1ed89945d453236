"""What the audit says of worlds whose unfairness is known: a specification to read."""

import pytest

from dnapredict.audit import Audited, AuditResult, ReportContext, Verdict, run
from dnapredict.audit.verdicts import Cause, Check
from dnapredict.audit.worlds import World
from dnapredict.config.loading import load, shipped
from dnapredict.config.policy import Policy

POLICY = load(shipped("fairness/policy.toml"), Policy)


def audit(world: World, **context: object) -> AuditResult:
    origin = ReportContext(
        model_version="1",
        model_sha256="0" * 64,
        data_sha256="0" * 64,
        window=World.window(),
        capacity="the 10 in 100 with the highest risk",
        code_revision="unknown",
        synthetic=True,
        **context,  # type: ignore[arg-type]
    )
    return run(Audited.of(world.table()), policy=POLICY, context=origin)


def of_group(result: AuditResult, gate: str, code: str) -> Check:
    found = result.gate(gate)
    assert found is not None
    return next(check for check in found.checks if check.group.code == code)


@pytest.mark.parametrize("seed", range(5))
def test_a_fair_world_never_fails(seed: int):
    assert audit(World(appointments=100_000, seed=seed)).verdict is not Verdict.FAIL


def test_a_week_of_appointments_is_not_enough_to_say():
    assert audit(World(appointments=13_000)).verdict is Verdict.NOT_ENOUGH_DATA


def test_an_under_scored_group_fails_and_the_cause_is_named():
    result = audit(World(appointments=200_000, under_scored="J"))
    pakistani = of_group(result, "G3", "J")
    assert result.verdict is pakistani.verdict is Verdict.FAIL
    assert pakistani.cause is Cause.UNDER_SCORED


def test_a_group_that_the_model_knows_too_little_about_is_called_so():
    result = audit(World(appointments=200_000, thin_history="K"))
    assert of_group(result, "G3", "K").cause is Cause.WEAKER_INFORMATION
    assert of_group(result, "G3b", "K").verdict is Verdict.FAIL
    assert of_group(result, "G2", "K").verdict is not Verdict.FAIL


def test_a_group_with_lower_need_is_looked_at_and_not_called_unfair():
    result = audit(World(appointments=400_000, lower_need="H"))
    indian = of_group(result, "G3", "H")
    assert indian.verdict is Verdict.REVIEW
    assert indian.cause is Cause.LOWER_NEED
    assert result.verdict is not Verdict.FAIL


def test_a_lost_row_fails_the_records():
    result = audit(World(appointments=20_000), rows_expected=20_001)
    assert result.gates[0].verdict is result.verdict is Verdict.FAIL
    assert "1 labelled appointments did not reach the audit" in result.gates[0].sentence

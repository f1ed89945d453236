"""What changed since the last audit, and limits that nobody may move in silence."""

import dataclasses
import datetime

import pytest
from benchmarks.audit_worlds import World

from dnapredict.config.fairness_policy import Change, Policy, ReachLimit
from dnapredict.config.loading import load, shipped
from dnapredict.errors import ConfigurationError
from dnapredict.fairness import AuditData, AuditResult, ReportContext, run
from dnapredict.fairness.report.report_files import as_json, render

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)
MOVED = POLICY.model_copy(
    update={"limits": POLICY.limits.model_copy(update={"reach": ReachLimit(max_harm_gap=0.2, why="Why not more.")})}
)


@pytest.fixture(scope="module")
def before() -> AuditResult:
    return run(AuditData.of(World(appointments=60_000).table()), policy=POLICY, context=CONTEXT)


def test_a_group_that_lost_reach_is_named(before: AuditResult):
    context = dataclasses.replace(CONTEXT, previous=as_json(before))
    table = World(appointments=60_000, under_scored="J").table()
    page = render(run(AuditData.of(table), policy=POLICY, context=context), figures_sha256="", tables_sha256="")
    assert "What changed since last time" in page
    assert "Asian: Pakistani: reach was" in page


def test_nothing_new_is_said_to_be_nothing_new(before: AuditResult):
    context = dataclasses.replace(CONTEXT, previous=as_json(before))
    again = run(AuditData.of(World(appointments=60_000).table()), policy=POLICY, context=context)
    assert "Verdicts are the same" in render(again, figures_sha256="", tables_sha256="")


def test_a_first_audit_has_no_last_time(before: AuditResult):
    assert "since last time" not in render(before, figures_sha256="", tables_sha256="")


def test_a_limit_moved_in_silence_is_refused(before: AuditResult):
    context = dataclasses.replace(CONTEXT, previous=as_json(before))
    with pytest.raises(ConfigurationError, match=r"limits\.reach\.max_harm_gap' was 0\.05 .* is 0\.2 now"):
        run(AuditData.of(World(appointments=5_000).table()), policy=MOVED, context=context)


def test_a_limit_moved_by_two_people_is_printed(before: AuditResult):
    change = Change(
        limit="limits.reach.max_harm_gap",
        was=0.05,
        now=0.2,
        on=datetime.date(2026, 1, 1),
        by="A. Name",
        seconded_by="B. Name",
        why="The board asked for it.",
    )
    policy = MOVED.model_copy(update={"changes": (change,)})
    context = dataclasses.replace(CONTEXT, previous=as_json(before))
    result = run(AuditData.of(World(appointments=5_000).table()), policy=policy, context=context)
    page = render(result, figures_sha256="", tables_sha256="")
    assert "Limits changed after a result was seen" in page
    assert "by A. Name and B. Name" in page

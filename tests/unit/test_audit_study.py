"""The study of ways to a fairer list: rules keep to the calls, research breaks things."""

import csv

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import OddWorld, World
from tests.plain_words import BANNED

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import NoEventsError
from dnapredict.fairness import AuditData, ReportContext
from dnapredict.fairness.study import Study, study, study_files
from dnapredict.fairness.study.methods import halves
from dnapredict.worklist.plan.call_assignment import allocated

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)
WORLD = AuditData.of(World(appointments=40_000, deprivation=0.5, under_scored="J").table())


def studied(audited: AuditData = WORLD) -> Study:
    def allocate(risk, decile, calls, rule):
        return allocated(risk, decile, calls=calls, rule=rule, floor_share=0.8)

    return study(audited, factors=None, allocate=allocate, policy=POLICY, seed=1)


@pytest.fixture(scope="module")
def found() -> Study:
    return studied()


def test_nobody_is_in_both_halves():
    fit, judged = halves(WORLD, None, seed=1)
    both = np.intersect1d(*(half.audited.table["patient"].to_numpy() for half in (fit, judged)))
    assert len(both) == 0
    assert len(fit.risk) + len(judged.risk) == len(WORLD)


def test_every_rule_makes_the_calls_that_there_are(found: Study):
    rules = [method for method in found.methods if not method.research]
    assert [method.name for method in rules] == ["by_risk", "recalibrated", "proportionate", "floor"]
    for method in rules:
        assert method.called is not None
        assert method.called.value == pytest.approx(found.share, abs=0.002)
        assert method.breaks == ()


def test_research_methods_are_marked_and_what_they_break_is_measured(found: Study):
    research = {method.name: method for method in found.methods if method.research}
    assert set(research) == {"optimised", "reduced"}
    for method in research.values():
        text = " ".join(method.breaks)
        assert "there are calls for 10." in text
        assert "ethnic group" in text
        assert "rank and reasons no longer explain the list" in text
    assert "calls nobody, and gives no warning" in " ".join(research["optimised"].breaks)


def test_with_as_many_calls_risk_alone_reaches_no_fewer(found: Study):
    for method in found.methods:
        assert method.reach is not None
        assert method.by_risk is not None
        assert method.by_risk.value > method.reach.value - 0.03


def test_page_and_csv_tell_the_same(found: Study):
    files = study_files(found, CONTEXT)
    page = files["study.html"].decode()
    assert "no list is made with them" in page
    assert not [word for word in BANNED if word in page.casefold()]
    lines = list(csv.DictReader(files["study.csv"].decode("utf-8-sig").splitlines()))
    assert [line["method"] for line in lines] == [method.name for method in found.methods]
    for line, method in zip(lines, found.methods, strict=True):
        assert method.reach is not None
        assert float(line["reach"]) == method.reach.value


def test_without_ethnic_groups_only_rules_are_compared():
    found = studied(AuditData(WORLD.table.drop_columns(["ethnic_category_code"])))
    assert not [method for method in found.methods if method.research]
    assert "not in this extract" in study_files(found, CONTEXT)["study.html"].decode()


def test_too_few_missed_appointments_make_no_study():
    with pytest.raises(NoEventsError, match="100 missed appointments in each half"):
        studied(AuditData(WORLD.table.slice(0, 1_000)))


def with_six_of_a_group_who_all_came(world: OddWorld) -> pa.Table:
    table = world.table()
    few = np.arange(table.num_rows) % 7 == 0
    few[50:] = False
    missed = table["dna"].to_numpy(zero_copy_only=False) & ~few
    made = {
        "ethnic_category_code": pa.array(np.where(few, "R", "A")),
        "dna": pa.array(missed),
        "outcome_code": pa.array(np.where(missed, "3", "5")),
    }
    for name, column in made.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


@pytest.mark.parametrize(
    "table",
    [
        OddWorld(1_500, 400, ethnicity="one").table(),
        with_six_of_a_group_who_all_came(OddWorld(1_500, 400)),
    ],
    ids=["one ethnic group", "a group of which nobody missed"],
)
def test_one_group_or_a_tiny_one_gets_a_study(table: pa.Table):
    """The threshold optimiser cannot be fitted on a group with one outcome, nor on nobody."""
    assert [method.name for method in studied(AuditData.of(table)).methods if method.research] == [
        "optimised",
        "reduced",
    ]


@pytest.mark.parametrize("missed", [600, 597])
def test_where_nobody_or_hardly_anybody_came_there_is_no_study(missed: int):
    with pytest.raises(NoEventsError, match="as many that were attended"):
        studied(AuditData.of(OddWorld(600, missed).table()))

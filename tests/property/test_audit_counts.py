"""The counts of trusts add up to the counts of their pooled rows, whatever each trust's extract lacks."""

import functools
import operator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from benchmarks.audit_worlds import World
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, judge
from dnapredict.fairness.measure.audit_counts import AuditCounts, count
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.report.report_files import as_json

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", synthetic=True)
# Columns that an extract may lack; `called_by_` lists come with the deciles.
OPTIONAL = (
    "outcome_code",
    "imd_decile",
    "ethnic_category_code",
    "gender_code",
    "age_years",
    "interpreter_needed",
    "plus_group",
    "site_code",
    "live_selected",
)


@functools.cache
def pooled_table() -> pa.Table:
    """Appointments with every column, some missed ones with code 7."""
    table = World(appointments=6_000, seed=8, mislabelled=0.02).table()
    random, rows = np.random.default_rng(8), table.num_rows
    further = {
        "plus_group": random.choice(["", "", "Coastal", "Homeless"], rows),
        "site_code": random.choice(["RXA01", "RXB01", "RXC01"], rows),
        "live_selected": random.random(rows) < 0.1,
    }
    for name, values in further.items():
        table = table.append_column(name, pa.array(values))
    return table


def parts(trusts: int, seed: int, lacking: list[set[str]]) -> list[pa.Table]:
    """The appointments dealt to trusts by patient, each without the columns that it lacks."""
    table = pooled_table()
    trust = np.random.default_rng(seed).integers(0, trusts, int(table["patient"].to_numpy().max()) + 1)
    dealt = [table.filter(pa.array(trust[table["patient"].to_numpy()] == number)) for number in range(trusts)]
    return [part.drop_columns(sorted(lacks)) for part, lacks in zip(dealt, lacking, strict=True) if part.num_rows]


def counted(table: pa.Table) -> AuditCounts:
    return count(AuditData.of(table), POLICY)


def assert_equal_counts(ours: AuditCounts, theirs: AuditCounts) -> None:
    assert (ours.rows, ours.months, ours.has_live) == (theirs.rows, theirs.months, theirs.has_live)
    for name in ("counted", "strict", "allocated"):
        first, second = getattr(ours, name), getattr(theirs, name)
        assert list(first) == list(second)
        for grouping in first:
            assert_equal_groups(first[grouping], second[grouping])


def assert_equal_groups(ours: CountedGrouping, theirs: CountedGrouping) -> None:
    assert [group.code for group in ours.groups] == [group.code for group in theirs.groups]
    for first, second in zip(ours.counts, theirs.counts, strict=True):
        assert first.patients == second.patients
        for name in ("totals", "second", "histogram", "expected"):
            np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-12, atol=1e-9)


def assert_equal_figures(ours: Any, theirs: Any) -> None:
    """The same JSON: texts equal, numbers to 1e-9."""
    assert type(ours) is type(theirs)
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert_equal_figures(value, theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs)
        for first, second in zip(ours, theirs, strict=True):
            assert_equal_figures(first, second)
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, abs=1e-9)
    else:
        assert ours == theirs


LACKING = st.sets(st.sampled_from(OPTIONAL), max_size=3)


@given(seed=st.integers(0, 10_000), lacking=st.lists(LACKING, min_size=2, max_size=9))
@settings(max_examples=examples(10), deadline=None)
def test_the_counts_of_trusts_add_up_to_those_of_the_pooled_rows(seed: int, lacking: list[set[str]]):
    tables = parts(len(lacking), seed, lacking)
    pooled = counted(pa.concat_tables(tables, promote_options="default"))
    added = functools.reduce(operator.add, map(counted, tables))
    assert_equal_counts(added, pooled)


@given(seed=st.integers(0, 10_000), trusts=st.integers(2, 9))
@settings(max_examples=examples(4), deadline=None)
def test_the_audit_of_added_counts_is_that_of_the_pooled_rows(seed: int, trusts: int):
    added = functools.reduce(operator.add, map(counted, parts(trusts, seed, [set()] * trusts)))
    ours, theirs = (judge(one, policy=POLICY, context=CONTEXT) for one in (added, counted(pooled_table())))
    assert_equal_figures(as_json(ours), as_json(theirs))


def test_months_that_are_in_one_trust_only_are_months_of_the_pool():
    own_patient = pa.array(np.arange(pooled_table().num_rows))
    table = pooled_table().set_column(0, "patient", own_patient)
    month = table["starts_at"].to_numpy().astype("datetime64[M]").astype(int) % 12
    first, second = (counted(table.filter(pa.array(month == number))) for number in (4, 2))
    assert_equal_counts(first + second, counted(table.filter(pa.array((month == 4) | (month == 2)))))
    assert "core20_by_month" not in first.judged_groupings()
    assert "core20_by_month" in (first + second).judged_groupings()

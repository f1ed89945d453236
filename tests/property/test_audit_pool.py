"""One audit over trusts: the files of counts give the audit of the pooled rows, however the patients are divided."""

import base64
import datetime
import functools
import json
import operator
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.property.test_audit_counts import (
    CONTEXT,
    LACKING,
    POLICY,
    assert_equal_counts,
    assert_equal_figures,
    counted,
    parts,
    pooled_table,
)

from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness import judge
from dnapredict.fairness.measure.audit_counts import AuditCounts
from dnapredict.fairness.measure.counts import CountedGrouping, GroupCounts
from dnapredict.fairness.measure.membership import WITHHELD, Group
from dnapredict.fairness.pooling.counts_codec import CodecError, from_json, to_json
from dnapredict.fairness.pooling.counts_file import CountsProvenance, contract_digest, policy_digest, write_counts
from dnapredict.fairness.pooling.pooled_audit import audit_pool, pool_context, read_pool
from dnapredict.fairness.pooling.protection import protected_counts
from dnapredict.fairness.report.report_files import as_json

NOW = datetime.datetime(2026, 11, 29, tzinfo=datetime.UTC)


def provenance(trust: str, **changes: object) -> CountsProvenance:
    usual = CountsProvenance(
        trust=trust,
        policy_sha256=policy_digest(POLICY),
        contract_sha256=contract_digest(),
        model="m",
        model_version="7",
        model_sha256="m",
        data_sha256=f"data of {trust}",
        capacity=CONTEXT.capacity,
        allocation="global",
        outcomes=("3", "7"),
        window=tuple(day.isoformat() for day in CONTEXT.window),
        code_revision="unknown",
        synthetic=True,
        rows_expected=None,
        created_at=NOW.isoformat(),
        protect="none",
    )
    return CountsProvenance(**{**usual.__dict__, **changes})


@given(seed=st.integers(0, 10_000), lacking=st.lists(LACKING, min_size=1, max_size=3))
@settings(max_examples=examples(5), deadline=None)
def test_what_is_read_is_what_was_counted(seed: int, lacking: list[set[str]]):
    for counts in map(counted, parts(len(lacking), seed, lacking)):
        again = from_json(json.loads(json.dumps(to_json(counts))))
        assert isinstance(again, AuditCounts)
        assert_equal_counts(again, counts)
        assert (again.compared, again.has_trust_side) == (counts.compared, counts.has_trust_side)


@pytest.mark.parametrize("with_type", [True, False])
def test_files_of_earlier_releases_are_read(with_type: bool):
    """Their arrays were packed by zlib, at first always as integers of eight bytes."""
    counts = counted(parts(1, 3, [set()])[0])
    written = json.loads(json.dumps(to_json(counts)))
    for packed in _packed_arrays(written):
        numbers = from_json(packed).astype(packed["type"] if with_type else "<i8")
        packed["data"] = base64.b64encode(zlib.compress(numbers.tobytes())).decode()
        del packed["packed"]
        if not with_type:
            del packed["type"]
    assert_equal_counts(from_json(written), counts)


@pytest.mark.parametrize("claim", [{"shape": [7]}, {"shape": [9]}, {"packed": "lzma"}, {"data": ""}])
def test_an_array_that_is_not_what_it_says_is_refused(claim: dict[str, object]):
    packed = to_json(np.arange(8))
    assert from_json(packed).tolist() == list(range(8))
    with pytest.raises(CodecError):
        from_json(packed | claim)


def _packed_arrays(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and value.get("is") == "numbers":
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _packed_arrays(item)


@given(seed=st.integers(0, 10_000), trusts=st.integers(2, 9))
@settings(max_examples=examples(4), deadline=None)
def test_the_pooled_audit_is_that_of_the_pooled_rows(seed: int, trusts: int):
    with TemporaryDirectory() as folder:
        for number, table in enumerate(parts(trusts, seed, [set()] * trusts)):
            write_counts(Path(folder) / f"{number}.counts.json", provenance(f"Trust {number}"), counted(table))
        files = read_pool(Path(folder), policy=POLICY)
        pool = audit_pool(files, policy=POLICY, context=pool_context(files, code_revision="", created_at=NOW))
    ours, theirs = as_json(pool), as_json(judge(counted(pooled_table()), policy=POLICY, context=CONTEXT))
    assert len(ours.pop("trusts")) == trusts
    assert theirs.pop("trusts") == []
    ours.pop("context"), theirs.pop("context")
    assert_equal_figures(ours, theirs)


@given(seed=st.integers(0, 10_000), trusts=st.integers(2, 9))
@settings(max_examples=examples(4), deadline=None)
def test_protected_counts_hold_no_small_number_and_still_add_up_to_everyone(seed: int, trusts: int):
    rule, tables = POLICY.disclosure, parts(trusts, seed, [set()] * trusts)
    protected = [protected_counts(counted(table), rule)[0] for table in tables]
    for one in protected:
        groups = [(g, c) for name, each in one.counted.items() if name != "all" for g, c in _groups(each)]
        assert all(publish_count(number, rule) is not None for _, counts in groups for number in numbers_of(counts))
    pool = functools.reduce(operator.add, protected)
    everyone = counted(pooled_table()).everyone
    for each in pool.counted.values():
        assert each.total.appointments == everyone.appointments
        assert each.total.missed == everyone.missed
        assert each.total.total("expected") == pytest.approx(everyone.total("expected"))


def test_a_group_in_which_few_have_a_recorded_ethnic_group_is_put_together():
    table = pooled_table()
    of_site = np.asarray(table["site_code"].to_numpy(zero_copy_only=False) == table["site_code"][0].as_py())
    blank = of_site & (np.cumsum(of_site) > 3)
    codes = [None if is_blank else "A" for is_blank in blank.tolist()]
    at = table.column_names.index("ethnic_category_code")
    protected, _ = protected_counts(
        counted(table.set_column(at, "ethnic_category_code", pa.array(codes))), POLICY.disclosure
    )
    recorded = [c.total("appointments") - c.total("unrecorded") for _, c in _groups(protected.counted["site"])]
    assert all(publish_count(number, POLICY.disclosure) is not None for number in recorded)


def _groups(counted_grouping: CountedGrouping) -> list[tuple[Group, GroupCounts]]:
    """Groups that people of the grouping are in; one that holds everybody of a tiny trust protects nobody."""
    pairs = list(zip(counted_grouping.groups, counted_grouping.counts, strict=True))
    filled = [pair for pair in pairs if pair[1].appointments]
    return [] if [group.code for group, _ in filled] == [WITHHELD.code] else pairs


def numbers_of(counts: GroupCounts) -> list[float]:
    """The numbers of people that a protected group tells: its counts, their complements, and its bands of risk."""
    called = counts.called_histogram
    cells = np.concatenate([called.ravel(), (counts.histogram - called).ravel()])
    missed, reached = counts.total("missed"), counts.total("reached")
    selected, rows = counts.total("selected"), counts.total("appointments")
    unrecorded = counts.total("unrecorded")
    return [rows, missed, selected, reached, rows - missed, missed - reached, unrecorded, rows - unrecorded, *cells]

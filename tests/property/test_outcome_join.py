"""The outcome store, whatever was scored and called: one row an appointment, from one of its lists, in any order."""

import datetime
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.outcome_joins import join_into

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.worklist.calls.recorded_calls import RecordedCall, RecordedCalls
from dnapredict.worklist.follow_up.hash_ranges import HashRanges
from dnapredict.worklist.follow_up.outcome_join import EXTRACT_SCHEMA, JoinCounts
from dnapredict.worklist.follow_up.scored_rows import SCORED_SCHEMA

# One engine for all examples: opening one takes longer than a join.
ENGINE = Workspace()
EPOCH = datetime.datetime(2026, 1, 1)
HOURS = st.integers(0, 200).map(lambda hours: EPOCH + datetime.timedelta(hours=hours))
NAMES = st.sampled_from("abcd")
EFFECTS = st.sampled_from(["reached", "rebooked", "not reached", "wrong number", "call back", "opted out", "withdrawn"])

SCORED = st.lists(
    st.fixed_dictionaries(
        {
            "appointment": NAMES,
            "patient": st.sampled_from("pq"),
            "list_id": st.sampled_from(["w1", "w2", "w3"]),
            "scored_at": HOURS,
            "starts_at": HOURS,
            "probability": st.floats(0, 1),
            "model_version": st.just("7"),
            "selected": st.booleans(),
        }
    ),
    max_size=12,
    unique_by=lambda row: (row["appointment"], row["scored_at"]),
)
CALLS = st.lists(st.tuples(NAMES, HOURS, EFFECTS), max_size=6)
EXTRACT = st.lists(
    st.fixed_dictionaries(
        {
            "appointment": NAMES,
            "patient": st.sampled_from("pqr"),
            "starts_at": HOURS,
            "outcome_code": st.sampled_from(["3", "5", "2"]),
            "recorded_at": HOURS,
            "contacted": st.sampled_from([True, False, None]),
        }
    ),
    unique_by=(lambda row: row["appointment"], lambda row: row["recorded_at"]),
    max_size=4,
)


def joined(scored: list[dict], calls: RecordedCalls, extracts: list[list[dict]]) -> pa.Table:
    return joined_by_ranges(scored, calls, extracts, HashRanges())[0]


def joined_by_ranges(
    scored: list[dict], calls: RecordedCalls, extracts: list[list[dict]], ranges: HashRanges
) -> tuple[pa.Table, list[JoinCounts]]:
    with tempfile.TemporaryDirectory() as folder:
        path, counts = Path(folder) / "scored.parquet", []
        pq.write_table(pa.Table.from_pylist(scored, schema=SCORED_SCHEMA), path)
        for rows in extracts:
            extract = pa.Table.from_pylist(rows, schema=EXTRACT_SCHEMA)
            store, found = join_into(Path(folder), [path], calls, extract, workspace=ENGINE, ranges=ranges)
            counts.append(found)
    return store, counts


def recorded(calls: list[tuple]) -> RecordedCalls:
    return RecordedCalls(
        RecordedCall(number, appointment, None, at, effect.replace(" ", "_"), effect)
        for number, (appointment, at, effect) in enumerate(calls, start=1)
    )


@settings(max_examples=examples(25), deadline=None)
@given(scored=SCORED, calls=CALLS, extract=EXTRACT)
def test_one_row_an_appointment_from_the_last_list_before_its_calls_ended(scored, calls, extract) -> None:
    store = joined(scored, recorded(calls), [extract]).to_pylist()
    assert len({row["appointment"] for row in store}) == len(store)
    assert {row["appointment"] for row in store} == {
        row["appointment"] for row in scored if row["scored_at"] < row["starts_at"]
    }
    for row in store:
        own = [each for each in scored if each["appointment"] == row["appointment"]]
        usable = [each for each in own if each["scored_at"] < each["starts_at"]]
        summary = recorded(calls).about(row["appointment"], starts_at=row["starts_at"])
        end = row["starts_at"] if summary is None else summary.last_at
        before = [each for each in usable if each["scored_at"] <= end] or usable
        last = max(before, key=lambda each: each["scored_at"])
        assert (row["scored_at"], row["probability"]) == (last["scored_at"], last["probability"])
        assert row["attempts"] == (0 if summary is None else summary.attempts)


@settings(max_examples=examples(15), deadline=None)
@given(scored=SCORED, calls=CALLS, first=EXTRACT, second=EXTRACT, again=st.booleans())
def test_the_order_of_extracts_does_not_matter(scored, calls, first, second, again) -> None:
    known = {(row["appointment"], row["recorded_at"]) for row in first}
    # Two rows that say the same time for an appointment are one report of it.
    second = [row for row in second if (row["appointment"], row["recorded_at"]) not in known]
    one = joined(scored, recorded(calls), [first, second] + [first] * again)
    other = joined(scored, recorded(calls), [second, first, second])
    assert one.equals(other)


@settings(max_examples=examples(10), deadline=None)
@given(scored=SCORED, calls=CALLS, extract=EXTRACT, order=st.randoms())
def test_the_order_of_rows_does_not_matter(scored, calls, extract, order) -> None:
    shuffled = list(scored), list(extract)
    for rows in shuffled:
        order.shuffle(rows)
    assert joined(scored, recorded(calls), [extract]).equals(joined(shuffled[0], recorded(calls), [shuffled[1]]))


@settings(max_examples=examples(10), deadline=None)
@given(
    scored=SCORED,
    calls=CALLS,
    extracts=st.lists(EXTRACT, min_size=1, max_size=2),
    bounds=st.lists(st.sampled_from("bcd"), min_size=1, unique=True).map(sorted),
)
def test_joined_range_by_range_the_store_is_the_same(scored, calls, extracts, bounds) -> None:
    known = recorded(calls)
    by_ranges = joined_by_ranges(scored, known, extracts, HashRanges(tuple(bounds)))
    store, counts = joined_by_ranges(scored, known, extracts, HashRanges())
    assert by_ranges[0].equals(store)
    assert by_ranges[1] == counts

"""Join scored lists, calls and an extract into the outcome store of a home, for tests."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.worklist.calls.recorded_calls import RecordedCalls
from dnapredict.worklist.follow_up.hash_ranges import HashRanges
from dnapredict.worklist.follow_up.outcome_join import JoinCounts, JoinSources, OutcomeJoin
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

ONE_RANGE = HashRanges()


def join_into(
    home: Path,
    lists: Sequence[Path],
    calls: RecordedCalls,
    extract: pa.Table,
    *,
    workspace: Workspace,
    ranges: HashRanges = ONE_RANGE,
) -> tuple[pa.Table, JoinCounts]:
    """The rows of the store after the join, which it then holds, and the counts."""
    store = OutcomeStore(home)
    sources = JoinSources(store, ranges, workspace)
    sources.add_scored(lists, ())
    sources.add_extract(extract)
    join = OutcomeJoin(sources, calls, workspace)
    store.write(pa.concat_tables(join.rows()))
    return store.read(), join.counts

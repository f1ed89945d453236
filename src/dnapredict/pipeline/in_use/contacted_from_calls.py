"""Fill in `contacted` and `trial_arm` of an extract from the outcome store of the home, where the extract lacks them.

The identifiers of the extract are hashed a part at a time and split on disk by ranges of the hash, and each range is
joined to its rows of the store, so that memory does not grow with either.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked
from dnapredict.data.validation.spark_check import CheckedOnSpark
from dnapredict.errors import StoreError
from dnapredict.pipeline.in_use.outcome_linkage import count_words, hashing_secret, keyed_hashes
from dnapredict.worklist.follow_up.hash_ranges import HashRanges, ScoredPrefixes, SplitRows, may_be_scored
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

Extract = TypeVar("Extract", Checked, CheckedOnSpark)
_ROWS_AT_ONCE: Final = 100_000
_FILLED: Final = ("contacted", "trial_arm")
_IDS: Final = pa.schema([("appointment", pa.string()), ("appointment_id", pa.string())])
_SAID: Final = pa.schema([_IDS.field("appointment_id"), *(OUTCOME_SCHEMA.field(name) for name in _FILLED)])


def with_recorded_calls(checked: Extract, home: Path, workspace: Workspace) -> tuple[Extract, str]:
    """The extract with `contacted` and `trial_arm` from the outcome store where it says nothing of them.

    Its `rows` are a table of `workspace`.

    Returns
    -------
    The extract, and a sentence on what was filled in, or why it could not be; "" where nothing was.
    """
    store = OutcomeStore(home)
    if not store.exists:
        return checked, ""
    try:
        secret = hashing_secret(home, used=True)
        store.verify()
    except StoreError as error:
        return checked, f"WARNING: who was called by the lists of this home is not known here. {error}"
    rows, said = checked.rows.get_name(), _said(checked, store, secret, workspace).get_name()
    found = workspace.fetch(
        "SELECT count(*) FILTER (r.contacted IS NULL AND f.contacted IS NOT NULL) AS contacted, "
        f"count(*) FILTER (r.trial_arm IS NULL AND f.trial_arm IS NOT NULL) AS trial_arm FROM {rows} r JOIN {said} f "
        "USING (appointment_id)"
    ).to_pylist()[0]
    counts = {name: int(count) for name, count in found.items()}
    view = workspace.view(
        "SELECT r.* REPLACE (coalesce(r.contacted, f.contacted) AS contacted, "
        f"coalesce(r.trial_arm, f.trial_arm) AS trial_arm) FROM {rows} r LEFT JOIN {said} f USING (appointment_id)"
    )
    present = checked.present | {name for name, count in counts.items() if count}
    return replace(checked, rows=view, present=present), _filled_sentence(**counts)


def _said(checked: Extract, store: OutcomeStore, secret: bytes, workspace: Workspace) -> ir.Table:
    """What the store says of appointments of which the extract lacks it, with the columns of `_SAID`."""
    ranges = HashRanges.for_rows(store.num_rows)
    split = SplitRows(_IDS, ranges, workspace.new_folder())
    for rows in _unsaid_ids(checked, _prefixes(store), secret):
        split.add(rows)
    split.close()
    joined = (_joined(split.read(at), store, *ranges.limits(at)) for at in range(len(ranges)))
    batches = (batch for table in joined for batch in table.to_batches())
    return workspace.keep(pa.RecordBatchReader.from_batches(_SAID, batches))


def _prefixes(store: OutcomeStore) -> NDArray[np.uint64]:
    """The prefixes of the appointments of which the store says something (`hash_ranges.may_be_scored`)."""
    prefixes = ScoredPrefixes()
    for rows in store.batches(["appointment", *_FILLED]):
        prefixes.add(_saying(rows)["appointment"])
    return prefixes.sorted()


def _saying(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.or_(*(pc.is_valid(rows[name]) for name in _FILLED)))


def _unsaid_ids(checked: Extract, prefixes: NDArray[np.uint64], secret: bytes) -> Iterator[pa.Table]:
    """Appointments of the extract that lack a value and may be in the store, with the columns of `_IDS`."""
    query = f"SELECT appointment_id FROM {checked.rows.get_name()} WHERE contacted IS NULL OR trial_arm IS NULL"
    for batch in checked.rows.get_backend().con.sql(query).to_arrow_reader(_ROWS_AT_ONCE):
        ids = pa.chunked_array([batch["appointment_id"]])
        hashes = pa.chunked_array([keyed_hashes(ids, secret, "appointment")])
        rows = pa.table([hashes, ids.cast(pa.string())], schema=_IDS)
        yield rows.filter(pa.array(may_be_scored(hashes, prefixes)))


def _joined(ids: pa.Table, store: OutcomeStore, first: str, end: str | None) -> pa.Table:
    if not ids.num_rows:
        return _SAID.empty_table()
    known = _saying(store.read_between(first, end, columns=("appointment", *_FILLED)))
    return ids.join(known, "appointment", join_type="inner").select(_SAID.names).cast(_SAID)


def _filled_sentence(*, contacted: int, trial_arm: int) -> str:
    if not contacted and not trial_arm:
        return ""
    arms = f", and the trial arm of {count_words(trial_arm)}" if trial_arm else ""
    return (
        f"The calls recorded in this home say of {count_words(contacted)} appointments whether the patient was "
        f"reached{arms}; the extract does not."
    )

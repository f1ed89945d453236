"""Inputs of the appointments before a model's test period, with which those in use are compared."""

import datetime
import mmap
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
import pyarrow as pa

from dnapredict.features.scoring_clock import LabelRule
from dnapredict.monitoring.input_drift import InputReference
from dnapredict.pipeline.audit_inputs import monday_before
from dnapredict.pipeline.audited_lists import on_past_lists
from dnapredict.pipeline.routine.stored_outcomes import references_of

# With fewer appointments before the test period, inputs are compared with those of the first weeks.
_FEWEST_ROWS: Final = 1_000
_ON_LISTS: Final = ("outcome_code", "recorded_at", "scored_at", "starts_local")


class ReferenceInputs:
    """The inputs of an extract before the test period, in a temporary file, while the extract is read in parts.

    Memory holds one column at a time: of ten million rows, all of them would take 5 GB. The file has no name, so that
    none is left where the process is killed.

    Attributes
    ----------
    columns
        The columns that are read of each part, where it has them.
    until
        The day before which the appointments start.
    """

    def __init__(self, test_from: datetime.date, inputs: Sequence[str]) -> None:
        """Begin without rows; `inputs` are the names of the columns that are compared."""
        self._test_from = test_from
        self._inputs = tuple(inputs)
        self.columns = tuple(dict.fromkeys((*_ON_LISTS, *self._inputs)))
        # Whole weeks, since a list is of a week: some rows of the last one are in the test period.
        self.until = monday_before(test_from) + datetime.timedelta(weeks=1)
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `__exit__`
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, part: pa.RecordBatch) -> None:
        """Write the inputs of these rows, which start before `until`."""
        rows = part.select([name for name in self.columns if name in part.schema.names])
        if self._writer is None:
            self._writer = pa.ipc.new_stream(self._file, rows.schema)
        self._writer.write_batch(rows)

    def references(self, *, outcomes: LabelRule) -> dict[str, InputReference]:
        """The reference of each input that has a value; none where too few appointments were on a list before."""
        if self._writer is None:
            return {}
        self._writer.close()
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._of(pa.ipc.open_stream(pa.py_buffer(mapped)).read_all(), outcomes)

    def _of(self, table: pa.Table, outcomes: LabelRule) -> dict[str, InputReference]:
        starts = table["starts_local"].to_numpy().astype("datetime64[D]")
        earlier = on_past_lists(table.select(_ON_LISTS), outcomes=outcomes) & (starts < np.datetime64(self._test_from))
        if earlier.sum() < _FEWEST_ROWS:
            return {}
        rows = pa.array(earlier)
        found: dict[str, InputReference] = {}
        for name in self._inputs:
            if name in table.column_names:
                found |= references_of(table.select([name]).filter(rows))
        return found

"""Join what was scored, what was called and what became of it: one row an appointment.

Three sources meet by the keyed hash of the appointment: scored rows (`scored_rows`), recorded calls
(`calls.recorded_calls`), and an extract. Of several lists with an appointment, the last one before its calls ended
counts: the list that somebody called from, or the last one before the appointment where nobody called. Of appointments
in a trial, the first list that gave an arm counts, in both arms. What is already
in the store stays until an extract says more; the order in which extracts come does not matter where they say when an
outcome was recorded.

Rows are split on disk by ranges of the hash (`hash_ranges`), and each range is joined alone, so that memory does not
grow with their number. Two things need all ranges: which lists somebody called from, and who opted out. A first pass
over the appointments with a call finds them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.worklist.calls.recorded_calls import CallOptOuts, RecordedCalls, ScoredAnswer
from dnapredict.worklist.follow_up.hash_ranges import HashRanges, ScoredPrefixes, SplitRows
from dnapredict.worklist.follow_up.outcome_store import GROUP_COLUMNS, OUTCOME_SCHEMA, OutcomeStore
from dnapredict.worklist.follow_up.scored_rows import CHALLENGER_SCHEMA, SCORED_SCHEMA

EXTRACT_SCHEMA: Final = pa.schema(
    [
        *(OUTCOME_SCHEMA.field(name) for name in ("appointment", "patient", "starts_at", "booked_at")),
        *(OUTCOME_SCHEMA.field(name) for name in ("outcome_code", "missed", "recorded_at", "contacted")),
        *GROUP_COLUMNS,
    ]
)
"""What an extract says about an appointment."""

_CALLS: Final = pa.schema(
    [
        ("appointment", pa.string()),
        ("attempts", pa.int64()),
        ("reached", pa.bool_()),
        ("call_outcome", pa.string()),
        ("barrier", pa.string()),
        ("offered", pa.string()),
        ("last_at", pa.timestamp("us")),
    ]
)
_ROWS_AT_ONCE: Final = 50_000
_OPTED_OUT: Final = pa.schema([("appointment", pa.string())])
_GROUPS: Final = tuple(field.name for field in GROUP_COLUMNS)
# Where a scored row came from: a list or an answer about a single appointment. Of equal times, a list comes first.
_SOURCE: Final = pa.field("source", pa.int8())
_FROM_LIST: Final = 2
_FROM_ANSWER: Final = 1


@dataclass(frozen=True)
class JoinCounts:
    """What a join did, in appointments.

    Attributes
    ----------
    rows, known
        Appointments in the store, and those whose outcome is known.
    new, changed
        Outcomes that were not known before, and those that are another one now.
    other_patient
        Appointments whose patient has another number in the extract than when they were scored.
    late
        Appointments that no list had before they began: they are not in the store.
    called, reached
        Appointments with a recorded call, and those whose patient was reached.
    """

    rows: int
    known: int
    new: int
    changed: int
    other_patient: int
    late: int
    called: int
    reached: int


class JoinSources:
    """What is joined, split by ranges of the appointment's hash."""

    def __init__(self, earlier: OutcomeStore, ranges: HashRanges, workspace: Workspace) -> None:
        """`earlier` is the store before, verified where it exists; `workspace` holds the split rows."""
        self.ranges = ranges
        self._earlier = earlier
        self._scored, self._challenger, self._extract = (
            SplitRows(schema, ranges, workspace.new_folder())
            for schema in (SCORED_SCHEMA.append(_SOURCE), CHALLENGER_SCHEMA, EXTRACT_SCHEMA)
        )
        self._prefixes = ScoredPrefixes()

    def add_scored(self, lists: Sequence[Path], answers: Iterable[ScoredAnswer]) -> NDArray[np.uint64]:
        """Add the files of scored lists, and answers about single appointments.

        Returns
        -------
        The prefixes of all scored appointments, of the store before too (`hash_ranges.may_be_scored`).
        """
        for rows in _rows_of(lists, SCORED_SCHEMA):
            self._add_scored(rows, _FROM_LIST)
        for rows in _answers(answers):
            self._add_scored(rows, _FROM_ANSWER)
        if self._earlier.exists:
            for rows in self._earlier.batches(["appointment"]):
                self._prefixes.add(rows["appointment"])
        return self._prefixes.sorted()

    def _add_scored(self, rows: pa.Table, source: int) -> None:
        self._prefixes.add(rows["appointment"])
        self._scored.add(rows.append_column(_SOURCE, pa.repeat(pa.scalar(source, _SOURCE.type), rows.num_rows)))

    def add_challenger(self, files: Sequence[Path]) -> None:
        """Add the files of the risks that challengers gave."""
        for rows in _rows_of(files, CHALLENGER_SCHEMA):
            self._challenger.add(rows)

    def add_extract(self, rows: pa.Table) -> None:
        """Add rows with the columns of `EXTRACT_SCHEMA`, one an appointment; those not scored are ignored."""
        self._extract.add(rows)

    def load(self, index: int, workspace: Workspace) -> None:
        """The tables of a range in the workspace, when all rows were added."""
        limits = self.ranges.limits(index)
        empty = OUTCOME_SCHEMA.empty_table()
        tables = {
            "scored_rows": self._scored.read(index),
            "challenger_rows": self._challenger.read(index),
            "extract_rows": self._extract.read(index),
            "earlier": self._earlier.read_between(*limits) if self._earlier.exists else empty,
        }
        for name, table in tables.items():
            workspace.backend.con.register(name, table)

    def close(self) -> None:
        """End adding rows."""
        for rows in (self._scored, self._challenger, self._extract):
            rows.close()


def _rows_of(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE):
                rows = pa.Table.from_batches([batch])
                known = set(rows.column_names)
                columns = [
                    rows[each.name].cast(each.type) if each.name in known else pa.nulls(rows.num_rows, each.type)
                    for each in schema
                ]
                yield pa.table(columns, schema=schema)


class OutcomeJoin:
    """The join of all sources, range by range."""

    def __init__(self, sources: JoinSources, calls: RecordedCalls, workspace: Workspace) -> None:
        """Find which lists somebody called from, and who opted out in a call."""
        self._sources, self._calls, self._workspace = sources, calls, workspace
        self._counts: Counter[str] = Counter()
        sources.close()
        con = workspace.backend.con
        self._called = sources.ranges.split(pa.table({"appointment": pa.array(calls.appointments, pa.string())}))
        lists, patient_of = self._of_called()
        con.register("worked_on", lists)
        self._opt_outs = calls.opt_outs(patient_of)
        con.register("opted", pa.table({"patient": pa.array(self._opt_outs.patients, pa.string())}))

    def _of_called(self) -> tuple[pa.Table, dict[str, str | None]]:
        """The lists from which somebody was called, and the patient of each appointment with a record."""
        lists = [pa.table({"list_id": pa.array([], pa.string())})]
        patient_of: dict[str, str | None] = {}
        for index in range(len(self._sources.ranges)):
            self._choose(index, of_called=True)
            lists.append(self._workspace.fetch(_WORKED_ON))
            patient_of |= dict(zip(*self._workspace.fetch(_PATIENT_OF_CALLED).to_pydict().values(), strict=True))
        return pa.concat_tables(lists).group_by("list_id").aggregate([]), patient_of

    def _choose(self, index: int, *, of_called: bool) -> None:
        """The list that counts and what is known of the calls, for each appointment of a range, or for those called."""
        con = self._workspace.backend.con
        self._sources.load(index, self._workspace)
        con.register("called", self._called[index])
        con.execute(_SCORED_OF_CALLED if of_called else _SCORED)
        con.execute(_SAID)
        rows = self._workspace.fetch(_SAID_OF_CALLED).to_pylist()
        con.register("calls", _summaries(self._calls, rows))
        con.execute(_CHOSEN)

    def rows(self) -> Iterator[pa.Table]:
        """The rows of the store with the columns of `OUTCOME_SCHEMA`, by appointment."""
        con, columns = self._workspace.backend.con, ", ".join(OUTCOME_SCHEMA.names)
        for index in range(len(self._sources.ranges)):
            self._choose(index, of_called=False)
            con.register("opted_out", _opted_out(self._opt_outs, self._workspace))
            con.execute(_CHALLENGER_RISKS)
            con.execute(_JOINED)
            self._counts.update(
                {name: int(n or 0) for name, n in self._workspace.fetch(_COUNTS).to_pylist()[0].items()}
            )
            yield self._workspace.fetch(f"SELECT {columns} FROM joined ORDER BY appointment").cast(OUTCOME_SCHEMA)

    @property
    def counts(self) -> JoinCounts:
        """What the join did, when all rows were read."""
        return JoinCounts(**self._counts)


def _answers(answers: Iterable[ScoredAnswer]) -> Iterator[pa.Table]:
    """Answers about single appointments with the columns of `SCORED_SCHEMA`, of which those of a list are null."""
    names = ["scored_at" if name == "at" else name for name in ScoredAnswer._fields]
    several = iter(answers)
    while part := list(islice(several, _ROWS_AT_ONCE)):
        rows = [dict(zip(names, each, strict=True)) for each in part]
        yield pa.Table.from_pylist(rows, schema=SCORED_SCHEMA)


def _summaries(calls: RecordedCalls, appointments: Sequence[dict[str, Any]]) -> pa.Table:
    rows = []
    for row in appointments:
        summary = calls.about(row["appointment"], starts_at=row["starts_at"])
        if summary is not None:
            rows.append(dict(zip(_CALLS.names, (row["appointment"], *summary), strict=True)))
    return pa.Table.from_pylist(rows, schema=_CALLS)


def _opted_out(opt_outs: CallOptOuts, workspace: Workspace) -> pa.Table:
    """The appointments of the range whose patient had opted out by then."""
    theirs = workspace.fetch(_OF_OPTED).to_pylist()
    out = [row["appointment"] for row in theirs if opt_outs.in_force(row["patient"], at=row["starts_at"])]
    return pa.table([pa.array(out, pa.string())], schema=_OPTED_OUT)


_OF_OPTED: Final = """
    SELECT appointment, coalesce(s.patient, appointment) AS patient, starts_at
    FROM said s SEMI JOIN opted o ON o.patient = coalesce(s.patient, appointment) WHERE starts_at IS NOT NULL
"""
_OF_LIST: Final = (
    *("list_id", "scored_at", "model_version", "probability", "rank", "selected", "call_by"),
    *("trial", "stratum", "trial_arm", "challenger_version", "challenger_probability"),
)


_OF_BOTH: Final = ("patient", "starts_at", "booked_at")


def _columns(names: Sequence[str], form: str) -> str:
    """A column of SQL for each name, which replaces `*` in `form`."""
    return ", ".join(f"{form.replace('*', name)} AS {name}" for name in names)


# What the first pass looks at: appointments of which something is recorded, or was when the store was written.
_SAID_OF_CALLED: Final = """
    SELECT appointment, patient, starts_at FROM said SEMI JOIN called USING (appointment) WHERE starts_at IS NOT NULL
"""
_PATIENT_OF_CALLED: Final = f"SELECT appointment, patient FROM ({_SAID_OF_CALLED})"
_OF_CALLED: Final = """
    SEMI JOIN (
        SELECT appointment FROM called UNION ALL SELECT appointment FROM earlier WHERE attempts > 0
    ) c USING (appointment)
"""
# Rows of the store count as scored too, since the files of their lists are deleted before the store. A list that was
# scored after its appointment began is no prediction; an answer has no time of the appointment of its own.
_ALL_SCORED: Final = f"""
    CREATE OR REPLACE VIEW all_scored AS
        SELECT * FROM scored_rows
        UNION ALL BY NAME
        SELECT appointment, patient, starts_at, booked_at, {", ".join(_OF_LIST)}, 0 AS source FROM earlier
"""
_SCORED: Final = f"""
    {_ALL_SCORED};
    CREATE OR REPLACE TABLE scored AS
        SELECT * FROM all_scored WHERE source = 0 OR coalesce(scored_at < starts_at, true)
"""
_SCORED_OF_CALLED: Final = f"""
    {_ALL_SCORED};
    CREATE OR REPLACE TABLE scored AS
        SELECT s.* FROM all_scored s {_OF_CALLED} WHERE source = 0 OR coalesce(scored_at < starts_at, true)
"""
# What extracts say of each scored appointment. A known outcome is never replaced by none, and of two the one that was
# recorded later counts, or the one that is read now.
_SAID: Final = f"""
    CREATE OR REPLACE TABLE said AS
    WITH appointments AS (
        SELECT appointment, arg_max(patient, scored_at) AS patient, arg_max(starts_at, scored_at) AS starts_at,
            arg_max(booked_at, scored_at) AS booked_at
        FROM scored WHERE source > 0 GROUP BY appointment
    ), ids AS (
        SELECT DISTINCT appointment FROM scored
    ), both_extracts AS (
        SELECT i.appointment, a.patient AS patient_scored, b.outcome_code AS outcome_before,
            coalesce(b.outcome_code IS NOT NULL AND (e.outcome_code IS NULL OR b.recorded_at > e.recorded_at), false)
                AS is_older,
            CASE WHEN b.contacted_source = 'extract' THEN b.contacted END AS contacted_before, a, e, b
        FROM ids i LEFT JOIN appointments a USING (appointment)
            LEFT JOIN extract_rows e USING (appointment) LEFT JOIN earlier b USING (appointment)
    )
    SELECT appointment, patient_scored, outcome_before,
        {_columns(_OF_BOTH, "CASE WHEN is_older THEN coalesce(b.*, a.*) ELSE coalesce(e.*, b.*, a.*) END")},
        {_columns(("outcome_code", "missed", "recorded_at"), "CASE WHEN is_older THEN b.* ELSE e.* END")},
        CASE WHEN is_older THEN coalesce(contacted_before, e.contacted)
            ELSE coalesce(e.contacted, contacted_before) END AS contacted,
        {_columns(_GROUPS, "CASE WHEN is_older THEN coalesce(b.*, e.*) ELSE coalesce(e.*, b.*) END")}
    FROM both_extracts
"""
# The last list before its calls ended comes first; where all were scored after them (a clock that was put back), the
# last one. In a trial, the first list that gave an arm does: which list counts must not depend on calls, of which one
# arm has none.
_CHOSEN: Final = """
    CREATE OR REPLACE TABLE chosen AS
    SELECT s.* EXCLUDE (patient, starts_at, booked_at)
    FROM scored s JOIN said a USING (appointment) LEFT JOIN calls c USING (appointment)
    WHERE source <> 1 OR s.scored_at < a.starts_at
    QUALIFY row_number() OVER (
        PARTITION BY appointment
        ORDER BY CASE WHEN s.trial_arm IS NOT NULL THEN s.scored_at END NULLS LAST,
            s.scored_at <= coalesce(c.last_at, a.starts_at) DESC, s.scored_at DESC, source DESC, s.list_id DESC,
            s.model_version DESC, s.probability DESC
    ) = 1
"""
_CHALLENGER_RISKS: Final = """
    CREATE OR REPLACE TABLE challenger_risks AS
    SELECT appointment, list_id, scored_at, max(challenger_version) AS challenger_version,
        arg_max(challenger_probability, challenger_version) AS challenger_probability
    FROM challenger_rows GROUP BY ALL
"""
# What the store knew of calls counts where nothing is recorded of them any more. Details are kept as long as the log,
# and the number of attempts longer.
_KNOWN_CALLS: Final = f"""
    SELECT appointment, c.attempts, c.reached, c.call_outcome,
        {_columns(("barrier", "offered"), "CASE WHEN c.attempts = b.attempts THEN coalesce(c.*, b.*) ELSE c.* END")}
    FROM calls c LEFT JOIN earlier b USING (appointment)
    UNION ALL BY NAME
    SELECT appointment, attempts, reached, call_outcome, barrier, offered
    FROM earlier ANTI JOIN called USING (appointment) WHERE attempts > 0
"""
_WORKED_ON: Final = f"""
    SELECT DISTINCT list_id FROM chosen JOIN ({_KNOWN_CALLS}) c USING (appointment)
    WHERE c.attempts > 0 AND list_id IS NOT NULL
"""
_JOINED: Final = f"""
    CREATE OR REPLACE TABLE joined AS
    WITH known_calls AS ({_KNOWN_CALLS}), rows AS (
        SELECT s.*, {", ".join(f"l.{name}" for name in _OF_LIST[:-2])},
            {_columns(_OF_LIST[-2:], "coalesce(j.*, l.*)")},
            coalesce(c.attempts, 0)::BIGINT AS attempts, coalesce(c.reached, false) AS reached,
            o.appointment IS NOT NULL AS opted_out, c.call_outcome, c.barrier, c.offered,
            w.list_id IS NOT NULL OR coalesce(c.attempts, 0) > 0 AS is_worked_on
        FROM said s JOIN chosen l USING (appointment)
            LEFT JOIN challenger_risks j ON j.appointment = s.appointment AND j.scored_at = l.scored_at
                AND j.list_id IS NOT DISTINCT FROM l.list_id
            LEFT JOIN known_calls c ON c.appointment = s.appointment
            LEFT JOIN opted_out o ON o.appointment = s.appointment
            LEFT JOIN worked_on w ON w.list_id = l.list_id
    )
    SELECT * REPLACE (CASE WHEN contacted IS NOT NULL THEN contacted WHEN is_worked_on THEN reached END AS contacted),
        CASE WHEN contacted IS NOT NULL THEN 'extract' WHEN is_worked_on THEN 'calls' END AS contacted_source
    FROM rows
"""
_COUNTS: Final = """
    SELECT count(*) AS rows, count(outcome_code) AS known,
        count(*) FILTER (outcome_code IS NOT NULL AND outcome_before IS NULL) AS new,
        count(*) FILTER (outcome_code <> outcome_before) AS changed,
        count(*) FILTER (patient <> patient_scored) AS other_patient,
        (SELECT count(DISTINCT appointment) FROM all_scored ANTI JOIN scored USING (appointment)) AS late,
        count(*) FILTER (attempts > 0) AS called, count(*) FILTER (reached) AS reached
    FROM joined
"""

"""Join what was scored, what was called and what became of it: one row an appointment.

Three sources meet by the keyed hash of the appointment: scored rows (`scored_rows`), recorded calls
(`calls.recorded_calls`), and an extract. Of several lists with an appointment, the last one before its calls ended
counts: the list that somebody called from, or the last one before the appointment where nobody called. Of appointments
in a trial, the first list that gave an arm counts, in both arms. What is already
in the store stays until an extract says more; the order in which extracts come does not matter where they say when an
outcome was recorded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.worklist.calls.recorded_calls import RecordedCalls, ScoredAnswer
from dnapredict.worklist.follow_up.outcome_store import GROUP_COLUMNS, OUTCOME_SCHEMA
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


@dataclass(frozen=True)
class JoinSources:
    """What is joined.

    Attributes
    ----------
    lists, challenger
        The files of scored lists and of the risks that challengers gave them.
    answers
        Answers about single appointments (`answers_table`).
    extract
        A table with the columns of `EXTRACT_SCHEMA`, one row an appointment.
    earlier
        The store before, empty where there is none.
    """

    lists: Sequence[Path]
    challenger: Sequence[Path]
    answers: pa.Table
    calls: RecordedCalls
    extract: pa.Table
    earlier: pa.Table


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


def join_outcomes(sources: JoinSources, workspace: Workspace) -> tuple[pa.Table, JoinCounts]:
    """The rows of the store with the columns of `OUTCOME_SCHEMA`, and what the join did."""
    _load(sources, workspace)
    con = workspace.backend.con
    con.execute(_SCORED)
    con.execute(_SAID)
    _load_calls(sources.calls, workspace)
    for statement in (_CHOSEN, _CHALLENGER_RISKS, _JOINED):
        con.execute(statement)
    counts = workspace.fetch(_COUNTS).to_pylist()[0]
    columns = ", ".join(OUTCOME_SCHEMA.names)
    rows = workspace.fetch(f"SELECT {columns} FROM joined ORDER BY appointment").cast(OUTCOME_SCHEMA)
    return rows, JoinCounts(**{name: int(value or 0) for name, value in counts.items()})


def _load(sources: JoinSources, workspace: Workspace) -> None:
    con = workspace.backend.con
    con.register("answers", sources.answers)
    con.register("extract_rows", sources.extract)
    con.register("earlier", sources.earlier)
    for name, files, schema in (
        ("lists", sources.lists, SCORED_SCHEMA),
        ("challenger_rows", sources.challenger, CHALLENGER_SCHEMA),
    ):
        con.register(f"no_{name}", schema.empty_table())
        columns = ", ".join(schema.names)
        read = f"UNION ALL BY NAME SELECT {columns} FROM read_parquet({_quoted(files)}, union_by_name=true)"
        con.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM no_{name} {read if files else ''}")


def _quoted(files: Sequence[Path]) -> str:
    names = ("'" + str(path).replace("'", "''") + "'" for path in files)
    return f"[{', '.join(names)}]"


def answers_table(answers: Iterable[ScoredAnswer]) -> pa.Table:
    """Answers about single appointments with the columns of `SCORED_SCHEMA`, of which those of a list are null."""
    names = ["scored_at" if name == "at" else name for name in ScoredAnswer._fields]
    several, parts = iter(answers), [SCORED_SCHEMA.empty_table()]
    while part := list(islice(several, _ROWS_AT_ONCE)):
        rows = [dict(zip(names, each, strict=True)) for each in part]
        parts.append(pa.Table.from_pylist(rows, schema=SCORED_SCHEMA))
    return pa.concat_tables(parts)


def _load_calls(calls: RecordedCalls, workspace: Workspace) -> None:
    """Summaries of the calls before each appointment, and the appointments whose patient had opted out by then."""
    con = workspace.backend.con
    con.register("called", pa.table({"appointment": pa.array(calls.appointments, pa.string())}))
    rows = workspace.fetch(
        "SELECT appointment, patient, starts_at FROM said SEMI JOIN called USING (appointment) "
        "WHERE starts_at IS NOT NULL"
    ).to_pylist()
    con.register("calls", _summaries(calls, rows))
    opt_outs = calls.opt_outs({row["appointment"]: row["patient"] for row in rows})
    con.register("opted", pa.table({"patient": pa.array(opt_outs.patients, pa.string())}))
    theirs = workspace.fetch(
        "SELECT appointment, coalesce(s.patient, appointment) AS patient, starts_at FROM said s "
        "SEMI JOIN opted o ON o.patient = coalesce(s.patient, appointment) WHERE starts_at IS NOT NULL"
    ).to_pylist()
    out = [row["appointment"] for row in theirs if opt_outs.in_force(row["patient"], at=row["starts_at"])]
    con.register("opted_out", pa.table([pa.array(out, pa.string())], schema=_OPTED_OUT))


def _summaries(calls: RecordedCalls, appointments: Sequence[dict[str, Any]]) -> pa.Table:
    rows = []
    for row in appointments:
        summary = calls.about(row["appointment"], starts_at=row["starts_at"])
        if summary is not None:
            rows.append(dict(zip(_CALLS.names, (row["appointment"], *summary), strict=True)))
    return pa.Table.from_pylist(rows, schema=_CALLS)


_OF_LIST: Final = (
    *("list_id", "scored_at", "model_version", "probability", "rank", "selected", "call_by"),
    *("trial", "stratum", "trial_arm", "challenger_version", "challenger_probability"),
)


_OF_BOTH: Final = ("patient", "starts_at", "booked_at")


def _columns(names: Sequence[str], form: str) -> str:
    """A column of SQL for each name, which replaces `*` in `form`."""
    return ", ".join(f"{form.replace('*', name)} AS {name}" for name in names)


# Rows of the store count as scored too, since the files of their lists are deleted before the store. A list that was
# scored after its appointment began is no prediction; an answer has no time of the appointment of its own.
_SCORED: Final = f"""
    CREATE OR REPLACE TABLE all_scored AS
        SELECT *, 2 AS source FROM lists
        UNION ALL BY NAME SELECT *, 1 AS source FROM answers
        UNION ALL BY NAME
        SELECT appointment, patient, starts_at, booked_at, {", ".join(_OF_LIST)}, 0 AS source FROM earlier;
    CREATE OR REPLACE TABLE scored AS
        SELECT * FROM all_scored WHERE source = 0 OR coalesce(scored_at < starts_at, true)
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
_JOINED: Final = f"""
    CREATE OR REPLACE TABLE joined AS
    WITH known_calls AS (
        SELECT appointment, c.attempts, c.reached, c.call_outcome,
            {_columns(("barrier", "offered"), "CASE WHEN c.attempts = b.attempts THEN coalesce(c.*, b.*) ELSE c.* END")}
        FROM calls c LEFT JOIN earlier b USING (appointment)
        UNION ALL BY NAME
        SELECT appointment, attempts, reached, call_outcome, barrier, offered
        FROM earlier ANTI JOIN called USING (appointment) WHERE attempts > 0
    ), rows AS (
        SELECT s.*, {", ".join(f"l.{name}" for name in _OF_LIST[:-2])},
            {_columns(_OF_LIST[-2:], "coalesce(j.*, l.*)")},
            coalesce(c.attempts, 0)::BIGINT AS attempts, coalesce(c.reached, false) AS reached,
            o.appointment IS NOT NULL AS opted_out, c.call_outcome, c.barrier, c.offered
        FROM said s JOIN chosen l USING (appointment)
            LEFT JOIN challenger_risks j ON j.appointment = s.appointment AND j.scored_at = l.scored_at
                AND j.list_id IS NOT DISTINCT FROM l.list_id
            LEFT JOIN known_calls c ON c.appointment = s.appointment
            LEFT JOIN opted_out o ON o.appointment = s.appointment
    ), marked AS (
        SELECT *, max(attempts) OVER (PARTITION BY coalesce(list_id, appointment)) > 0 AS is_worked_on
        FROM rows
    )
    SELECT * REPLACE (CASE WHEN contacted IS NOT NULL THEN contacted WHEN is_worked_on THEN reached END AS contacted),
        CASE WHEN contacted IS NOT NULL THEN 'extract' WHEN is_worked_on THEN 'calls' END AS contacted_source
    FROM marked
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

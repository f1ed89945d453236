"""What comes back to a scored appointment: from which list, with which calls, and what became of it.

Each case has the lists on which appointments were scored, the calls that people recorded, what an extract says, and what
the outcome store holds then. All days are of one month; `10.14` is the tenth at two in the afternoon. An appointment has
one row, from the last list before its calls ended.
"""

import datetime
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.outcome_joins import join_into

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.service.call_outcomes import Outcome
from dnapredict.worklist.calls.recorded_calls import RecordedCall, RecordedCalls
from dnapredict.worklist.follow_up.outcome_join import EXTRACT_SCHEMA, JoinCounts
from dnapredict.worklist.follow_up.scored_rows import SCORED_SCHEMA

Rows = list[dict[str, str]]

CASES = """
a list, a call, an outcome
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    calls   | recorded | appointment | patient | outcome   | barrier   | offered
            | 4.10     | a           | p       | confirmed | transport | transport
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier   | missed | contacted | source
            | a           | w1   | 0.40 | confirmed    | 1        | yes     | transport | no     | yes       | calls

nobody answered, and nobody was called about the other appointment of the list
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w1   | 3.09   | b           | 10.15  | q       | 0.10 | no
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 4.10     | a           | p       | no_answer |         |
            | 4.15     | a           | p       | no_answer |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 3       | 12.00    |
            | b           | q       | 10.15  | 5       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 | no_answer    | 2        | no      |         | yes    | no        | calls
            | b           | w1   | 0.10 |              | 0        | no      |         | no     | no        | calls

on a list on which nobody recorded anything, it is not known who was called
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 |              | 0        | no      |         | no     |           |

the extract's own word about the call counts
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 4.10     | a           | p       | confirmed |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    | no
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 | confirmed    | 1        | yes     |         | no     | no        | extract

a later export of the list replaces an earlier one, until the calls end
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 2.09   | a           | 10.14  | p       | 0.20 | no
            | w2   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w3   | 6.09   | a           | 10.14  | p       | 0.30 | no
            | w2   | 3.09   | b           | 10.14  | q       | 0.15 | no
            | w3   | 6.09   | b           | 10.14  | q       | 0.25 | yes
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 4.10     | a           | p       | confirmed |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
            | b           | q       | 10.14  | 3       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w2   | 0.40 | confirmed    | 1        | yes     |         | no     | yes       | calls
            | b           | w3   | 0.25 |              | 0        | no      |         | yes    |           |

what was recorded after the appointment began is no call, and an outcome taken back was none
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w1   | 3.09   | b           | 10.14  | q       | 0.30 | yes
            | w1   | 3.09   | c           | 10.14  | r       | 0.20 | yes
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 10.15    | a           | p       | rebooked  |         |
            | 4.10     | b           | q       | confirmed | work    |
            | 4.11     | b           | q       | withdrawn |         |
            | 4.12     | c           | r       | no_answer |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 3       | 12.00    |
            | b           | q       | 10.14  | 5       | 12.00    |
            | c           | r       | 10.14  | 2       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 |              | 0        | no      |         | yes    | no        | calls
            | b           | w1   | 0.30 |              | 0        | no      |         | no     | no        | calls
            | c           | w1   | 0.20 | no_answer    | 1        | no      |         |        | no        | calls

an opt-out is about the patient, from when it was said
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w1   | 3.09   | b           | 10.15  | p       | 0.30 | no
            | w1   | 3.09   | c           | 4.09   | p       | 0.20 | no
    calls   | recorded | appointment | patient | outcome         | barrier | offered
            | 4.10     | a           | p       | no_calls_wished |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
    store   | appointment | list | risk | call_outcome    | attempts | reached | opted_out | missed | contacted | source
            | a           | w1   | 0.40 | no_calls_wished | 1        | yes     | yes       | no     | yes       | calls
            | b           | w1   | 0.30 |                 | 0        | no      | yes       |        | no        | calls
            | c           | w1   | 0.20 |                 | 0        | no      | no        |        | no        | calls

an appointment that was never scored is not in the store; one that has not come back yet is
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    extract | appointment | patient | starts | outcome | recorded | contacted
            | other       | p       | 10.14  | 3       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 |              | 0        | no      |         |        |           |

the patient has another number now, and the appointment was moved
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w2   | 12.09  | a           | 20.14  | p       | 0.30 | yes
    calls   | recorded | appointment | patient | outcome  | barrier | offered
            | 4.10     | a           | p       | rebooked |         |
            | 13.10    | a           | p       | confirmed |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | merged  | 20.14  | 5       | 22.00    |
    store   | appointment | patient | list | risk | call_outcome | attempts | reached | missed | contacted | source
            | a           | merged  | w2   | 0.30 | confirmed    | 2        | yes     | no     | yes       | calls

in a trial the list that gave the arm counts, in both arms alike and whoever was called later
    lists   | list | scored | appointment | starts | patient | risk | selected | arm
            | w1   | 2.09   | a           | 10.14  | p       | 0.20 | yes      | TREATMENT
            | w2   | 3.09   | a           | 10.14  | p       | 0.40 | yes      | TREATMENT
            | w0   | 1.09   | b           | 10.14  | q       | 0.10 | no       |
            | w1   | 2.09   | b           | 10.14  | q       | 0.20 | no       | CONTROL
            | w2   | 3.09   | b           | 10.14  | q       | 0.40 | no       |
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 4.10     | a           | p       | confirmed |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
            | b           | q       | 10.14  | 3       | 12.00    |
    store   | appointment | list | risk | trial_arm | call_outcome | attempts | reached | missed | contacted | source
            | a           | w1   | 0.20 | TREATMENT | confirmed    | 1        | yes     | no     | yes       | calls
            | b           | w1   | 0.20 | CONTROL   |              | 0        | no      | yes    | no        | calls

a list that was scored after the appointment began is no prediction
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
            | w2   | 11.09  | a           | 10.14  | p       | 0.90 | yes
            | w2   | 11.09  | b           | 10.14  | q       | 0.90 | yes
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 3       | 12.00    |
            | b           | q       | 10.14  | 3       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 |              | 0        | no      |         | yes    |           |

a clock was put back before the list was scored again: the calls come before both lists
    lists   | list | scored | appointment | starts | patient | risk | selected
            | w1   | 6.09   | a           | 10.14  | p       | 0.40 | yes
            | w2   | 5.09   | a           | 10.14  | p       | 0.30 | yes
    calls   | recorded | appointment | patient | outcome   | barrier | offered
            | 4.10     | a           | p       | confirmed |         |
    extract | appointment | patient | starts | outcome | recorded | contacted
            | a           | p       | 10.14  | 5       | 12.00    |
    store   | appointment | list | risk | call_outcome | attempts | reached | barrier | missed | contacted | source
            | a           | w1   | 0.40 | confirmed    | 1        | yes     |         | no     | yes       | calls
"""

CHANGES = """
an outcome that changes is replaced, whichever extract is read first
    lists  | list | scored | appointment | starts | patient | risk | selected
           | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    first  | appointment | patient | starts | outcome | recorded | contacted
           | a           | p       | 10.14  | 3       | 12.00    |
    second | appointment | patient | starts | outcome | recorded | contacted
           | a           | p       | 10.14  | 5       | 15.00    |
    store  | appointment | outcome | missed
           | a           | 5       | no

a known outcome is not replaced by none
    lists  | list | scored | appointment | starts | patient | risk | selected
           | w1   | 3.09   | a           | 10.14  | p       | 0.40 | yes
    first  | appointment | patient | starts | outcome | recorded | contacted
           | a           | p       | 10.14  | 3       | 12.00    |
    second | appointment | patient | starts | outcome | recorded | contacted
           | a           | p       | 10.14  |         |          |
    store  | appointment | outcome | missed
           | a           | 3       | yes
"""
BOOLEANS = {"yes": True, "no": False, "": None}
NAMES = {"list": "list_id", "risk": "probability", "source": "contacted_source", "outcome": "outcome_code"}


def cases(text: str) -> Iterator[tuple[str, dict[str, Rows]]]:
    for block in text.strip().split("\n\n"):
        title, *lines = block.splitlines()
        tables: dict[str, Rows] = {}
        for line in lines:
            first, *cells = (cell.strip() for cell in line.split("|"))
            if first:
                name, head = first, cells
                tables[name] = []
            else:
                tables[name].append(dict(zip(head, cells, strict=True)))
        yield title, tables


def moment(text: str) -> datetime.datetime | None:
    day, _, hour = text.partition(".")
    return datetime.datetime(2026, 1, int(day), int(hour or 0)) if text else None


def lists_of(rows: Rows, folder: Path) -> list[Path]:
    table = pa.Table.from_pylist(
        [
            {
                "appointment": row["appointment"],
                "patient": row["patient"],
                "list_id": row["list"],
                "scored_at": moment(row["scored"]),
                "starts_at": moment(row["starts"]),
                "model_version": "7",
                "probability": float(row["risk"]),
                "selected": BOOLEANS[row["selected"]],
                "trial_arm": row.get("arm") or None,
            }
            for row in rows
        ],
        schema=SCORED_SCHEMA,
    )
    path = folder / "scored.parquet"
    pq.write_table(table, path)
    return [path]


def calls_of(rows: Rows) -> RecordedCalls:
    calls = []
    for number, row in enumerate(rows, start=1):
        outcome, at = Outcome(row["outcome"]), moment(row["recorded"])
        assert at is not None
        details = (row["barrier"] or None, row["offered"] or None)
        calls.append(RecordedCall(number, row["appointment"], row["patient"], at, outcome, outcome.effect, *details))
    return RecordedCalls(calls)


def extract_of(rows: Rows) -> pa.Table:
    missed = {"3": True, "7": True, "5": False, "6": False}
    return pa.Table.from_pylist(
        [
            {
                "appointment": row["appointment"],
                "patient": row["patient"],
                "starts_at": moment(row["starts"]),
                "outcome_code": row["outcome"] or None,
                "missed": missed.get(row["outcome"]),
                "recorded_at": moment(row["recorded"]),
                "contacted": BOOLEANS[row["contacted"]],
            }
            for row in rows
        ],
        schema=EXTRACT_SCHEMA,
    )


def joined(tables: dict[str, Rows], folder: Path, *, extract: Rows) -> tuple[pa.Table, JoinCounts]:
    with Workspace() as workspace:
        return join_into(
            folder,
            lists_of(tables["lists"], folder),
            calls_of(tables.get("calls", [])),
            extract_of(extract),
            workspace=workspace,
        )


def shown(store: pa.Table, names: list[str]) -> Rows:
    return [{name: cell(row[NAMES.get(name, name)]) for name in names} for row in store.to_pylist()]


def cell(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:.2f}" if isinstance(value, float) else str(value)


BACK, CHANGED = dict(cases(CASES)), dict(cases(CHANGES))


@pytest.mark.parametrize("case", BACK)
def test_what_comes_back(case: str, tmp_path: Path) -> None:
    tables = BACK[case]
    store, _ = joined(tables, tmp_path, extract=tables["extract"])
    assert shown(store, list(tables["store"][0])) == tables["store"]
    again, counts = joined(tables, tmp_path, extract=tables["extract"])
    assert again.equals(store)
    assert (counts.new, counts.changed) == (0, 0)


@pytest.mark.parametrize("case", CHANGED)
@pytest.mark.parametrize("order", [("first", "second"), ("second", "first")])
def test_outcomes_that_change(case: str, order: tuple[str, str], tmp_path: Path) -> None:
    tables = CHANGED[case]
    for name in order:
        store, _ = joined(tables, tmp_path, extract=tables[name])
    assert shown(store, list(tables["store"][0])) == tables["store"]


def test_changed_outcomes_are_counted(tmp_path: Path) -> None:
    tables = next(iter(CHANGED.values()))
    _, first = joined(tables, tmp_path, extract=tables["first"])
    _, second = joined(tables, tmp_path, extract=tables["second"])
    assert (first.new, first.changed) == (1, 0)
    assert (second.new, second.changed) == (0, 1)

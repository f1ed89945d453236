"""Which kept lists are deleted, and when: a specification for information governance.

`list_days` is 90 and `lists` is 2: the two newest lists are kept whatever they hold, older ones while a team may still
need them, and none longer than 90 days. Each table is a home with three lists that are newer than 90 days and one
that is older; `over` says that its appointments have taken place, `worked on` that an outcome was recorded on it.
"""

import datetime
import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from dnapredict.config.service_config import Retention
from dnapredict.service.call_actions import Actions
from dnapredict.service.call_outcomes import Outcome
from dnapredict.service.log.answer_entries import Hashes
from dnapredict.service.log.retention import remove_entries, remove_lists
from dnapredict.service.log.scoring_log import COLUMNS, ScoringLog
from dnapredict.worklist.files import list_store
from dnapredict.worklist.files.kept_list import Counts, Heading, KeptList

LISTS = """
    list | days old | over | worked on | kept | why
    a    | 1        | yes  |           | yes  | among the two newest
    b    | 2        | yes  |           | yes  | among the two newest
    c    | 3        | yes  |           |      | nobody needs it
    d    | 91       | yes  | yes       |      | older than 90 days

    a    | 1        |      |           | yes  | among the two newest
    b    | 2        |      |           | yes  | among the two newest
    c    | 3        |      |           | yes  | its appointments are to come
    d    | 91       |      |           |      | older than 90 days

    a    | 1        | yes  |           | yes  | among the two newest
    b    | 2        | yes  |           | yes  | among the two newest
    c    | 3        | yes  | yes       | yes  | a team recorded an outcome on it
    d    | 89       | yes  |           |      | nobody needs it
"""
# `log_days` is 30. Entries of the log go in their order, and never one that is younger.
ENTRIES = """
    days old        | left
    40, 20, 1       | 20, 1
    31, 30, 29      | 30, 29
    1, 40           | 1, 40
    20, 10          | 20, 10
"""


def homes(table: str) -> list[list[dict[str, str]]]:
    head, *rows = table.strip().splitlines()
    names = [cell.strip() for cell in head.split("|")]
    text = "\n".join(rows)
    return [
        [dict(zip(names, (cell.strip() for cell in row.split("|")), strict=True)) for row in block.splitlines()]
        for block in text.split("\n\n")
    ]


def keep(home: Path, row: dict[str, str]) -> str:
    """A kept list with one appointment, a day ago where it is over and in a day where not."""
    now = datetime.datetime.now(datetime.UTC)
    starts = now.replace(tzinfo=None) + datetime.timedelta(days=-1 if row["over"] else 1)
    worklist = pa.table(
        {
            "appointment_id": [f"{row['list']}-1"],
            "selected": [True],
            "error": pa.nulls(1, pa.string()),
            "starts_at": pa.array([starts], pa.timestamp("us")),
        }
    )
    list_id = row["list"] * 16
    heading = Heading(
        list_id=list_id, name="w", created_at=now, model_version="7", synthetic=True, counts=Counts.of(worklist)
    )
    list_store.keep(home, KeptList(heading, worklist))
    at = time.time() - float(row["days old"]) * 86_400
    os.utime(home / "lists" / f"{list_id}.parquet", (at, at))
    return list_id


@pytest.mark.parametrize("rows", homes(LISTS))
def test_a_list_is_deleted_once_no_team_needs_it_or_it_is_too_old(rows: list[dict[str, str]], tmp_path: Path):
    log = ScoringLog(tmp_path)
    actions = Actions(log, Hashes(tmp_path))
    for row in rows:
        list_id = keep(tmp_path, row)
        if row["worked on"]:
            actions.record(list_id, {"appointment_id": f"{row['list']}-1"}, Outcome.CONFIRMED)
    remove_lists(tmp_path, Retention(list_days=90, lists=2), log)
    left = {path.stem[0] for path in list_store.kept_files(tmp_path)}
    assert left == {row["list"] for row in rows if row["kept"]}, {row["list"]: row["why"] for row in rows}


@pytest.mark.parametrize(
    ("ages", "left"), [[cell.strip() for cell in line.split("|")] for line in ENTRIES.strip().splitlines()[1:]]
)
def test_entries_of_the_log_go_in_their_order_once_they_are_too_old(ages: str, left: str, tmp_path: Path):
    log = ScoringLog(tmp_path)
    filled = dict.fromkeys(COLUMNS, "x") | {"probability": 0.1, "rank": 1, "selected": True, "error": None}
    now = datetime.datetime.now(datetime.UTC)
    at = [(now - datetime.timedelta(days=int(age))).isoformat() for age in ages.split(",")]
    log.write([filled | {"at": each} for each in at])
    removed = remove_entries(log, Retention(log_days=30), most_days=None)
    assert removed == len(at) - len(left.split(","))
    assert log.verify().entries == len(left.split(",")) + bool(removed)  # and the anchor in their place

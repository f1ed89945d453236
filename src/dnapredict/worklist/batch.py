"""Score a list of any length from file to file, in bounded memory, and take up what was interrupted.

The list is held against the contract as a whole and its factors are asked for as a whole, since some rules
and factors look at other rows; that is done by an engine that goes to disk where memory ends. It is
judged a part at a time, each part put by as soon as it is done. Places and calls are given out over
the whole list, of which only figures are in memory by then.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import read_key
from dnapredict.data.readers import table_file as extract
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.worklist.answer_table import FACTORS
from dnapredict.worklist.assemble import Gathered
from dnapredict.worklist.calls.calls_ledger import list_name
from dnapredict.worklist.checkpoints import Staging, staged
from dnapredict.worklist.files import worklist_files
from dnapredict.worklist.files.latest_list import KEPT_ROWS
from dnapredict.worklist.files.worklist_files import require_carried
from dnapredict.worklist.plan.ranking import WEIGHED
from dnapredict.worklist.predict import JUDGED, Judge
from dnapredict.worklist.scorer import Scorer

Progress = Callable[[int, int], None]
"""Is told how many rows are scored, of how many."""

_MEMORY: Final = "1GB"
# A part takes about 3 KB a row while it is judged.
PART_ROWS: Final = 50_000
_MADE_BY: Final = ("dnapredict", "duckdb", "ibis-framework", "lightgbm", "numpy", "pyarrow")


@dataclass(frozen=True)
class GivenHistory:
    """An extract whose appointments a list is scored with, and how it becomes a history in a folder."""

    extract: Path
    write: Callable[[Path], HistoryStore]


@dataclass(frozen=True)
class ScoredFile:
    """What became of a list: counts, its first rows in rank order, and the contract columns that it has.

    `notices` tell its readers what could not be known.
    """

    rows: int
    selected: int
    rejected: int
    first: pa.Table
    present: frozenset[str]
    notices: tuple[str, ...] = ()


def score_file(
    path: Path,
    out: Path,
    *,
    scorer: Scorer,
    history: GivenHistory | None = None,
    capacity: int | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress = lambda *_: None,
    before_replacing: Callable[[Path], None] = lambda _: None,
) -> ScoredFile:
    """Score the list at `path` and write the worklist to `out`, every row exactly once.

    `history` is known instead of the scorer's own. `before_replacing` is called with `out` when the
    worklist is whole, if it is about to replace a file.

    Raises
    ------
    DataError, ConfigurationError
        As `Scorer.score`, and if the file is no list.
    StoreError
        If `out` or the folder beside it cannot be written.
    """
    known = None if history else scorer.history()
    if known is not None:
        known.verify()  # and kept open: a refresh meanwhile may remove its folder
    past = extract.sha256(history.extract) if history else _named(known)
    question = _question(path, scorer=scorer, past=past, capacity=capacity)
    with (
        staged(out, question) as staging,
        Workspace(folder=staging.overflow, memory_limit=_MEMORY) as workspace,
    ):
        known = history.write(staging.overflow) if history else known
        scorer = replace(scorer, history=lambda: known)
        table = extract.read(path, workspace, tell=tell)
        require_carried(table.columns, scorer.worklist.carry_through, source=path.name)
        checked = scorer.checked(table, workspace)
        points = workspace.compute(f"FROM {checked.rows.get_name()}")
        parts = _sizes(checked.kept)
        _judge(scorer, points, parts, staging=staging, workspace=workspace, progress=progress)
        done = staging.paths(len(parts))
        judged = _weighed(points, done, workspace)
        name = list_name(chunk.to_pylist() for chunk in judged["appointment_id"].chunks)
        plan = scorer.planned(judged.combine_chunks(), capacity=capacity, wished=checked.wished)
        gathered = Gathered(
            workspace,
            listed=points.get_name(),
            read=table.get_name(),
            plan=plan.table.append_column(ROW_NUMBER, judged[ROW_NUMBER]),
            rejected=checked.rejected,
            parts=done,
            model_version=scorer.model_version,
            carried=scorer.worklist.carry_through,
        )
        first: list[pa.Table] = []
        answers = _noted(gathered.tables(), first)
        present = contract_check.present(table.columns, scorer.mapping)
        note = scorer.note(path.name, day=staging.begun, unknown=scorer.unknown_factors(present))
        note = note.with_notices(plan.notices)
        worklist_files.write_tables(
            map(gathered.written, answers),
            out,
            note=note,
            place=staging.folder,
            before_replacing=before_replacing,
        )
        notices = (*plan.notices, *scorer.remember(plan, judged.combine_chunks(), name=name))
        return ScoredFile(
            rows=checked.total,
            selected=len(plan.called),
            rejected=checked.rejected.num_rows,
            first=pa.concat_tables(first),
            present=present,
            notices=notices,
        )


def _question(path: Path, *, scorer: Scorer, past: str | None, capacity: int | None) -> str:
    """A digest of all that the answer rests on; of a key for pseudonyms nothing can be told from it."""
    mapping = scorer.mapping
    told = {
        "list": extract.sha256(path),
        "named": path.name,
        "model": [scorer.model_version, scorer.stored.digest],
        "history": past,
        "capacity": capacity,
        "worklist": scorer.worklist.model_dump(mode="json"),
        "mapping": mapping.model_dump(mode="json"),
        "joined": {name: extract.sha256(join.path) for name, join in mapping.joins.items()},
        "places": {n: extract.sha256(p) for n, p in mapping.geography if isinstance(p, Path)},
        "key": hashlib.sha256(read_key(mapping.key_file)).hexdigest() if mapping.makes_pseudonyms else "",
        "part_rows": PART_ROWS,
        "made_by": [version(name) for name in _MADE_BY],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _named(history: HistoryStore | None) -> str | None:
    return f"{history.folder.resolve()} {history.digest}" if history else None


def _sizes(rows: int) -> list[int]:
    """How many rows each part has; there is always one."""
    return [min(PART_ROWS, rows - first) for first in range(0, max(rows, 1), PART_ROWS)]


def _judge(
    scorer: Scorer,
    points: ir.Table,
    parts: Sequence[int],
    *,
    staging: Staging,
    workspace: Workspace,
    progress: Progress,
) -> None:
    """Judge what is not judged yet."""
    done, total = 0, sum(parts)
    progress(done, total)
    if not total:
        staging.keep(0, JUDGED.empty_table())
    waiting = {part for part, size in enumerate(parts) if not staging.has(part, rows=size)}
    if not waiting:
        return
    judge = Judge(scorer.stored, needs=scorer.worklist.needs)
    past = scorer.past(points, clock=judge.clock, workspace=workspace)
    asked = judge.judged_in_parts(points, past, rows=PART_ROWS, workspace=workspace)
    for part, judged in enumerate(asked):
        if part in waiting:
            staging.keep(part, judged())
        done += parts[part]
        progress(done, total)


def _weighed(points: ir.Table, parts: Sequence[Path], workspace: Workspace) -> pa.Table:
    """What the plan of the whole list rests on, in the order of the list."""
    names = [ROW_NUMBER, "probability", *FACTORS]
    judged = pa.concat_tables(
        pq.read_table(path, columns=names, read_dictionary=list(FACTORS)) for path in parts
    ).unify_dictionaries()
    weighed = ("appointment_id", *WEIGHED)
    sql = f"SELECT {', '.join(weighed)} FROM {points.get_name()} ORDER BY {ROW_NUMBER}"
    for name, column in zip(weighed, workspace.fetch(sql).columns, strict=True):
        judged = judged.append_column(name, column)
    return judged


def _noted(tables: Iterator[pa.Table], first: list[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; of their rows the first are put into `first`."""
    wanted = KEPT_ROWS
    for table in tables:
        if wanted > 0:
            first.append(table.slice(0, wanted))
            wanted -= table.num_rows
        yield table

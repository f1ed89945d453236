"""Score a list of any length from file to file, in bounded memory, and resume what was interrupted.

The list is held against the contract as a whole and its factors are computed as a whole, since some rules
and factors look at other rows; that is done by an engine that goes to disk where memory ends. Risks and reasons
are predicted a part at a time, and each part is written at once. Ranks and calls are given over the whole list,
of which only the columns that they rest on are in memory by then.
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

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.pseudonyms import read_key
from dnapredict.data.readers import table_file as extract
from dnapredict.data.validation import contract_check
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.worklist.assemble import PredictionsOnDisk, file_columns
from dnapredict.worklist.checkpoints import Staging, staged
from dnapredict.worklist.files import worklist_files
from dnapredict.worklist.files.list_store import KEPT_ROWS
from dnapredict.worklist.files.worklist_files import require_passthrough
from dnapredict.worklist.predict import PREDICTION_SCHEMA, Predictor
from dnapredict.worklist.scorer import Scorer

Progress = Callable[[int, int], None]
"""Called with the number of rows that are scored, and of all rows."""

_MEMORY: Final = "1GB"
# A part takes about 3 KB a row while it is predicted.
PART_ROWS: Final = 50_000
_MADE_BY: Final = ("dnapredict", "duckdb", "ibis-framework", "lightgbm", "numpy", "pyarrow")


@dataclass(frozen=True)
class HistoryExtract:
    """An extract whose appointments a list is scored with; `write` makes a history of it in a folder."""

    extract: Path
    write: Callable[[Path], HistoryStore]


@dataclass(frozen=True)
class ScoredFile:
    """The result of scoring a file: counts, its first rows in rank order, and the contract columns that it has.

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
    history: HistoryExtract | None = None,
    capacity: int | None = None,
    tell: Callable[[str], None] | None = None,
    progress: Progress = lambda *_: None,
    before_replacing: Callable[[Path], None] = lambda _: None,
) -> ScoredFile:
    """Score the list at `path` and write the worklist to `out`, every row exactly once.

    `history` replaces the scorer's own. `before_replacing` is called with `out` when the worklist is whole,
    if it is about to replace a file.

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
    past = f"{known.folder.resolve()} {known.digest}" if known else None
    past = extract.sha256(history.extract) if history else past
    digest = _input_digest(path, scorer=scorer, past=past, capacity=capacity)
    with (
        staged(out, digest, zone=scorer.zone) as staging,
        Workspace(folder=staging.overflow, memory_limit=_MEMORY) as workspace,
    ):
        known = history.write(staging.overflow) if history else known
        scorer = replace(scorer, history=lambda: known)
        passthrough = scorer.worklist.carry_through
        table = extract.read(path, workspace, tell=tell)
        require_passthrough(table.columns, passthrough, source=path.name)
        checked = scorer.checked(table, workspace)
        points = workspace.materialise(checked.rows)
        sizes = [min(PART_ROWS, checked.kept - first) for first in range(0, max(checked.kept, 1), PART_ROWS)]
        _predict(scorer, points, sizes, staging=staging, workspace=workspace, progress=progress)
        predictions = PredictionsOnDisk(
            workspace,
            sound=points.get_name(),
            read=table.get_name(),
            parts=staging.paths(len(sizes)),
            passthrough=passthrough,
        )
        worklist = scorer.assemble(predictions, checked, capacity=capacity, today=staging.started_on)
        first: list[pa.Table] = []
        present = contract_check.present(table.columns, scorer.mapping)
        note = scorer.note(path.name, day=staging.started_on, unknown=scorer.unknown_factors(present))
        worklist_files.write_tables(
            (file_columns(each, passthrough=passthrough) for each in _keep_first(worklist.tables(), first)),
            out,
            note=note.with_notices(worklist.plan.notices),
            place=staging.folder,
            before_replacing=before_replacing,
        )
        return ScoredFile(
            rows=checked.total,
            selected=len(worklist.plan.called),
            rejected=checked.rejected.num_rows,
            first=pa.concat_tables(first),
            present=present,
            notices=(*worklist.plan.notices, *scorer.record_calls(worklist)),
        )


def _input_digest(path: Path, *, scorer: Scorer, past: str | None, capacity: int | None) -> str:
    """A digest of all that the worklist rests on; nothing about a key for pseudonyms can be told from it."""
    mapping = scorer.mapping
    inputs = {
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
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _predict(
    scorer: Scorer,
    points: ir.Table,
    sizes: Sequence[int],
    *,
    staging: Staging,
    workspace: Workspace,
    progress: Progress,
) -> None:
    """Predict the parts that were not written yet."""
    finished, total = 0, sum(sizes)
    progress(finished, total)
    if not total:
        staging.keep(0, PREDICTION_SCHEMA.empty_table())
    missing = {part for part, size in enumerate(sizes) if not staging.has(part, rows=size)}
    if not missing:
        return
    predictor = Predictor(scorer.stored, needs=scorer.worklist.needs)
    past = scorer.past(points, clock=predictor.clock, workspace=workspace)
    parts = predictor.predict_in_parts(points, past, rows=PART_ROWS, workspace=workspace)
    for part, predict in enumerate(parts):
        if part in missing:
            staging.keep(part, predict())
        finished += sizes[part]
        progress(finished, total)


def _keep_first(tables: Iterator[pa.Table], first: list[pa.Table]) -> Iterator[pa.Table]:
    """The same tables; the rows that a page can show are also put into `first`."""
    wanted = KEPT_ROWS
    for table in tables:
        if wanted > 0:
            first.append(table.slice(0, wanted))
            wanted -= table.num_rows
        yield table

"""Score a list of any length from file to file, in bounded memory, with resumption.

The contract is checked and the factors are computed over the whole list, since some rules and factors look at other
rows; DuckDB does that and spills to disk. Risks and reasons are predicted in parts, each of which is written at once.
Ranks and calls are planned over the whole list, of which only the columns that they need are in memory.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.mapping.contact_columns import contact_sources, read_contacts
from dnapredict.data.mapping.pseudonyms import read_key
from dnapredict.data.readers import table_file as extract
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.worklist.checkpoints import Staging, staged
from dnapredict.worklist.files import contact_table, worklist_files
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.files.latest_list import KEPT_ROWS
from dnapredict.worklist.files.worklist_files import require_passthrough
from dnapredict.worklist.predictions import PREDICTION_SCHEMA, PredictionsOnDisk, Predictor, file_columns
from dnapredict.worklist.scorer import Scorer

Progress = Callable[[int, int], None]
"""Called with the number of scored rows and of all rows; both are 0 while the list is read and checked."""

_MEMORY: Final = "1GB"
# A part takes about 3 KB a row while it is predicted.
PART_ROWS: Final = 50_000
_MADE_BY: Final = ("dnapredict", "duckdb", "ibis-framework", "lightgbm", "numpy", "pyarrow")


@dataclass(frozen=True)
class HistoryExtract:
    """An extract used as the history of one list; `write` stores it as a history in a folder."""

    extract: Path
    write: Callable[[Path], HistoryStore]


@dataclass(frozen=True)
class ScoredFile:
    """The result of scoring a file: counts, the first rows in rank order, and the contract columns of the list.

    `contacts` are the contact columns of the first rows, None where the list has none. `notices` are limitations for
    its readers, such as that opt-outs could not be read.
    """

    rows: int
    selected: int
    rejected: int
    first: pa.Table
    present: frozenset[str]
    contacts: pa.Table | None = field(default=None, repr=False)
    notices: tuple[str, ...] = ()


def score_file(
    path: Path,
    out: Path,
    *,
    scorer: Scorer,
    history: HistoryExtract | None = None,
    capacity: int | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress = lambda *_: None,
    before_publishing: Callable[[Path], None] = lambda _: None,
    identity: ListIdentity | None = None,
) -> ScoredFile:
    """Score the list at `path` and write the worklist to `out`, every row exactly once.

    `history` replaces the scorer's own. With an `identity` what was scored is recorded. `before_publishing` is called
    with the complete worklist, before it gets the name `out`.

    Raises
    ------
    DataError, ConfigurationError
        As `Scorer.score`, and if the file is not a list.
    StoreError
        If `out` or the folder beside it cannot be written.
    """
    progress(0, 0)
    known = None if history else scorer.history()
    if known is not None:
        known.verify()  # kept open, since a refresh may delete its folder meanwhile
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
        table = extract.read(path, workspace, tell=say)
        contact_names = frozenset(contact_sources(table.columns, scorer.mapping))
        supplied = (*table.columns, *contact_table.columns_carried(contact_names))
        require_passthrough(supplied, passthrough, source=path.name)
        checked = scorer.checked(table, workspace)
        if say:
            for cells in checked.unreadable:
                say(f"{path.name}: {cells}.")
        points = workspace.materialise(checked.rows)
        sizes = [min(PART_ROWS, checked.kept - first) for first in range(0, max(checked.kept, 1), PART_ROWS)]
        _predict(scorer, points, sizes, staging=staging, workspace=workspace, progress=progress)
        predictions = PredictionsOnDisk(
            workspace,
            sound=points.get_name(),
            read=_with_contacts(table, passthrough, checked, workspace).get_name(),
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
            draft_folder=staging.folder,
            before_publishing=before_publishing,
        )
        kept = pa.concat_tables(first)
        recorded = scorer.record_calls(worklist)
        recorded += () if identity is None else scorer.record_scored(worklist, identity)
        return ScoredFile(
            rows=checked.total,
            selected=len(worklist.plan.called),
            rejected=checked.rejected.num_rows,
            first=kept,
            present=present,
            contacts=_contacts_of(checked, kept[ROW_NUMBER], workspace) if contact_names else None,
            notices=(*worklist.plan.notices, *recorded),
        )


def _with_contacts(table: ir.Table, passthrough: Sequence[str], checked: Checked, workspace: Workspace) -> ir.Table:
    """The list as it was read, with the carried contact columns in the form that the caller reads."""
    chosen = [name for name in passthrough if name in contact_table.CARRIED]
    if not chosen or checked.extract is None:
        return table
    read = read_contacts(checked.extract, checked.mapping, workspace)
    carried = workspace.keep(contact_table.carried_table(contact_table.details_of(read), chosen))
    contacts = ", ".join(f'c."{name}"' for name in chosen)
    others = f"l.* EXCLUDE ({', '.join(own)})" if (own := [name for name in chosen if name in table.columns]) else "l.*"
    return workspace.view(
        f"SELECT {others}, {contacts} FROM {table.get_name()} l LEFT JOIN {carried.get_name()} c USING ({ROW_NUMBER})"
    )


def _contacts_of(checked: Checked, rows: pa.ChunkedArray, workspace: Workspace) -> pa.Table | None:
    """The contact columns of these rows."""
    if checked.extract is None:
        return None
    kept = checked.extract.filter(checked.extract[ROW_NUMBER].isin(rows.to_pylist()))
    return read_contacts(kept, checked.mapping, workspace)


def _input_digest(path: Path, *, scorer: Scorer, past: str | None, capacity: int | None) -> str:
    """A digest of all inputs of the worklist; it reveals nothing about a key for pseudonyms."""
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
        # Of the key only a hash, within the hash of all inputs.
        "key": hashlib.sha256(read_key(mapping.key_file)).hexdigest() if mapping.makes_pseudonyms else "",
        "part_rows": PART_ROWS,
        # Another release of a library can give other last digits: parts of two releases must not be mixed.
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
    """Predict the parts that are not on disk yet."""
    finished, total = 0, sum(sizes)
    progress(finished, total)
    if not total:
        staging.keep(0, PREDICTION_SCHEMA.empty_table())
    missing = {part for part, size in enumerate(sizes) if not staging.has(part, rows=size)}
    if not missing:
        return
    # All factors are computed again even if only one part is missing, since they depend on the whole list.
    predictor = Predictor(scorer.stored, needs=scorer.worklist.needs)
    past = scorer.past(points, clock=predictor.clock, workspace=workspace)
    parts = predictor.predict_in_parts(points, past, rows=PART_ROWS, workspace=workspace)
    for part, predict in enumerate(parts):
        if part in missing:
            staging.keep(part, predict())
        finished += sizes[part]
        progress(finished, total)


def _keep_first(tables: Iterator[pa.Table], first: list[pa.Table]) -> Iterator[pa.Table]:
    """Pass the tables on, and copy the rows that a page can show into `first`."""
    wanted = KEPT_ROWS
    for table in tables:
        if wanted > 0:
            first.append(table.slice(0, wanted))
            wanted -= table.num_rows
        yield table

"""The rows of a kept list that could not be scored, as they were sent: kept encrypted so that they can be corrected.

`lists/ID.unscored` holds their cells and the mapping by which the list was read. It is encrypted with AES-256-GCM under
the key of the home's contact details, bound to the list, and deleted with it. The file and its mark count the writes:
an older copy would ask again for a row that was corrected.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.config.mapping_config import Mapping as ColumnMapping
from dnapredict.data.contract.columns import CONTACT_NAMES, NAMES
from dnapredict.data.files.atomic_write import write_atomically
from dnapredict.data.files.digests import read_or_make, read_secret
from dnapredict.data.files.encryption import decrypt, encrypt
from dnapredict.data.files.loss_marks import (
    is_lost,
    mark_of,
    mark_writes,
    marked_writes,
    note_count,
    remove_with_mark,
)
from dnapredict.data.mapping.apply_mapping import contract_name
from dnapredict.data.readers.csv_dialect import ROW_FAULT, ROW_NUMBER
from dnapredict.errors import StoreError
from dnapredict.worklist.files.contact_details import KEY, key_in
from dnapredict.worklist.files.list_files import UNSCORED, unscored_file, written_files

# Nobody corrects more rows by hand; if so many are wrong, the file or its mapping is wrong.
MOST_ROWS: Final = 500
_SAYS: Final = "Rows to correct"
_LOG: Final = logging.getLogger("dnapredict.worklist")
_READ: Final = frozenset((*NAMES, *CONTACT_NAMES))


@dataclass(frozen=True)
class UnscoredRows:
    """Rows that could not be scored.

    Attributes
    ----------
    columns
        The columns of the file, in their order.
    rows
        The cells of each row by its number in the file.
    mapping
        How the file was read.
    """

    columns: tuple[str, ...]
    rows: Mapping[int, Mapping[str, str | None]] = field(repr=False)
    mapping: ColumnMapping

    @classmethod
    def of(cls, appointments: pa.Table, worklist: pa.Table, mapping: ColumnMapping) -> "UnscoredRows":
        """The rows of `appointments` that have an error in `worklist`, without the columns that nothing reads."""
        wrong = worklist.filter(worklist["error"].is_valid())[ROW_NUMBER].to_pylist()[:MOST_ROWS]
        chosen = appointments.filter(pc.is_in(appointments[ROW_NUMBER], pa.array(wrong, pa.int64())))
        names = tuple(name for name in appointments.column_names if name not in (ROW_NUMBER, ROW_FAULT))
        used = [name for name in names if name in mapping.drawn or contract_name(name) in _READ]
        cells = {row[ROW_NUMBER]: {name: _text(row[name]) for name in used} for row in chosen.to_pylist()}
        return cls(names, cells, mapping)

    def with_cells(self, row: int, cells: Mapping[str, str | None]) -> "UnscoredRows":
        """The same rows with other cells in one."""
        return replace(self, rows={**self.rows, row: {**self.rows[row], **cells}})

    def without(self, row: int) -> "UnscoredRows":
        """The same rows without the one that is scored now."""
        return replace(self, rows={number: cells for number, cells in self.rows.items() if number != row})

    def table(self, row: int) -> pa.Table:
        """One row as a table, as the file was read."""
        cells = {name: pa.array([cell], pa.string()) for name, cell in self.rows[row].items()}
        return pa.table({ROW_NUMBER: pa.array([row], pa.int64()), **cells})


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def keep(home: Path, list_id: str, unscored: UnscoredRows) -> None:
    """Keep the rows of a list; none deletes the file.

    Raises
    ------
    StoreError
        If the home cannot be written to.
    """
    path = unscored_file(home, list_id)
    writes = 1 + max(_writes(home, path), marked_writes(path))
    if not unscored.rows:
        if remove_with_mark(path):
            note_count(mark_of(path), writes)  # the list stays: the file and its mark may be put back
        return
    content = {
        "writes": writes,
        "columns": unscored.columns,
        "rows": unscored.rows,
        "mapping": unscored.mapping.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }
    sealed = encrypt(json.dumps(content).encode(), key_in(read_or_make(home / KEY)), bound_to=list_id.encode())
    with write_atomically(path) as draft:
        draft.write_bytes(sealed)
    mark_writes(path, writes, says=_SAYS)


def damaged(home: Path) -> Iterator[str]:
    """A sentence for each file of unscored rows that cannot be read."""
    for path in written_files(home, UNSCORED):
        if _read(home, path) is None:
            yield _unreadable(home, path)


def read(home: Path, list_id: str) -> UnscoredRows | None:
    """The rows of a list that could not be scored; None where there are none.

    None also where the file is damaged or lost, which is logged: the list can be used without it.
    """
    path = unscored_file(home, list_id)
    if not path.is_file() and not is_lost(path):
        return None
    rows = _read(home, path)
    if rows is None:
        _log_once(_unreadable(home, path))
    return rows


def _unreadable(home: Path, path: Path) -> str:
    if 0 <= _writes(home, path) < marked_writes(path):
        return (
            f"{path}: is an older copy: a row of this list was corrected later. Upload the list again to correct the "
            f"others. To go on with this copy on purpose, remove {mark_of(path).name}."
        )
    return f"{path}: the rows that could not be scored cannot be read. Upload the list again to correct them."


@lru_cache(maxsize=1_000)
def _log_once(message: str) -> None:
    _LOG.error("%s", message)


def _read(home: Path, path: Path) -> UnscoredRows | None:
    """The rows in a file; None where it cannot be read, or is an older copy."""
    marked = marked_writes(path)
    content = _content(home, path)
    if content is None or content.get("writes", 0) < marked:
        return None
    try:
        rows = {int(number): cells for number, cells in content["rows"].items()}
        return UnscoredRows(tuple(content["columns"]), rows, ColumnMapping.model_validate(content["mapping"]))
    except ValueError:
        return None


def _writes(home: Path, path: Path) -> int:
    """The count of writes in a file: 0 in one of an earlier release, -1 where it cannot be read."""
    content = _content(home, path)
    return -1 if content is None else int(content.get("writes", 0))


def _content(home: Path, path: Path) -> dict[str, Any] | None:
    try:
        key = key_in(read_secret(home / KEY))
        content: dict[str, Any] = json.loads(decrypt(path.read_bytes(), key, bound_to=path.stem.encode()))
        return content
    except (OSError, StoreError, ValueError):
        return None

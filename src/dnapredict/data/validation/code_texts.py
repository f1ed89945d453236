"""Replace descriptions in coded columns by their codes, and placeholders in the column of patients' numbers.

Each different text is looked up once, not each row.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from dnapredict.data.contract.columns import COLUMNS, column
from dnapredict.data.contract.descriptions import described_code
from dnapredict.data.engine.bound_query import compiled, placeholder
from dnapredict.data.engine.engine_pool import Engine
from dnapredict.data.mapping.apply_mapping import id_of_row
from dnapredict.data.mapping.pseudonyms import PLACEHOLDERS

# A column with more different texts holds no descriptions but names or notes, and costs no more time.
_MOST_TEXTS: Final = 10_000
CODED: Final = tuple(each.name for each in COLUMNS if each.codes)
_KNOWN: Final = ibis.schema({"column": "string", "text": "string", "code": "string"})


# Forms of the placeholders for a patient's number. A comparison with a list costs less than an expression that
# brings each number into one form.
_WRITTEN: Final = frozenset(
    form + end
    for word in PLACEHOLDERS
    for form in (word, word.lower(), word.capitalize(), word.title(), word.title().replace("Nhs", "NHS"))
    for end in ("", ".")
)


@dataclass(frozen=True)
class CodeText:
    """A text in a coded column that is no code, and its rows. `code` is what it describes; None: nothing known."""

    column: str
    text: str
    code: str | None
    rows: int


def replace_texts(
    typed: ir.Table, present: frozenset[str], workspace: Engine, *, cells: pa.Table | None, has_pseudonyms: bool
) -> tuple[ir.Table, tuple[CodeText, ...]]:
    """`typed` with a code for each known description, and all texts that were no codes.

    A text without a code stays as it is, which equals no code. Where patients' numbers are no pseudonyms that a
    mapping made (`has_pseudonyms`), a placeholder such as "TBC" becomes an id of the row alone. `cells` are those
    of `typed` where it has few rows.
    """
    coded = tuple(name for name in CODED if name in present)
    counted = _texts_of_many(typed, coded, workspace) if cells is None else _texts_of_few(cells, coded)
    texts = tuple(CodeText(name, text, described_code(text, column(name)), rows) for name, text, rows in counted)
    known = [each for each in texts if each.code]
    names = tuple(name for name in coded if any(each.column == name for each in known))
    may_unlink = "patient_id" in present and not has_pseudonyms
    unlinks = may_unlink and _has_placeholders(typed, workspace, cells)
    if not names and not unlinks:
        return typed, texts
    query = _replaced(typed.schema(), names, unlinks)
    return workspace.view(query.bind(typed=typed, known=workspace.keep(_table(known)))), texts


def _has_placeholders(typed: ir.Table, workspace: Engine, cells: pa.Table | None) -> bool:
    if cells is None:
        cells = workspace.fetch(_placeholders(typed.schema()).bind(typed=typed))
    return any(number in _WRITTEN for number in cells["patient_id"].to_pylist())


@compiled
def _placeholders(schema: ibis.Schema) -> ir.Table:
    typed = placeholder("typed", schema)
    return typed.filter(typed.patient_id.isin(sorted(_WRITTEN))).select("patient_id").limit(1)


def _table(known: Iterable[CodeText]) -> pa.Table:
    rows = [{"column": each.column, "text": each.text, "code": each.code} for each in known]
    return pa.Table.from_pylist(rows, schema=_KNOWN.to_pyarrow())


def _texts_of_few(cells: pa.Table, coded: tuple[str, ...]) -> Iterator[tuple[str, str, int]]:
    """Each text that is no code, with its column and rows."""
    for name in coded:
        known = column(name).codes
        counts = Counter(text for text in cells[name].to_pylist() if text is not None and text not in known)
        yield from ((name, text, rows) for text, rows in counts.items())


def _texts_of_many(typed: ir.Table, coded: tuple[str, ...], workspace: Engine) -> list[tuple[str, str, int]]:
    if not coded:
        return []
    rows = workspace.fetch(_texts(typed.schema(), coded).bind(typed=typed)).to_pylist()
    return [(row["column"], row["text"], row["rows"]) for row in rows]


@compiled
def _texts(schema: ibis.Schema, coded: tuple[str, ...]) -> ir.Table:
    typed = placeholder("typed", schema)
    return ibis.union(*(_texts_of(typed, name) for name in coded)) if len(coded) > 1 else _texts_of(typed, coded[0])


def _texts_of(typed: ir.Table, name: str) -> ir.Table:
    """Counted before they are compared with the codes: most columns have few different texts."""
    counted = typed.group_by(text=typed[name]).agg(rows=typed.count())
    others = counted.filter(counted.text.notnull() & counted.text.notin(list(column(name).codes)))
    ordered = others.order_by(others.rows.desc(), others.text).limit(_MOST_TEXTS)
    return ordered.select(column=ibis.literal(name), text=ordered.text, rows=ordered.rows)


@compiled
def _replaced(schema: ibis.Schema, names: tuple[str, ...], unlinks: bool) -> ir.Table:
    typed, known = placeholder("typed", schema), placeholder("known", _KNOWN)
    joined = typed
    for name in names:
        own = known.filter(known.column == name)
        own = own.select(**{f"text::{name}": own.text, f"code::{name}": own.code})
        joined = joined.left_join(own, joined[name] == own[f"text::{name}"])
    values = {name: ibis.coalesce(joined[f"code::{name}"], joined[name]) for name in names}
    if unlinks:
        is_placeholder = joined.patient_id.isin(sorted(_WRITTEN)).fill_null(False)
        values["patient_id"] = ibis.ifelse(is_placeholder, id_of_row(joined), joined.patient_id)
    return joined.mutate(**values).select(*typed.columns)

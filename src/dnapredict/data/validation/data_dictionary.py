"""The data dictionary, generated from the contract.

`python -m dnapredict.data.validation.data_dictionary > training/DATA.md` updates it.
"""

import sys
from collections.abc import Iterator

from dnapredict.data.contract import codes
from dnapredict.data.contract.columns import COLUMNS, CONTACT_COLUMNS, Column
from dnapredict.data.validation.rules import RULES, sentence_of

_HEAD = """# The data contract

One table, one row for each booked appointment. A row without `outcome_code` is one to score; with it,
it is history and label. CSV, CSV.GZ, XLSX or Parquet; other names and codes enter through a mapping
(`training/mappings/`). Written from `src/dnapredict/data/contract/columns.py`: change it there.

Times without an offset are the clinic's own clock (Europe/London, unless a mapping names another zone)
and are kept as UTC. Midnight in `starts_at` and `recorded_at` means that only the day is known. A time
that the clock skips in spring is taken an hour later; one that it shows twice in autumn, as the later one.

`N/A`, `NA`, `NULL`, `none`, `-`, `?`, `unknown`, `not known`, `not recorded` and their like, in any case,
mean "not recorded" in every column, as an empty cell does: no number, no mobile, no history, and no row is
lost. An appointment whose outcome is such a word has no outcome: it is no label and no history. The exceptions:
`Not known` and `Unknown` in `ethnic_category_code` are 99, `Not stated` is Z; `None` is no in `transport_booked`, and
no disability in `disability_flag`. Where a word says something else, a mapping translates it first.

A coded column may hold the NHS's own descriptions in place of codes ("White - British", "110 - Trauma and
Orthopaedics", "Did not attend"). They are matched as a whole, whatever their case and punctuation, and `dnapredict
check` lists each beside its code. A text that is neither a code nor a description counts as not known.

A yes or no, a number or a decile that cannot be read counts as not known; `check` names its rows, which are kept.

| column | type | role | unit | what it is | NHS Data Dictionary |
|---|---|---|---|---|---|
"""


def dictionary() -> str:
    """The whole of `training/DATA.md`."""
    return "".join([_HEAD, *_columns(), "\n", *_rules(), *_contacts(), *_code_lists()])


def _columns() -> Iterator[str]:
    yield from map(_line, COLUMNS)


def _contacts() -> Iterator[str]:
    yield "\n## Who is called, and how\n\n"
    yield "A list to call can have these columns, by these names or through a mapping. Only the person who calls\n"
    yield "sees them. They are stored encrypted and apart from the list, and are deleted once its last appointment\n"
    yield "is over (`contact_days` in `serving/service.toml`). No factor, model, audit, report or log reads them, and\n"
    yield "`POST /v1/score` refuses them. If a spreadsheet dropped the leading zero of a telephone number, it is\n"
    yield "restored (7700900123 is 07700900123). `7.7009E+09` has lost its last digits and is shown unchanged.\n\n"
    yield "| column | type | role | unit | what it is | NHS Data Dictionary |\n|---|---|---|---|---|---|\n"
    yield from map(_line, CONTACT_COLUMNS)


def _line(column: Column) -> str:
    name = f"**{column.name}**" if column.required else column.name
    cells = (name, column.kind, column.role, column.unit, _note(column), column.source)
    return f"| {' | '.join(cells)} |\n"


def _note(column: Column) -> str:
    bounds = ""
    if column.lowest is not None and column.highest is not None:
        bounds = f" From {column.lowest:g} to {column.highest:g}."
    words = f" Also yes: {', '.join(column.yes)}; no: {', '.join(column.no)}." if column.yes or column.no else ""
    return column.note + bounds + words


def _rules() -> Iterator[str]:
    yield "Bold columns must be there. A column that is absent drops the factors that need it, and the\n"
    yield "model says so. Columns that are audit only never feed a factor.\n\n## Rows that are refused\n\n"
    yield "A row is refused by the first rule that it breaks; the rest of the extract goes on.\n\n"
    for rule in RULES:
        yield f"- `{rule}`: the row {sentence_of(rule)}.\n"


def _code_lists() -> Iterator[str]:
    yield "\n## National codes\n"
    for column in COLUMNS:
        if column.codes:
            yield f"\n**{column.name}** ({column.source})\n\n"
            for code, meaning in column.codes.items():
                yield f"- `{code}` {meaning}\n"
    yield f"\n`first_attendance_code` {codes.ADMINISTRATIVE_EVENT} is set aside: no fault of the extract.\n"
    for column in COLUMNS:
        for code, meaning in column.blanks.items():
            yield f"`{column.name}` {code} ({meaning}) is read as blank.\n"
    yield "\nA code that is not listed refuses its row in `outcome_code` alone. Elsewhere it counts as not\n"
    yield "known, and `dnapredict check --report` tells which codes those are.\n"


if __name__ == "__main__":
    sys.stdout.write(dictionary())

"""The rows of a list of a trial as people see them: risk, band and reasons of calls only.

Who is held out has a high risk and no call. Where no row without a call shows its risk, or what tells it, a patient who
is held out looks as any other without a call. Clinic, site and the names of needs tell some of it: there are clinics in
which every second appointment is missed. The action stays, since it says what a need asks for.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from dnapredict.worklist.files.worklist_columns import FACTORS, FIFTH, NEEDS_COLUMN, REASONS

WITHHELD: Final = ("probability", "band", *REASONS, *FACTORS, NEEDS_COLUMN, FIFTH, "clinic_code", "site_code")
"""The columns that rows without a call do not have during a trial."""


def without_uncalled_risks(worklist: pa.Table) -> pa.Table:
    """The worklist without the columns `WITHHELD` of rows that are not called.

    >>> rows = pa.table({"selected": [True, False], "probability": [0.4, 0.3], "action": ["Call", "Usual reminder"]})
    >>> without_uncalled_risks(rows)["probability"].to_pylist()
    [0.4, None]
    """
    is_called = pc.fill_null(worklist["selected"], False)
    for index, name in enumerate(worklist.column_names):
        if name in WITHHELD:
            column = worklist[name]
            shown = pc.if_else(is_called, column, pa.scalar(None, column.type))
            worklist = worklist.set_column(index, worklist.schema.field(name), shown)
    return worklist

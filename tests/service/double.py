"""A scorer for tests that stands where the real one will: same shape, an obvious rule.

The risk is the age in hundredths. It knows no history and no model, so a service test fails
for reasons of the service alone.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.rules import sentence_of
from dnapredict.features.factors import factor_register
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service.api.champion import Champion, ExpectedModel
from dnapredict.worklist.files.excel_worklist import Note, note_of
from dnapredict.worklist.files.kept_list import ListIdentity

BANDS = ((0.66, "High"), (0.33, "Medium"), (0.0, "Lower"))


REGISTER = factor_register()
CONFIG: WorklistConfig = worklist_config()


# Of a model only what pages tell: two factors, and days of training.
MANIFEST = SimpleNamespace(
    factors=("lead_days", "distance_km"),
    provenance=SimpleNamespace(
        register_of_factors=REGISTER,
        synthetic=True,
        data_from=datetime.date(2024, 1, 1),
        data_to=datetime.date(2025, 12, 31),
    ),
)


@dataclass(frozen=True)
class Fingerprint:
    digest: str = "f" * 64
    manifest: Any = field(default_factory=lambda: MANIFEST)


@dataclass(frozen=True)
class AgeScorer:
    model_version: str = "7"
    stored: Fingerprint = Fingerprint()
    synthetic: bool = True
    mapping: Mapping = IDENTITY

    def with_mapping(self, mapping: Mapping) -> "AgeScorer":
        return replace(self, mapping=mapping)

    def score(
        self,
        appointments: pa.Table,
        *,
        capacity: int | None,
        reasons: bool,
        record_calls: bool = False,  # noqa: ARG002
        identity: ListIdentity | None = None,  # noqa: ARG002
    ) -> pa.Table:
        lines = [
            _line(row, reasons=reasons, version=self.model_version) | {"row_number": row.get("row_number", number)}
            for number, row in enumerate(self._rows(appointments), start=1)
        ]
        lines.sort(key=lambda line: (line["error"] is not None, -(line["probability"] or 0)))
        places = capacity or max(1, len(lines) // 10)
        for rank, line in enumerate((line for line in lines if line["error"] is None), start=1):
            line |= {"rank": rank, "selected": rank <= places}
        return pa.Table.from_pylist(lines, schema=SCHEMA)

    def _rows(self, appointments: pa.Table) -> list[dict[str, Any]]:
        """The rows as sent; through a mapping, those of the contract, and the rejected ones with their error."""
        if self.mapping == IDENTITY:
            return appointments.to_pylist()
        with Workspace() as workspace:
            checked = contract_check.check(
                workspace.keep(appointments), workspace, mapping=self.mapping, source="list", future=True
            )
            rows = workspace.fetch(f"FROM {checked.rows.get_name()} ORDER BY {ROW_NUMBER}").to_pylist()
            rejected = checked.rejected.to_pylist()
        return rows + [row | {"error": f"This row {sentence_of(row['rule'])}."} for row in rejected]

    def note(self, name: str, *, day: datetime.date, unknown: Sequence[str] = ()) -> Note:
        return note_of(
            name,
            day=day,
            model_version=self.model_version,
            provenance=self.stored.manifest.provenance,
            config=CONFIG,
            unknown=unknown,
        )

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        return () if "lsoa_code" in present else ("distance_km",)


def steady_champion() -> Champion:
    """Version 7, always."""
    return Champion(
        expected=lambda: ExpectedModel("7"),
        open_scorer=lambda version: AgeScorer(model_version=version),
        run_smoke_test=lambda _: None,
    )


SCHEMA = pa.schema(
    [
        ("appointment_id", pa.string()),
        ("probability", pa.float64()),
        ("band", pa.string()),
        ("rank", pa.int64()),
        ("selected", pa.bool_()),
        ("action", pa.string()),
        *((f"reason_{place}", pa.string()) for place in (1, 2, 3)),
        *((f"reason_factor_{place}", pa.string()) for place in (1, 2, 3)),
        ("model_version", pa.string()),
        ("error", pa.string()),
        ("row_number", pa.int64()),
        ("starts_at", pa.timestamp("us")),
        ("clinic_code", pa.string()),
        ("site_code", pa.string()),
    ]
)


def _line(row: dict, *, reasons: bool, version: str) -> dict:
    line = dict.fromkeys(SCHEMA.names) | {"appointment_id": row["appointment_id"], "model_version": version}
    if row.get("error"):
        return line | {"error": row["error"]}
    if row["appointment_id"] is None:
        return line | {"error": "has no appointment_id"}
    try:
        probability = float(row["age_years"]) / 100
        if not 0 <= probability <= 1:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        return line | {"error": "holds an age_years that is not a number from 0 to 120"}
    line |= {
        "clinic_code": row.get("clinic_code"),
        "site_code": row.get("site_code"),
        "starts_at": _moment(row.get("starts_at")),
        "probability": probability,
        "band": next(name for start, name in BANDS if probability >= start),
        "action": "Call to confirm",
    }
    if reasons:
        line |= {
            "reason_1": f"Booked {int(probability * 20)} weeks ago",
            "reason_factor_1": "lead_days",
            "reason_2": "Missed 2 of the last 5 appointments",
            "reason_factor_2": "past_dna_rate",
        }
    return line


def _moment(text: str | datetime.datetime | None) -> datetime.datetime | None:
    """A time of an upload, which is in English winter here."""
    if isinstance(text, datetime.datetime):
        return text
    try:
        return datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return None

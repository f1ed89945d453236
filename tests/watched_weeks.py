"""Made-up weeks of a model in use, with a change planted from one week on."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dnapredict.fairness.measure.audited_appointments import AuditData

__all__ = ["CHANGE", "FIRST_MONDAY", "WatchedWeeks"]

FIRST_MONDAY = np.datetime64("2025-01-06")
CHANGE = 14


@dataclass(frozen=True)
class WatchedWeeks:
    """Appointments whose chance of being missed is `factor` times their risk, for `who`, from week `CHANGE` on.

    `who` is "", "everyone", "core20", "site", "snow" (one week only), "high risks" or "listed core20".
    """

    who: str = ""
    factor: float = 1.0
    weeks: int = 24
    rows_a_week: int = 6_000
    seed: int = 1

    def table(self) -> pa.Table:
        """The appointments in order of time, as the audit takes them."""
        rng = np.random.default_rng(self.seed)
        week = np.repeat(np.arange(self.weeks), self.rows_a_week)
        rows = len(week)
        decile = rng.integers(1, 11, rows)
        site = rng.choice(["S1", "S2", "S3"], rows, p=[0.5, 0.3, 0.2])
        risk = 1 / (1 + np.exp(2.4 - rng.normal(0, 0.9, rows)))
        selected = risk > 0.22
        moved = {
            "": np.zeros(rows, dtype=bool),
            "everyone": np.ones(rows, dtype=bool),
            "core20": decile <= 2,
            "site": site == "S2",
            "snow": week == CHANGE,
            "high risks": risk > 0.15,
            "listed core20": (decile <= 2) & selected,
        }[self.who] & (week >= CHANGE)
        shock = np.exp(0.02 * rng.standard_normal(self.weeks))[week]
        return pa.table(
            {
                "patient": rng.integers(0, rows // 3, rows),
                "dna": rng.random(rows) < risk * shock * np.where(moved, self.factor, 1.0),
                "probability": risk,
                "selected": selected,
                "starts_at": FIRST_MONDAY.astype("datetime64[us]") + week * np.timedelta64(7, "D"),
                "imd_decile": decile,
                "site_code": site,
            }
        )

    def appointments(self) -> AuditData:
        """The appointments, checked."""
        return AuditData.of(self.table())

"""What happens to risks once a team calls by them, and what leaving out the called puts right.

A synthetic year in which, week by week, most of the tenth with the highest risk by an earlier model are
called, and calls prevent 39 in 100 of the missed appointments they are made for (relative risk 0.61).
Trained on it: as if nobody said who was called; with `contacted`; and, for comparison, on the same
appointments without any calls. Judged on all appointments of the test by the true risk without a call,
which only a simulation knows. `python benchmarks/contacted.py [ROWS]`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bayes import cohort_from, true_risk
from dnapredict.config.setting import Setting
from dnapredict.data.simulate import simulate
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.labelled import appointment_keys
from dnapredict.risk.model import RiskModel
from dnapredict.risk.training import train

ROWS, SHARE, REACHED, RELATIVE_RISK = 200_000, 0.10, 0.8, 0.61


def with_calls(appointments: pa.Table, risk: np.ndarray) -> pa.Table:
    """The same appointments, had most of the riskiest tenth of each week been called."""
    draw = np.random.default_rng(1)
    week = appointments["starts_at"].to_numpy().astype("datetime64[W]")
    place = np.empty(len(risk))
    for each in np.unique(week):
        rows = np.flatnonzero(week == each)
        place[rows[np.argsort(-risk[rows])]] = np.arange(len(rows)) / len(rows)
    contacted = (place < SHARE) & (draw.random(len(risk)) < REACHED)
    code = np.array(appointments["outcome_code"].to_pylist(), dtype=object)
    saved = contacted & np.isin(code, ["3", "7"]) & (draw.random(len(risk)) > RELATIVE_RISK)
    code[saved] = "5"
    at = appointments.schema.get_field_index("outcome_code")
    changed = appointments.set_column(at, "outcome_code", pa.array(code.tolist(), pa.string()))
    return changed.append_column("contacted", pa.array(contacted))


def earlier_risk(base: Cohort, model: RiskModel, appointments: pa.Table) -> np.ndarray:
    """What a model trained before any calls says of each appointment; 0 where it has no outcome."""
    told = dict(zip(base.appointment.tolist(), model.probability(base.matrix).tolist(), strict=True))
    return np.array([told.get(key, 0.0) for key in appointment_keys(appointments["appointment_id"]).tolist()])


def main() -> None:
    """Print the table: mean risk for each true risk without a call, of everybody and of the riskiest."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    config = Setting().training
    with tempfile.TemporaryDirectory() as place:
        never, truth = Path(place) / "never.parquet", Path(place) / "truth.parquet"
        simulate(never, appointments=rows, seed=1, truth=truth)
        base, directions = cohort_from(never)
        first = train(base, config=config, directions=directions)
        appointments = pq.read_table(never)
        called = with_calls(appointments, earlier_risk(base, first.model, appointments))
        pq.write_table(called, Path(place) / "told.parquet")
        pq.write_table(called.drop_columns("contacted"), Path(place) / "silent.parquet")
        judged, best = base.take(first.test_rows), true_risk(first.tested, truth)
        made = {"without any calls": first}
        for name, title in (("silent", "calls, nobody says whom"), ("told", "calls, with `contacted`")):
            cohort, _ = cohort_from(Path(place) / f"{name}.parquet")
            made[title] = train(cohort, config=config, directions=directions)
    earlier = first.model.probability(judged.matrix)
    top = np.argsort(-earlier)[: len(best) // 10]
    print("| training | risk / true risk | of the tenth that was called | true risk of its own top tenth |")
    print("|---|---|---|---|")
    for title, training in made.items():
        risk = training.model.probability(judged.matrix, sites=judged.sites)
        own = np.argsort(-risk)[: len(best) // 10]
        ratios = f"{risk.mean() / best.mean():.3f} | {risk[top].mean() / best[top].mean():.3f}"
        print(f"| {title} | {ratios} | {best[own].mean():.4f} |")
        if training.contacts:
            print(training.contacts)


if __name__ == "__main__":
    main()

"""How near training comes to the best that anybody could do, where the truth is known.

A synthetic board of 1,000,000 appointments with its true risks: of what the true risk lowers log loss
below everyone at the base rate, how much does the model reach, and how much of the reach of a list by
true risk has its list? The truth knows each patient's lasting tendency to miss, which no column tells.
`python benchmarks/bayes.py [ROWS]`.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dnapredict.config.setting import Setting
from dnapredict.data.simulate import simulate
from dnapredict.data.workspace import Workspace
from dnapredict.features.clock import Outcomes
from dnapredict.prepared import factor_register, matrix_of, sound_extract
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.labelled import BESIDE, appointment_keys, cohort_of
from dnapredict.risk.metrics import log_loss, reach_at_capacity
from dnapredict.risk.training import Training, train

ROWS = 1_000_000
WANTED_GAIN, WANTED_REACH = 0.90, 0.97


def cohort_from(extract: Path) -> tuple[Cohort, list[int]]:
    """The labelled appointments of a synthetic extract, and each factor's agreed direction."""
    setting, register = Setting(), factor_register()
    with Workspace() as workspace:
        checked = sound_extract(extract, setting, workspace)
        matrix = matrix_of(checked, setting.training, register, beside=BESIDE, workspace=workspace)
    outcomes = Outcomes(setting.training.dna_codes)
    cohort = cohort_of(matrix, outcomes=outcomes, zone="Europe/London")
    return cohort, [register.factor(name).direction for name in matrix.factors]


def true_risk(tested: Cohort, truth: Path) -> np.ndarray:
    """The true chance that a DNA is recorded, for each tested appointment."""
    table = pq.read_table(truth, columns=["appointment_id", "recorded_probability"])
    keys = appointment_keys(table["appointment_id"])
    order = np.argsort(keys)
    place = order[np.searchsorted(keys, tested.appointment, sorter=order)]
    assert (keys[place] == tested.appointment).all()
    return table["recorded_probability"].to_numpy()[place]


def told(training: Training, best: np.ndarray) -> dict[str, dict[str, float]]:
    """For each population, how much of the best gain and of the best reach the model has."""
    found = {}
    for name, rows in training.tested.populations().items():
        dna, risk, true = training.test_dna[rows], training.test_probability[rows], best[rows]
        base = log_loss(dna, np.full(len(dna), dna.mean()))
        tenth = round(len(dna) / 10)
        reach = {
            kind: reach_at_capacity(dna, p, capacity=tenth) for kind, p in (("model", risk), ("true", true))
        }
        found[name] = {
            "n": len(dna),
            "base": base,
            "model": log_loss(dna, risk),
            "true": log_loss(dna, true),
            "gain": (base - log_loss(dna, risk)) / (base - log_loss(dna, true)),
            "reach_model": reach["model"],
            "reach_true": reach["true"],
            "reach_share": reach["model"] / reach["true"],
        }
    return found


def main() -> None:
    """Print the table, judge it, and write benchmarks/out/bayes.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place:
        extract, truth = Path(place) / "e.parquet", Path(place) / "t.parquet"
        simulate(extract, appointments=rows, seed=1, truth=truth)
        cohort, directions = cohort_from(extract)
        began = time.perf_counter()
        training = train(cohort, config=Setting().training, directions=directions)
        seconds = time.perf_counter() - began
        figures = told(training, true_risk(training.tested, truth))
    print(
        f"{rows:,} appointments, {len(cohort.factors)} factors, trained in {seconds:.0f} s: {training.skill}"
    )
    print("| population | n | base rate | model | true risk | share of the gain | reach | by true risk |")
    print("|---|---|---|---|---|---|---|---|")
    for name, f in figures.items():
        losses = " | ".join(f"{f[key]:.4f}" for key in ("base", "model", "true"))
        print(
            f"| {name} | {f['n']:,} | {losses} | {f['gain']:.3f} | {f['reach_model']:.3f} "
            f"| {f['reach_true']:.3f} |"
        )
    everyone = figures["all"]
    print(f"wanted: {WANTED_GAIN} of the gain, {WANTED_REACH} of the reach")
    print(f"reached: {everyone['gain']:.3f} of the gain, {everyone['reach_share']:.3f} of the reach")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "bayes.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How near training comes to the best that anybody could do, where the truth is known.

A synthetic board of 1,000,000 appointments. The best that anybody could do is Bayes' rule with the world's
own numbers: the risk given all but what no factor can or may tell (`knowable_probability`). Of what that
lowers log loss below everyone at the base rate, how much does the model reach, and how much of the reach of a
list by that risk has its list? Beside it stand the true risk, which knows each patient's tendency, and the
best that the model's own factors allow: trees that were shown the true risks of the training window.
`python -m benchmarks.bayes [ROWS]`.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pyarrow.parquet as pq

from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.features.factors import factor_register
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.cohort import COHORT_COLUMNS, Cohort, appointment_keys, cohort_of
from dnapredict.model.evaluate.risk_metrics import log_loss, reach_at_capacity
from dnapredict.model.fit.training import Training, train
from dnapredict.model.time_split import Windows, split_by_time
from dnapredict.pipeline.run_inputs import matrix_of, sound_extract
from dnapredict.synthetic.simulation import simulate

ROWS = 1_000_000
WANTED_GAIN, WANTED_REACH = 0.90, 0.97
KINDS = {"best": "knowable_probability", "true": "recorded_probability"}


def cohort_from(extract: Path) -> tuple[Cohort, list[int]]:
    """The labelled appointments of a synthetic extract, and each factor's agreed direction."""
    setting, register = Setting(), factor_register()
    with Workspace() as workspace:
        checked = sound_extract(extract, setting, workspace)
        matrix = matrix_of(checked, setting.training, register, extra_columns=COHORT_COLUMNS, workspace=workspace)
    outcomes = LabelRule(setting.training.dna_codes)
    cohort = cohort_of(matrix, outcomes=outcomes, zone="Europe/London")
    return cohort, [register.factor(name).direction for name in matrix.factors]


def true_risks(cohort: Cohort, truth: Path) -> dict[str, np.ndarray]:
    """The chance that a DNA is recorded of each appointment: by Bayes' rule, and the true one."""
    table = pq.read_table(truth, columns=["appointment_id", *KINDS.values()])
    keys = appointment_keys(table["appointment_id"])
    order = np.argsort(keys)
    place = order[np.searchsorted(keys, cohort.appointment, sorter=order)]
    assert (keys[place] == cohort.appointment).all()
    return {kind: table[column].to_numpy()[place] for kind, column in KINDS.items()}


def best_of_factors(cohort: Cohort, true: np.ndarray, *, windows: Windows) -> np.ndarray:
    """What the factors tell of the true risk, learned without the noise of outcomes, for the test."""
    fit = cohort.take(windows.train)
    settings = {"objective": "cross_entropy", "num_leaves": 63, "learning_rate": 0.08, "verbosity": -1}
    data = lgb.Dataset(fit.matrix, true[windows.train])
    return np.asarray(lgb.train(settings, data, 300).predict(cohort.take(windows.test).matrix))


def told(training: Training, true: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """For each population, how much of the best gain and of the best reach the model has."""
    risks = {"model": training.test_probability} | true
    found = {}
    for name, rows in training.tested.populations().items():
        dna = training.test_dna[rows]
        base = log_loss(dna, np.full(len(dna), dna.mean()))
        loss = {kind: log_loss(dna, risk[rows]) for kind, risk in risks.items()}
        tenth = round(len(dna) / 10)
        reach = {kind: reach_at_capacity(dna, risk[rows], capacity=tenth) for kind, risk in risks.items()}
        found[name] = {"n": len(dna), "base": base} | {f"loss_{kind}": one for kind, one in loss.items()}
        found[name] |= {f"reach_{kind}": one for kind, one in reach.items()}
        for kind in true:
            found[name][f"gain_of_{kind}"] = (base - loss["model"]) / (base - loss[kind])
            found[name][f"reach_of_{kind}"] = reach["model"] / reach[kind]
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
        true = true_risks(cohort, truth)
        windows = split_by_time(cohort, config=Setting().training)
        tested = {kind: risk[windows.test] for kind, risk in true.items()}
        tested["factors"] = best_of_factors(cohort, true["true"], windows=windows)
        figures = told(training, tested)
    print(f"{rows:,} appointments, {len(cohort.factors)} factors, trained in {seconds:.0f} s: {training.selection}")
    print("| population | n | base rate: log loss | model | best of the factors | best | true risk |")
    print("|---" * 7 + "|")
    for name, f in figures.items():
        losses = (f[f"loss_{kind}"] for kind in ("model", "factors", *KINDS))
        print(f"| {name} | {f['n']:,} | " + " | ".join(f"{one:.4f}" for one in (f["base"], *losses)) + " |")
    print("| population | gain: of the best of the factors | of the best | of the true | reach: the same |||")
    print("|---" * 7 + "|")
    for name, f in figures.items():
        shares = (f[f"{of}_of_{kind}"] for of in ("gain", "reach") for kind in ("factors", *KINDS))
        print(f"| {name} | " + " | ".join(f"{one:.3f}" for one in shares) + " |")
    everyone = figures["all"]
    print(f"wanted: {WANTED_GAIN} of the gain, {WANTED_REACH} of the reach")
    for kind, words in (("factors", "the best of the factors"), ("best", "the best")):
        gain, reach = everyone[f"gain_of_{kind}"], everyone[f"reach_of_{kind}"]
        print(f"reached, of {words}: {gain:.3f} of the gain, {reach:.3f} of the reach")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "bayes.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

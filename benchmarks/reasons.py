"""Exact SHAP values for 100,000 rows: ours beside shap's TreeExplainer, and what depth costs.

The claim: at least 15 times as fast, with the same values. TreeExplainer is timed on fewer rows, since it
needs minutes; both rates are of the same model in one run. Then, for trees of more leaves, the rate and
the log loss on later appointments. `python -m benchmarks.reasons [ROWS]`.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import shap
from benchmarks.bayes import cohort_from

from dnapredict.config.training_config import Setting
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.logistic import log_odds
from dnapredict.model.evaluate.risk_metrics import log_loss
from dnapredict.model.fit.fitting import BoostingSettings, fit_boosting
from dnapredict.model.time_split import split_by_time
from dnapredict.model.tree_ensemble import Trees, imputation_values, impute, shap_tables
from dnapredict.synthetic.simulation import simulate

ROWS, SHAP_ROWS, SHAP_TWICE = 100_000, 2_000, 2
WANTED = 15
LEAVES = (4, 7, 8, 15, 31)


def grown(cohort: Cohort, directions: list[int], *, leaves: int) -> tuple[Trees, float]:
    """Trees of so many leaves, and their log loss on the test."""
    config = Setting().training
    settings = config.model.model_copy(update={"num_leaves": leaves})
    windows = split_by_time(cohort, config=config)
    fill = imputation_values(cohort.matrix[windows.train], enough=settings.min_child_samples)
    fit, later = cohort.take(windows.fit), cohort.take(windows.calibrate)
    recipe = BoostingSettings(settings, directions, config.seed)
    trees = Trees(fit_boosting(fit, later, recipe=recipe, fill=fill).booster, fill)
    tested = cohort.take(windows.test)
    risk = 1 / (1 + np.exp(-trees.margin(tested.matrix)))
    assert np.isfinite(log_odds(risk)).all()
    return trees, log_loss(tested.dna, risk)


def seconds(call, *arguments) -> tuple[float, np.ndarray]:
    """How long a call takes, and what it gives."""
    began = time.perf_counter()
    found = call(*arguments)
    return time.perf_counter() - began, found


def main() -> None:
    """Print the rates, judge them, and write benchmarks/out/reasons.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place:
        extract = Path(place) / "e.parquet"
        simulate(extract, appointments=rows + 20_000, seed=1)
        cohort, directions = cohort_from(extract)
    matrix = cohort.matrix[:rows]
    found = {}
    print("| leaves | trees | log loss | rows a second | TreeExplainer | times | most difference |")
    print("|---|---|---|---|---|---|---|")
    for leaves in LEAVES:
        trees, loss = grown(cohort, directions, leaves=leaves)
        looked_up = matrix if shap_tables(trees.booster) else matrix[:SHAP_ROWS]
        ours, values = seconds(trees.contributions, looked_up)
        explainer = shap.TreeExplainer(trees.booster)
        few = impute(matrix[:SHAP_ROWS], trees.fill)
        theirs, shapped = min((seconds(explainer.shap_values, few) for _ in range(SHAP_TWICE)), key=lambda x: x[0])
        mine, other = len(looked_up) / ours, len(few) / theirs
        apart = float(np.abs(values[:SHAP_ROWS] - np.asarray(shapped)).max())
        count = trees.booster.num_trees()
        found[leaves] = {"rate": mine, "shap": other, "log_loss": loss, "difference": apart, "trees": count}
        print(f"| {leaves} | {count} | {loss:.5f} | {mine:,.0f} | {other:,.0f} | {mine / other:.0f} | {apart:.1e} |")
        assert apart < 1e-5, "the values are not the same"
    usual = found[Setting().training.model.num_leaves]
    print(f"wanted: {WANTED} times; reached with the leaves as configured: {usual['rate'] / usual['shap']:.0f}")
    assert usual["rate"] >= WANTED * usual["shap"]
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "reasons.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What happens to risks once a team calls by them, and what leaving out the called puts right.

Synthetic appointments of which, week by week, most of the tenth with the highest risk by an earlier model
are called; calls prevent 39 in 100 of the missed appointments they are made for (relative risk 0.61).
Trained on them: as if nobody said who was called; with `contacted`; and, for comparison, without any
calls. What patients did before is the same in all three, so that only the outcome that is learned from
differs. Judged on all appointments of the test by the true risk without a call, which only a simulation
knows. `python -m benchmarks.contacted [ROWS]`.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from benchmarks.bayes import cohort_from, true_risks

from dnapredict.config.training_config import Setting
from dnapredict.model.cohort import Cohort
from dnapredict.model.evaluate.capacity_metrics import week_starts
from dnapredict.model.fit.training import train
from dnapredict.synthetic.simulation import simulate

ROWS, SHARE, REACHED, RELATIVE_RISK = 200_000, 0.10, 0.8, 0.61


def with_calls(cohort: Cohort, risk: np.ndarray) -> Cohort:
    """The same appointments, had most of the riskiest tenth of each week been called."""
    draw = np.random.default_rng(1)
    week, place = week_starts(cohort), np.empty(len(cohort))
    for each in np.unique(week):
        rows = np.flatnonzero(week == each)
        place[rows[np.argsort(-risk[rows])]] = np.arange(len(rows)) / len(rows)
    contacted = (place < SHARE) & (draw.random(len(cohort)) < REACHED)
    saved = contacted & (draw.random(len(cohort)) > RELATIVE_RISK)
    return replace(cohort, dna=cohort.dna & ~saved, contacted=contacted)


def main() -> None:
    """Print the table: mean risk for each true risk without a call, of everybody and of the riskiest."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    config = Setting().training
    with tempfile.TemporaryDirectory() as place:
        extract, truth = Path(place) / "e.parquet", Path(place) / "truth.parquet"
        simulate(extract, appointments=rows, seed=1, truth=truth)
        cohort, directions = cohort_from(extract)
        first = train(cohort, config=config, directions=directions)
        best = true_risks(first.tested, truth)["true"]
    called = with_calls(cohort, first.model.probability(cohort.matrix))
    judged = cohort.take(first.test_rows)
    made = {
        "without any calls": first,
        "calls, nobody says whom": train(replace(called, contacted=None), config=config, directions=directions),
        "calls, with `contacted`": train(called, config=config, directions=directions),
    }
    top = called.contacted[first.test_rows]
    print("| training | risk / true risk | of those who were called | true risk of its own top tenth |")
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

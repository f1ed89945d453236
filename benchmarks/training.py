"""What training costs beside bare LightGBM: 1,000,000 appointments, all agreed factors.

The claim: check, factors and training together take at most 1.3 times as long as the factors and a bare
`lightgbm.train` on the same matrix with the same parameters, rounds chosen on the same later slice.
Training then also fits the rivals, calibrates, and draws patients again for every interval.
`python -m benchmarks.training [ROWS]`.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import lightgbm as lgb
from benchmarks.bayes import cohort_from

from dnapredict.config.training_config import Setting
from dnapredict.model.cohort import Cohort
from dnapredict.model.fit.fitting import BoostingSettings
from dnapredict.model.fit.training import train
from dnapredict.model.time_split import split_by_time
from dnapredict.synthetic.simulation import simulate

ROWS, WANTED = 1_000_000, 1.3


def bare(cohort: Cohort, directions: list[int]) -> tuple[float, int]:
    """Seconds of `lightgbm.train` alone, with the parameters, threads and later slice of a training."""
    config = Setting().training
    windows = split_by_time(cohort, config=config)
    parameters = BoostingSettings(config.model, directions, config.seed).parameters(rows=int(windows.fit.sum()))
    fit, later = cohort.take(windows.fit), cohort.take(windows.calibrate)
    began = time.perf_counter()
    data = lgb.Dataset(fit.matrix, fit.dna)
    stop = lgb.early_stopping(config.model.patience, verbose=False)
    latest = [lgb.Dataset(later.matrix, later.dna, reference=data)]
    grown = lgb.train(parameters, data, config.model.max_rounds, valid_sets=latest, callbacks=[stop])
    return time.perf_counter() - began, grown.best_iteration + config.model.patience


def whole(cohort: Cohort, directions: list[int]) -> tuple[float, int]:
    """Seconds of a whole training, and its rounds."""
    began = time.perf_counter()
    done = train(cohort, config=Setting().training, directions=directions)
    return time.perf_counter() - began, len(done.iterations)


def main() -> None:
    """Print the times, judge them, and write benchmarks/out/training.json."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as place:
        extract = Path(place) / "e.parquet"
        simulate(extract, appointments=rows, seed=1)
        began = time.perf_counter()
        cohort, directions = cohort_from(extract)
        features = time.perf_counter() - began
    # In turn and twice each, since other work on the machine comes and goes: the quicker ones count.
    tried = [(bare(cohort, directions), whole(cohort, directions)) for _ in range(2)]
    (alone, bare_rounds), (trained, rounds) = (min(times) for times in zip(*tried, strict=True))
    ratio = (features + trained) / (features + alone)
    print(f"{rows:,} appointments, {len(cohort.factors)} factors, {len(cohort):,} with an outcome")
    print(f"check and factors {features:.1f} s, bare lightgbm.train {alone:.1f} s, training {trained:.1f} s")
    print(f"rounds: {bare_rounds} bare, {rounds} in training")
    print(f"training alone: {trained / alone:.2f} times bare; with the factors: {ratio:.2f} (wanted: {WANTED})")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    content = {"rows": rows, "features": features, "bare": alone, "training": trained, "ratio": ratio}
    (out / "training.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""What more could be known of a Vitória appointment, and what it would win: the ceiling, by ablation.

Candidates are put beside the agreed factors or taken from them. Each set is judged on three rolling weeks
inside the training window (the mean is given), and then on the test weeks, which no choice here may follow.
`python -m benchmarks.vitoria_ablation EXTRACT.csv.gz`.
"""

import datetime
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dnapredict.config.loading import load
from dnapredict.config.mapping_config import Mapping
from dnapredict.config.training_config import Setting, SplitConfig, TrainingConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.features.factors import factor_register, fed_by
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.model.cohort import COHORT_COLUMNS, Cohort, cohort_of
from dnapredict.model.evaluate.risk_metrics import compute_metrics
from dnapredict.model.fit.calibration import choose_calibrator
from dnapredict.model.fit.fitting import BoostingSettings, fit_boosting, refit_boosting
from dnapredict.pipeline.run_inputs import matrix_of, sound_extract

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT.parent / "shared" / "data" / "vitoria_appointments_2016.csv.gz"
WEEKS = ("2016-05-09", "2016-05-16", "2016-05-23", "2016-05-30")
DAY = np.timedelta64(1, "D")
# Clinical flags that nobody agreed to, by the names of the extract.
HEALTH = ("Hipertension", "Diabetes", "Alcoholism")
AROUND = ("booked_together", "booked_just_before")
WITHDRAWN = ("weekday_hour_rate", "overall_rate")


def prepared(extract: Path, *, days: int) -> tuple[Cohort, dict[str, int]]:
    """All that the sets below are drawn from, and the direction of each factor."""
    mapping = load(ROOT / "training" / "mappings" / "vitoria.toml", Mapping)
    config = TrainingConfig(horizon_days=days, split=SplitConfig(test_from=datetime.date(2016, 5, 30)))
    register = factor_register()
    with Workspace() as workspace:
        checked = sound_extract(extract, Setting(mapping, config), workspace)
        agreed = tuple(factor.name for factor in fed_by(register, checked.present))
        matrix = matrix_of(
            checked, config, factors=agreed + WITHDRAWN, extra_columns=COHORT_COLUMNS, workspace=workspace
        )
    cohort = cohort_of(matrix, outcomes=LabelRule(config.dna_codes), zone=mapping.timezone)
    raw = pd.read_csv(extract, dtype={"AppointmentID": str}).set_index("AppointmentID")
    flags = raw.loc[matrix.table["appointment_id"].to_pylist(), list(HEALTH)].to_numpy(float)
    whole = replace(cohort, factors=(*cohort.factors, *HEALTH), matrix=np.column_stack([cohort.matrix, flags]))
    return whole, {name: register.factor(name).direction for name in agreed}


def limited(cohort: Cohort, *, leave: tuple[str, ...]) -> Cohort:
    """The cohort without some of its factors."""
    kept = [place for place, factor in enumerate(cohort.factors) if factor not in leave]
    factors = tuple(cohort.factors[place] for place in kept)
    return replace(cohort, factors=factors, matrix=cohort.matrix[:, kept])


def judged(
    cohort: Cohort, directions: dict[str, int], *, begins: str, ends: str
) -> dict[str, tuple[float, float, float]]:
    """AUROC, log loss and calibration slope from `begins` to `ends`, calibrated on the week before."""
    local = (cohort.starts_at - np.timedelta64(3, "h")).astype("datetime64[D]")
    held = (local >= np.datetime64(begins)) & (local < np.datetime64(ends))
    week = (local < np.datetime64(begins)) & (local >= np.datetime64(begins) - 7 * DAY)
    fit = local < np.datetime64(begins) - 7 * DAY
    signs = [directions.get(factor, 0) for factor in cohort.factors]
    recipe = BoostingSettings(TrainingConfig().model, signs, TrainingConfig().seed)
    growth = fit_boosting(cohort.take(fit), cohort.take(week), recipe=recipe)
    margin = growth.booster.predict(cohort.matrix[week], raw_score=True)
    calibrator = choose_calibrator(cohort.dna[week], margin, patient=cohort.patient[week], seed=TrainingConfig().seed)
    booster = refit_boosting(cohort.take(fit | week), recipe=recipe, rounds=growth.rounds)
    tested = cohort.take(held)
    risk = calibrator.probability(booster.predict(tested.matrix, raw_score=True))
    masks = tested.populations()
    found = {
        name: compute_metrics(tested.dna[masks[name]], risk[masks[name]]) for name in ("all", "booked_1_day", "weekly")
    }
    return {name: (f.auroc, f.log_loss, f.calibration_slope) for name, f in found.items()}


def main() -> None:
    """Print a row for each set of factors."""
    extract = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not extract.is_file():
        print(f"{extract}: no such file; nothing measured. Give the path of the Vitória extract.")
        return
    whole = {days: prepared(extract, days=days) for days in (1, 7)}
    ahead = tuple(name for name in whole[1][0].factors if name.endswith("_booked_ahead"))
    left_out = {
        "as agreed": (*WITHDRAWN, *HEALTH),
        "without bookings at the clinic around it": (*AROUND, *WITHDRAWN, *HEALTH),
        "without a past of those booked ahead": (*ahead, *WITHDRAWN, *HEALTH),
        "with the rates of the hour and of the whole": HEALTH,
        "with health flags": WITHDRAWN,
    }
    print("| factors | all, rolling | test | 1 day, rolling | test | weekly, rolling | test |")
    print("|---|---|---|---|---|---|---|")
    for title, leave in left_out.items():
        cells = []
        for name, days in (("all", 1), ("booked_1_day", 1), ("weekly", 7)):
            made, directions = limited(whole[days][0], leave=leave), whole[days][1]
            rolling = [judged(made, directions, begins=b, ends=e)[name] for b, e in itertools.pairwise(WEEKS)]
            test = judged(made, directions, begins=WEEKS[-1], ends="2016-06-30")[name]
            told = (np.mean(rolling, axis=0), test)
            cells += [f"{area:.4f} / {loss:.4f} / {slope:.2f}" for area, loss, slope in told]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

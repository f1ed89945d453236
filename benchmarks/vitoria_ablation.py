"""What more could be known of a Vitória appointment, and what it would win: the ceiling, by ablation.

Candidates are computed from the extract itself, each as known when the appointment is scored, and put beside
the agreed factors or taken from them. Each set is judged on three rolling weeks inside the training window
(the mean is given), and then on the test weeks, which no choice here may follow.
`python benchmarks/vitoria_ablation.py EXTRACT.csv.gz`.
"""

import datetime
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dnapredict.config.loading import load
from dnapredict.config.mapping import Mapping
from dnapredict.config.setting import Setting
from dnapredict.config.training import Split, TrainingConfig
from dnapredict.data.workspace import Workspace
from dnapredict.features.clock import Outcomes
from dnapredict.prepared import factor_register, matrix_of, sound_extract
from dnapredict.risk.boosting import Recipe, grow, regrow
from dnapredict.risk.calibrators import fit_platt
from dnapredict.risk.cohort import Cohort
from dnapredict.risk.labelled import BESIDE, cohort_of
from dnapredict.risk.metrics import figures

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = ROOT.parent / "shared" / "data" / "vitoria_appointments_2016.csv.gz"
WEEKS = ("2016-05-09", "2016-05-16", "2016-05-23", "2016-05-30")
DAY, MINUTE = np.timedelta64(1, "D"), np.timedelta64(60, "s")
TOGETHER = ("booked_within_a_minute", "booked_in_ten_minutes")
HEALTH = ("hypertension", "diabetes", "alcoholism")
TIME = ("weekday_hour_rate", "overall_rate")


def prepared(extract: Path, *, days: int) -> tuple[Cohort, list[int], pd.DataFrame]:
    """Cohort, directions, and the raw rows in the cohort's order."""
    mapping = load(ROOT / "training" / "mappings" / "vitoria.toml", Mapping)
    config = TrainingConfig(horizon_days=days, split=Split(test_from=datetime.date(2016, 5, 30)))
    register = factor_register()
    with Workspace() as workspace:
        checked = sound_extract(extract, Setting(mapping, config), workspace)
        matrix = matrix_of(checked, config, register, beside=BESIDE, workspace=workspace)
    cohort = cohort_of(matrix, outcomes=Outcomes(config.dna_codes), zone=mapping.timezone)
    raw = pd.read_csv(extract, dtype={"AppointmentID": str}).set_index("AppointmentID")
    raw = raw.loc[matrix.table["appointment_id"].to_pylist()].reset_index()
    return cohort, [register.factor(name).direction for name in matrix.factors], raw


def candidates(raw: pd.DataFrame) -> dict[str, np.ndarray]:
    """What bookings at the clinic around this one say, and the health flags that nobody agreed to."""
    booked = pd.to_datetime(raw.ScheduledDay).dt.tz_localize(None).to_numpy()
    raw = raw.assign(made=booked.astype("datetime64[D]"))
    together, rush = np.zeros(len(raw)), np.zeros(len(raw))
    for rows in raw.groupby(["Neighbourhood", "AppointmentDay"]).indices.values():
        at = rows[np.argsort(booked[rows], kind="stable")]
        near = [
            np.searchsorted(booked[at], booked[at] + k * MINUTE, side=s)
            for k, s in ((-1, "left"), (1, "right"))
        ]
        together[at] = np.minimum(near[1] - near[0] - 1, 20)
    for rows in raw.groupby(["Neighbourhood", "made"]).indices.values():
        at = rows[np.argsort(booked[rows], kind="stable")]
        rush[at] = np.arange(len(at)) - np.searchsorted(booked[at], booked[at] - 10 * MINUTE)
    flags = zip(HEALTH, ("Hipertension", "Diabetes", "Alcoholism"), strict=True)
    return dict(zip(TOGETHER, (together, rush), strict=True)) | {
        name: raw[column].to_numpy(float) for name, column in flags
    }


def judged(
    cohort: Cohort, directions: list[int], *, begins: str, ends: str
) -> dict[str, tuple[float, float]]:
    """AUROC and log loss of the days from `begins` to `ends`, calibrated on the week before."""
    local = (cohort.starts_at - np.timedelta64(3, "h")).astype("datetime64[D]")
    held = (local >= np.datetime64(begins)) & (local < np.datetime64(ends))
    week = (local < np.datetime64(begins)) & (local >= np.datetime64(begins) - 7 * DAY)
    fit = local < np.datetime64(begins) - 7 * DAY
    recipe = Recipe(TrainingConfig().model, directions, TrainingConfig().seed)
    growth = grow(cohort.take(fit), cohort.take(week), recipe=recipe)
    calibrator = fit_platt(cohort.dna[week], growth.booster.predict(cohort.matrix[week], raw_score=True))
    booster = regrow(cohort.take(fit | week), recipe=recipe, rounds=growth.rounds)
    tested = cohort.take(held)
    risk = calibrator.probability(booster.predict(tested.matrix, raw_score=True))
    masks = tested.populations()
    found = {
        name: figures(tested.dna[masks[name]], risk[masks[name]])
        for name in ("all", "booked_1_day", "weekly")
    }
    return {name: (f.auroc or 0.0, f.log_loss or 0.0) for name, f in found.items()}


def main() -> None:
    """Print a row for each set of factors."""
    extract = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    if not extract.is_file():
        print(f"{extract}: no such file; nothing measured. Give the path of the Vitória extract.")
        return
    whole = {days: prepared(extract, days=days) for days in (1, 7)}
    ahead = tuple(name for name in whole[1][0].factors if name.endswith("_booked_ahead"))
    sets = {
        "as agreed": ((), ()),
        "without a past of those booked ahead": (ahead, ()),
        "without rates of the hour and of the whole": (TIME, ()),
        "and with bookings at the clinic around it": (TIME, TOGETHER),
        "and with health flags": (TIME, (*TOGETHER, *HEALTH)),
    }
    print("| factors | all, rolling | test | 1 day, rolling | test | weekly, rolling | test |")
    print("|---|---|---|---|---|---|---|")
    for title, (less, more) in sets.items():
        cells = []
        for name, days in (("all", 1), ("booked_1_day", 1), ("weekly", 7)):
            cohort, directions, raw = whole[days]
            extra = candidates(raw)
            kept = [place for place, factor in enumerate(cohort.factors) if factor not in less]
            made = replace(
                cohort,
                factors=(*(cohort.factors[place] for place in kept), *more),
                matrix=np.column_stack([cohort.matrix[:, kept], *(extra[factor] for factor in more)]),
            )
            signs = [*(directions[place] for place in kept), *(0 for _ in more)]
            rolling = [judged(made, signs, begins=b, ends=e)[name] for b, e in itertools.pairwise(WEEKS)]
            test = judged(made, signs, begins=WEEKS[-1], ends="2016-06-30")[name]
            cells += [f"{a:.4f} / {loss:.4f}" for a, loss in (np.mean(rolling, axis=0), test)]
        print(f"| {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

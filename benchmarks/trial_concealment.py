"""Whether anybody can tell who is held out in a trial, from the lists that a team works with.

Weekly lists of a synthetic care board are planned in a trial that holds out a fifth. A guesser (gradient boosting)
learns from the rows without a call of the first lists, with the arms of all of them, and tells for each row without a
call of the later lists whether its patient is held out. By chance it is right in 50 of 100 (balanced). It sees:

- risk, band and the order by risk, needs, clinic and site, as without a trial;
- what is left when risks are withheld, and what a list of a trial has: the action and the time;
- that, whom earlier lists called or did not call, and how many of each day and hour are called;
- that and every column of the uploaded list, by which it can learn the risk itself.

`python -m benchmarks.trial_concealment [ROWS]`.
"""

import datetime
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score

from dnapredict.config.loading import load, shipped
from dnapredict.config.trial_config import TrialConfig
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.calendar_weeks import week_of
from dnapredict.synthetic.simulation import simulate
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.files.worklist_columns import FACTORS
from dnapredict.worklist.plan.call_plan import plan_calls
from dnapredict.worklist.plan.ranking import RANKING_COLUMNS
from dnapredict.worklist.plan.trial_arms import RunningTrial

ROWS, LEARNED_SHARE, FEWEST_ROWS = 60_000, 2 / 3, 100
DAY = datetime.date(2026, 1, 1)
TRIAL = TrialConfig(
    name="Concealment",
    start=DAY,
    end=DAY + datetime.timedelta(days=365),
    approved_by="A benchmark",
    why_ethical="The patients of this trial are made up.",
)
OF_THE_LIST = ("action", "hour", "weekday", "place_of_rows_without_a_call")
OF_EARLIER_LISTS = ("called_before", "not_called_before", "rows_of_the_day", "called_of_the_day", "called_of_the_hour")
WITHHELD = ("needs", "clinic_code", "site_code")
BY_RISK = ("probability", "band", "place_by_risk")
OF_THE_RECORD = (
    *("age_years", "gender_code", "imd_decile", "distance_km", "interpreter_needed", "transport_booked", "has_mobile"),
    *("times_rescheduled", "treatment_function_code", "first_attendance_code", "consultation_mechanism_code"),
    *("priority_type_code", "referral_source_code", "ethnic_category_code", "lead_days", "past_appointments"),
)


def rows_without_a_call(rows: int, folder: Path) -> pa.Table:
    """The rows without a call of all lists, with their week and whether the patient is held out."""
    extract, truth = folder / "extract.parquet", folder / "truth.parquet"
    simulate(extract, appointments=rows, seed=7, truth=truth)
    table = pq.read_table(extract).sort_by("appointment_id")
    risks = pq.read_table(truth).sort_by("appointment_id")["knowable_probability"]
    table = _with_ranking_columns(table.append_column("probability", risks)).sort_by("starts_at")
    table = table.append_column("past_appointments", pa.array(_seen_before(table["patient_id"].to_pylist())))
    week = week_of(table["starts_at"].to_numpy().astype("datetime64[D]"))
    config = load(shipped("serving/worklist.toml"), WorklistConfig).model_copy(update={"trial": TRIAL})
    register = TrialRegister(folder, TRIAL, DAY)
    lists = (
        table.filter(pa.array(week == each)).append_column("week", pa.array(week[week == each]))
        for each in np.unique(week)
    )
    before: dict[str, list[int]] = {}
    return pa.concat_tables(_planned(each, register, config, before) for each in lists if each.num_rows >= FEWEST_ROWS)


def _planned(
    listed: pa.Table, register: TrialRegister, config: WorklistConfig, before: dict[str, list[int]]
) -> pa.Table:
    plan = plan_calls(listed, config=config, capacity=None, trial=RunningTrial(register))
    table = plan.table
    moment = listed["starts_at"].to_numpy()
    by_risk = np.argsort(np.argsort(-listed["probability"].to_numpy()))
    columns = {
        "action": table["action"].cast(pa.string()),
        "needs": table["needs"].cast(pa.string()),
        "band": table["band"].cast(pa.string()),
        "place_of_rows_without_a_call": pc.divide(table["rank"].cast(pa.float64()), float(listed.num_rows)),
        "place_by_risk": by_risk / listed.num_rows,
        "hour": moment.astype("datetime64[h]").astype(int) % 24,
        "weekday": moment.astype("datetime64[D]").astype(int) % 7,
        "lead_days": (moment - listed["booked_at"].to_numpy()).astype("timedelta64[D]").astype(float),
        **_of_earlier_lists(listed, plan.table["selected"].to_numpy(zero_copy_only=False), moment, before),
        "held_out": pc.equal(pc.fill_null(table["trial_arm"], ""), "CONTROL"),
    }
    for name, column in columns.items():
        listed = listed.append_column(
            name,
            pa.chunked_array([column])
            if isinstance(column, pa.Array)
            else column
            if isinstance(column, pa.ChunkedArray)
            else pa.array(column),
        )
    is_reminded = pc.starts_with(listed["action"], config.unselected_action)
    return listed.filter(pc.and_(pc.invert(table["selected"]), is_reminded)).drop_columns(list(FACTORS))


def _of_earlier_lists(
    listed: pa.Table, called: NDArray[np.bool_], moment: NDArray[np.datetime64], before: dict[str, list[int]]
) -> dict[str, NDArray[np.float64]]:
    """What earlier lists say of each patient, and what calls leave; `before` counts rows by patient and call."""
    patients = listed["patient_id"].to_pylist()
    seen = np.array([before.get(each, [0, 0]) for each in patients], dtype=float)
    for patient, is_called in zip(patients, called.tolist(), strict=True):
        before.setdefault(patient, [0, 0])[int(is_called)] += 1
    found = {"not_called_before": seen[:, 0], "called_before": seen[:, 1]}
    for name, unit in (("day", "D"), ("hour", "h")):
        time = np.unique(moment.astype(f"datetime64[{unit}]"), return_inverse=True)[1].reshape(-1)
        rows = np.bincount(time)
        found |= {f"rows_of_the_{name}": rows[time].astype(float)}
        found |= {f"called_of_the_{name}": (np.bincount(time, weights=called) / rows)[time]}
    return found


def _with_ranking_columns(table: pa.Table) -> pa.Table:
    known = {"starts_local": table["starts_at"]}
    for name in (*RANKING_COLUMNS, *FACTORS):
        if name not in table.column_names:
            table = table.append_column(name, known.get(name, pa.nulls(table.num_rows, pa.string())))
    return table.set_column(table.column_names.index("opt_out"), "opt_out", pa.nulls(table.num_rows, pa.bool_()))


def _seen_before(patients: list[str]) -> list[int]:
    seen: dict[str, int] = {}
    counts = []
    for patient in patients:
        counts.append(seen.get(patient, 0))
        seen[patient] = counts[-1] + 1
    return counts


def guessed(rows: pa.Table, columns: tuple[str, ...]) -> float:
    """The balanced accuracy of the guesser on the later lists."""
    values = np.column_stack([_numbers(rows[name]) for name in columns])
    held_out = rows["held_out"].to_numpy().astype(bool)
    week = rows["week"].to_numpy()
    learned = week < np.quantile(np.unique(week), LEARNED_SHARE)
    guesser = HistGradientBoostingClassifier(class_weight="balanced", max_iter=150, learning_rate=0.05, random_state=0)
    guesser.fit(values[learned], held_out[learned])
    return float(balanced_accuracy_score(held_out[~learned], guesser.predict(values[~learned])))


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    if pa.types.is_string(column.type):
        return np.asarray(column.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False), float)
    return np.asarray(column.cast(pa.float64()).to_numpy(), float)


def main() -> None:
    """Print the table."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        table = rows_without_a_call(rows, Path(folder))
    seen = {
        "as without a trial": (*OF_THE_LIST, *WITHHELD, *BY_RISK),
        "risk, band and order withheld": (*OF_THE_LIST, *WITHHELD),
        "needs, clinic and site withheld too: a list of a trial": OF_THE_LIST,
        "a list of a trial, earlier lists and gaps in the calls": (*OF_THE_LIST, *OF_EARLIER_LISTS),
        "list of a trial and the whole record": (*OF_THE_LIST, *WITHHELD, *OF_THE_RECORD),
    }
    print(f"{table.num_rows:,} rows without a call, {pc.mean(table['held_out'].cast('float64')).as_py():.3f} held out")
    print("| what the guesser sees | right in 100 (balanced) |")
    print("|---|---|")
    for name, columns in seen.items():
        print(f"| {name} | {100 * guessed(table, columns):.1f} |")


if __name__ == "__main__":
    main()

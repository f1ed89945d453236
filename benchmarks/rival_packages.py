"""The alarms of NannyML and Evidently with their default thresholds, as JSON; run by `benchmarks/rival_monitors.py`.

Needs only these packages (`pip install nannyml==0.13.1 evidently==0.7.23 'pandas<3'`), in an environment of their own.
Weeks are judged one at a time against the reference. NannyML's thresholds are three standard deviations of the weeks of
the reference; Evidently's are distances of 0.1. Arguments: a folder with `reference.parquet` and `watched.parquet`, and
the watched columns, with commas.
"""

import datetime
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nannyml
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

Alarm = tuple[str, str, int]
# Evidently compares distributions: a sample of the reference tells the same in a fraction of the time.
ROWS_OF_REFERENCE = 20_000
OUTCOME, RISK = "missed", "probability"


def nannyml_alarms(reference: pd.DataFrame, watched: pd.DataFrame, columns: list[str]) -> Iterator[Alarm]:
    """Estimated and realised performance, and drift of each column by week."""
    of_list = {"y_pred_proba": RISK, "y_pred": "selected", "y_true": OUTCOME, "problem_type": "classification_binary"}
    by_week = {"timestamp_column_name": "starts_at", "chunk_period": "W"}
    inputs = [name for name in columns if name != RISK]
    tools: dict[str, Callable[[], object]] = {
        "NannyML CBPE, AUROC": lambda: nannyml.CBPE(metrics=["roc_auc"], **of_list, **by_week),
        "NannyML DLE, mean absolute error": lambda: nannyml.DLE(
            feature_column_names=inputs, y_pred=RISK, y_true=OUTCOME, metrics=["mae"], **by_week
        ),
        "NannyML realised AUROC": lambda: nannyml.PerformanceCalculator(metrics=["roc_auc"], **of_list, **by_week),
        "NannyML share missed": lambda: nannyml.SummaryStatsAvgCalculator(column_names=[OUTCOME], **by_week),
        "NannyML drift of a column": lambda: nannyml.UnivariateDriftCalculator(column_names=columns, **by_week),
    }
    first = _monday(watched["starts_at"].min())
    for name, made in tools.items():
        tool = made()
        try:
            tool.fit(reference)
            result = (tool.estimate if hasattr(tool, "estimate") else tool.calculate)(watched)
        except Exception as error:  # noqa: BLE001 - what a package cannot judge is a finding
            print(f"{name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
            yield f"{name} (error)", type(error).__name__, 0
            continue
        frame = result.filter(period="analysis").to_df()
        starts = (
            frame["chunk"]["start_date"] if "start_date" in frame["chunk"] else frame["chunk"]["chunk"]["start_date"]
        )
        for column in [each for each in frame.columns if each[-1] == "alert"]:
            for at in starts[frame[column].fillna(value=False).astype(bool).to_numpy()]:
                yield name, " ".join(str(part) for part in column[:-1]), (_monday(at) - first).days // 7


def evidently_alarms(reference: pd.DataFrame, watched: pd.DataFrame, columns: list[str]) -> Iterator[Alarm]:
    """The data drift preset with its tests, for each week."""
    numbers = [name for name in columns if reference[name].dtype.kind in "fi"]
    definition = DataDefinition(
        numerical_columns=numbers, categorical_columns=[name for name in columns if name not in numbers]
    )
    before = Dataset.from_pandas(
        reference[columns].sample(min(ROWS_OF_REFERENCE, len(reference)), random_state=1), data_definition=definition
    )
    first = _monday(watched["starts_at"].min())
    week = (watched["starts_at"].dt.normalize() - pd.Timestamp(first)).dt.days // 7
    for number, rows in watched.groupby(week):
        now = Dataset.from_pandas(rows[columns], data_definition=definition)
        try:
            found = Report([DataDriftPreset()], include_tests=True).run(now, before).dict()["tests"]
        except ValueError as error:  # it refuses a column without a value, and names it
            yield "Evidently, an error", str(error)[:60], int(number)
            continue
        for test in found:
            if test["status"] == "FAIL":
                is_share = "Share" in test["name"]
                yield f"Evidently drift of {'half the columns' if is_share else 'a column'}", test["name"], int(number)


def _monday(at: pd.Timestamp) -> datetime.date:
    day = pd.Timestamp(at).date()
    return day - datetime.timedelta(days=day.weekday())


def main() -> None:
    """Print the alarms of both packages as a line of JSON."""
    place, columns = Path(sys.argv[1]), sys.argv[2].split(",")
    reference, watched = (pd.read_parquet(place / f"{name}.parquet") for name in ("reference", "watched"))
    for frame in (reference, watched):
        frame[OUTCOME] = frame[OUTCOME].astype(int)
        frame["selected"] = frame["selected"].astype(int)
        for name in columns:
            if frame[name].dtype == object:
                frame[name] = frame[name].astype("string").astype(object).where(frame[name].notna(), None)
    alarms = [*nannyml_alarms(reference, watched, columns), *evidently_alarms(reference, watched, columns)]
    print(json.dumps(alarms))


if __name__ == "__main__":
    main()

"""The records of a synthetic trust: what an extract held on a day, and calls with a true effect."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.service.call_outcomes import Outcome
from dnapredict.synthetic.calendar import AS_OF
from dnapredict.synthetic.made_up_calls import SyntheticRecords
from dnapredict.synthetic.simulation import simulate

MONDAY = (AS_OF - datetime.timedelta(weeks=6)).date()
DRAWN = datetime.datetime.combine(MONDAY - datetime.timedelta(weeks=1), datetime.time())
KNOWN = ["outcome_code", "recorded_at", "rtt_status_code"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("records")
    simulate(folder / "extract.parquet", appointments=30_000, seed=4, truth=folder / "truth.parquet")
    return folder / "extract.parquet", folder / "truth.parquet"


@pytest.fixture
def records(files: tuple[Path, Path]) -> SyntheticRecords:
    return SyntheticRecords(*files, seed=1)


def written(records: SyntheticRecords, path: Path, **times: datetime.datetime) -> pa.Table:
    records.write(path, **times)
    assert is_synthetic(path)
    return pq.read_table(path)


def test_an_extract_holds_what_was_booked_and_recorded_by_then(
    records: SyntheticRecords, files: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, then = pq.read_table(files[0]), written(records, tmp_path / "then.parquet", at=DRAWN)
    assert pc.max(then["booked_at"]).as_py() < DRAWN
    assert pc.max(then["recorded_at"]).as_py() < DRAWN
    assert then.num_rows == pc.sum(pc.less(whole["booked_at"], pa.scalar(DRAWN, pa.timestamp("us")))).as_py()
    unknown = then.filter(pc.is_null(then["recorded_at"]))
    assert unknown.num_rows > 500
    assert all(unknown[name].null_count == unknown.num_rows for name in KNOWN)


def test_what_is_new_since_a_day_and_what_was_known_then_make_up_the_whole(
    records: SyntheticRecords, tmp_path: Path
) -> None:
    later = DRAWN + datetime.timedelta(weeks=4)
    first = written(records, tmp_path / "first.parquet", at=DRAWN)
    new = written(records, tmp_path / "new.parquet", at=later, since=DRAWN)
    whole = written(records, tmp_path / "whole.parquet", at=later)
    assert new.num_rows < whole.num_rows / 3
    same = first.filter(pc.invert(pc.is_in(first["appointment_id"], new["appointment_id"].combine_chunks())))
    assert pa.concat_tables([same, new]).sort_by("appointment_id").equals(whole.sort_by("appointment_id"))


def test_a_list_has_the_booked_appointments_of_its_week_without_outcomes(records: SyntheticRecords) -> None:
    week = records.week(MONDAY, at=DRAWN)
    days = {moment.date() for moment in week["starts_at"].to_pylist()}
    assert days <= {MONDAY + datetime.timedelta(days=day) for day in range(7)}
    assert len(days) >= 4
    assert pc.max(week["booked_at"]).as_py() < DRAWN
    assert not {"outcome_code", "recorded_at"} & set(week.column_names)
    assert week["rtt_status_code"].null_count == week.num_rows


def test_calls_keep_half_of_what_reached_patients_would_have_missed(
    records: SyntheticRecords, files: tuple[Path, Path], tmp_path: Path
) -> None:
    before, cause = pq.read_table(files[0]), pq.read_table(files[1])["cause"].to_numpy(zero_copy_only=False)
    called = before["appointment_id"].slice(0, 20_000).to_pylist()
    said = np.array(records.call(called)["outcome"].to_pylist())
    assert set(said) <= {each.value for each in Outcome}
    reached = np.array([Outcome(each).reached for each in said])
    has_mobile = before["has_mobile"].slice(0, 20_000).to_numpy(zero_copy_only=False)
    assert 0.73 < reached[has_mobile].mean() < 0.77
    assert 0.47 < reached[~has_mobile].mean() < 0.53
    after = written(records, tmp_path / "after.parquet", at=AS_OF + datetime.timedelta(weeks=5))
    changed = np.array(before["outcome_code"].to_pylist()) != np.array(after["outcome_code"].to_pylist())
    assert not changed[20_000:].any()
    changed, would_miss = changed[:20_000], np.isin(cause[:20_000], ("missed by the patient", "arrived too late"))
    assert not changed[~(reached & would_miss)].any()
    assert 0.45 < changed[reached & would_miss].mean() < 0.55
    assert set(np.array(after["outcome_code"].to_pylist())[:20_000][changed]) == {"5"}
    assert "33" not in set(np.array(after["rtt_status_code"].to_pylist())[:20_000][changed])

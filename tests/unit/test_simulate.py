"""The synthetic ICB: like England where figures are published, and honest about what it is."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from benchmarks.published_rates import FIGURES, PublishedFigure, measure
from sklearn.metrics import roc_auc_score

from dnapredict.data.contract.columns import NAMES
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError, UsageError
from dnapredict.synthetic import appointment_table
from dnapredict.synthetic.calendar import AS_OF
from dnapredict.synthetic.simulation import Simulated, simulate
from dnapredict.synthetic.visit_outcomes import CAUSES
from dnapredict.synthetic.worlds import World

APPOINTMENTS = 400_000
# Columns that no simulated hospital keeps.
ABSENT = ("opt_out", "accessible_information_code", "contacted", "trial_arm", "receives_welfare", "trust_side_reason")
LOOKUP = Path(__file__).resolve().parents[3] / "shared" / "data" / "england_lsoa21_iod2025.csv.gz"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "synthetic-icb.md"
DNA = pa.array(["3", "7"])
CAME = pa.array(["3", "5", "6", "7"])


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("board")
    return simulate(folder / "board.parquet", appointments=APPOINTMENTS, seed=1, truth=folder / "truth.parquet")


@pytest.fixture(scope="module")
def made(board: Simulated) -> dict[str, float]:
    return measure(board.path)


@pytest.fixture(scope="module")
def rows(board: Simulated) -> pa.Table:
    return pq.read_table(board.path)


def small(folder: Path, **options: object) -> pa.Table:
    simulate(folder / "small.parquet", **({"appointments": 3_000, "seed": 7} | options))  # type: ignore[arg-type]
    return pq.read_table(folder / "small.parquet")


def labelled(board: Simulated) -> tuple[np.ndarray, pa.Table]:
    """Whether each appointment that took place was missed, and the truth of it."""
    codes = pq.read_table(board.path, columns=["outcome_code"])["outcome_code"]
    took_place = pc.is_in(codes, CAME)
    missed = pc.is_in(codes.filter(took_place), DNA).to_numpy()
    return missed, pq.read_table(board.truth).filter(took_place)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_standard_world_stands_near_what_is_published(figure: PublishedFigure, made: dict[str, float]):
    assert made[figure.name] == pytest.approx(figure.target, abs=figure.tolerance)


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_the_document_tells_each_figure_as_it_is_made(figure: PublishedFigure, made: dict[str, float]):
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    cells = next(line.split("|") for line in lines if line.startswith(f"| {figure.name} |"))
    assert [float(cell) for cell in cells[2:5:2]] == [figure.target, figure.tolerance]
    assert float(cells[3]) == pytest.approx(made[figure.name], abs=figure.tolerance / 10 + 0.001)
    assert cells[5].strip() == figure.source


def test_the_chance_of_a_recorded_dna_is_what_happens(board: Simulated):
    missed, truth = labelled(board)
    chance = truth["recorded_probability"].to_numpy()
    for tenth in np.array_split(np.argsort(chance), 10):
        expected = chance[tenth]
        error = math.sqrt((expected * (1 - expected)).sum())
        assert abs(missed[tenth].sum() - expected.sum()) < 4.5 * error


def test_the_true_risk_ranks_as_well_as_an_honest_model_could_hope(board: Simulated):
    missed, truth = labelled(board)
    assert 0.75 < roc_auc_score(missed, truth["probability"].to_numpy()) < 0.80


def test_no_season_of_the_window_is_another_world(rows: pa.Table, board: Simulated):
    chance = pq.read_table(board.truth)["probability"]
    month = pc.strftime(rows["starts_at"], "%Y-%m")
    by_month = pa.table({"month": month, "chance": chance}).group_by("month").aggregate([("chance", "mean")])
    means = by_month["chance_mean"].to_numpy()
    assert means.max() < 1.15 * means.min()


def test_every_row_keeps_the_contract(board: Simulated):
    with Workspace() as workspace:
        checked = contract_check.check(table_file.read(board.path, workspace), workspace, source="board")
        assert (checked.kept, checked.rejections) == (APPOINTMENTS, ())


def test_columns_are_those_of_the_contract_in_its_order(rows: pa.Table):
    assert rows.schema.names == [name for name in NAMES if name not in ABSENT]


# Columns that were added later, from random streams of their own, and SHA-256 of the others for 3,000 rows of seed 7
# as they were before.
ADDED = (
    *("referred_at", "rtt_period_start", "rtt_status_code", "provider_code", "place_code"),
    *("learning_disability_flag", "carer_or_child"),
)
BEFORE = "a700bc9d0e3fd84cb2f54268fb8254640ed8113df0dbf40fea29ed15ae7d23ee"


def test_columns_that_were_added_change_no_other(tmp_path: Path):
    table = small(tmp_path).drop_columns(list(ADDED))
    digest = hashlib.sha256()
    for row in table.to_pylist():
        digest.update(repr(tuple(row.values())).encode())
    assert digest.hexdigest() == BEFORE


def test_the_columns_of_the_referral_fit_the_appointment(rows: pa.Table):
    frame = rows.select([*ADDED, "site_code", "lsoa_code", "booked_at", "outcome_code", "plus_group"]).to_pandas()
    assert (frame["referred_at"].dropna() < frame["booked_at"][frame["referred_at"].notna()]).all()
    assert frame["referred_at"].isna().mean() == pytest.approx(0.08, abs=0.01)
    assert (frame["provider_code"] == frame["site_code"].str[:3]).all()
    assert frame["place_code"].nunique() == 9
    assert (frame["place_code"].isna() == frame["lsoa_code"].isna()).all()
    assert (frame.groupby("lsoa_code")["place_code"].nunique() == 1).all()
    assert set(frame["outcome_code"][frame["rtt_status_code"] == "33"]) == {"3", "7"}
    assert (
        frame["rtt_status_code"][frame["outcome_code"].isin(["2", "4", "0"]) | frame["outcome_code"].isna()]
        .isna()
        .all()
    )
    known = frame["learning_disability_flag"] == "Y"
    assert (known == (frame["plus_group"] == "learning disability")).all()
    assert set(frame["carer_or_child"].dropna()) == {True}


def test_both_files_say_that_nobody_is_real(board: Simulated, rows: pa.Table):
    for path in (board.path, board.truth):
        notes = pq.read_schema(path).metadata
        assert notes[b"dnapredict.synthetic"] == b"true"
        assert (notes[b"dnapredict.seed"], notes[b"dnapredict.world"]) == (b"1", b"standard")
        assert notes[b"dnapredict.geography"] == b"made up: no real LSOA"
        assert table_file.is_synthetic(path)
    assert pc.all(pc.starts_with(rows["appointment_id"], "SYN-")).as_py()
    assert pc.all(pc.starts_with(rows["patient_id"], "SYN-P")).as_py()


def test_two_weeks_to_come_are_booked_and_without_outcome(rows: pa.Table, board: Simulated):
    assert board.as_of == AS_OF
    ahead = rows.filter(pc.field("starts_at") >= AS_OF)
    assert ahead.num_rows > 0.015 * APPOINTMENTS
    assert ahead["outcome_code"].null_count == ahead.num_rows
    assert pc.max(rows["booked_at"]).as_py() < AS_OF


def test_some_outcomes_are_recorded_late_and_some_not_yet(rows: pa.Table):
    past = rows.filter(pc.field("starts_at") < AS_OF)
    assert 0 < past["outcome_code"].null_count < 0.005 * past.num_rows
    known = past.filter(pc.field("outcome_code").is_valid())
    days = pc.days_between(known["starts_at"], known["recorded_at"]).to_numpy()
    assert 0.02 < (days > 3).mean() < 0.1
    assert pc.max(known["recorded_at"]).as_py() < AS_OF


def test_a_moved_appointment_was_booked_when_the_one_before_was_cancelled(rows: pa.Table):
    moved = np.flatnonzero(rows["times_rescheduled"].to_numpy() > 0)
    before = rows.take(moved - 1)
    after = rows.take(moved)
    assert before["patient_id"].equals(after["patient_id"])
    assert before["clinic_code"].equals(after["clinic_code"])
    known = before["outcome_code"].is_valid()
    assert set(before["outcome_code"].filter(known).to_pylist()) <= {"2", "4"}


def test_clinics_keep_bank_holidays(rows: pa.Table):
    days = set(pc.strftime(rows["starts_at"], "%Y-%m-%d").to_pylist())
    assert not days & {"2025-12-25", "2025-12-26", "2026-04-03", "2026-05-25", "2026-08-31"}
    assert {"2025-12-24", "2026-04-02"} <= days


def test_causes_tell_what_the_code_hides(board: Simulated, rows: pa.Table):
    truth = pq.read_table(board.truth)
    assert truth["appointment_id"].equals(rows["appointment_id"])
    assert set(truth["cause"].to_pylist()) == set(CAUSES)
    by_trust = pc.starts_with(truth["cause"], "trust")
    assert set(rows["outcome_code"].filter(by_trust).to_pylist()) == {"3", "7"}


def test_wrong_dnas_leave_a_trace(rows: pa.Table, board: Simulated):
    cause = pq.read_table(board.truth)["cause"]
    notice = pc.days_between(rows["booked_at"], rows["starts_at"]).to_numpy()
    wrong = pc.starts_with(cause, "trust").to_numpy()
    attended = pc.equal(cause, "attended").to_numpy()
    assert (notice[wrong] < 7).mean() > 2 * (notice[attended] < 7).mean()


def test_a_lookup_gives_real_codes_with_their_deciles(tmp_path: Path):
    lookup = tmp_path / "areas.csv"
    areas = [f"E0100{area:04d},{area % 10 + 1},{-2.9 + area / 1000},{53.4 + area / 2000}" for area in range(50)]
    lookup.write_text("lsoa21_code,imd_decile,longitude,latitude\n" + "\n".join(areas) + "\n")
    table = small(tmp_path, lookup=lookup).filter(pc.field("lsoa_code").is_valid())
    assert table.schema.metadata[b"dnapredict.geography"] == b"LSOA 2021 from areas.csv"
    for code, decile in zip(table["lsoa_code"].to_pylist(), table["imd_decile"].to_pylist(), strict=True):
        assert decile == int(code[-4:]) % 10 + 1


def test_the_english_lookup_gives_the_north_west(tmp_path: Path):
    if not LOOKUP.is_file():
        pytest.skip("needs england_lsoa21_iod2025.csv.gz in ../shared/data")
    table = small(tmp_path, appointments=20_000, lookup=LOOKUP)
    deprived = pc.mean(pc.less_equal(table["imd_decile"], 2).cast(pa.int8())).as_py()
    assert 0.28 < deprived < 0.42  # "more than a third" of Cheshire and Merseyside is Core20
    assert pc.max(table["distance_km"]).as_py() < 90


@pytest.mark.parametrize(
    "content",
    [
        "",
        "lsoa21_code,imd_decile\nE01000001,3\n",
        "lsoa21_code,imd_decile,longitude,latitude\nE01000001,three,0,0\n",
        "lsoa21_code,imd_decile,longitude,latitude\nE01000001,3,0,0\n",
    ],
    ids=["empty", "column missing", "not a number", "too few areas"],
)
def test_a_lookup_that_cannot_serve_is_refused_and_nothing_is_written(tmp_path: Path, content: str):
    (tmp_path / "areas.csv").write_text(content)
    with pytest.raises(DataError, match=r"areas\.csv"):
        small(tmp_path, lookup=tmp_path / "areas.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["areas.csv"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small(tmp_path)
    before = (tmp_path / "small.parquet").read_bytes()
    monkeypatch.setattr(appointment_table, "truth", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        small(tmp_path, seed=8, truth=tmp_path / "truth.parquet")
    assert (tmp_path / "small.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["small.parquet"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"appointments": 0}, "at least 1 appointment"),
        ({"seed": -1}, "seed of 0 or more"),
        ({"truth": Path("truth.csv")}, "ends in .parquet"),
        ({"truth": Path("nowhere/truth.parquet")}, "a folder that exists"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, options: dict[str, object], words: str):
    with pytest.raises(UsageError, match=words):
        small(tmp_path, **options)


def test_truth_may_not_overwrite_the_appointments(tmp_path: Path):
    with pytest.raises(UsageError, match="must name another file"):
        small(tmp_path, truth=tmp_path / "small.parquet")


def test_the_default_world_is_the_standard_one():
    assert World() == World.parse("standard")

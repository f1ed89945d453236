"""Each world differs from the standard one by what its name says, and by nothing else."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from dnapredict.errors import UsageError
from dnapredict.synthetic.calendar import AS_OF
from dnapredict.synthetic.simulation import simulate
from dnapredict.synthetic.true_risk import CHANGE_DAYS
from dnapredict.synthetic.worlds import WORLDS, TargetGroup, World

APPOINTMENTS = 80_000
WORLDS_MADE = ("standard", "null", "biased-label", "under-scored:core20", "thin-history:ethnicity=N", "drift")


class Made:
    """One world's appointments and truth, as arrays."""

    def __init__(self, folder: Path, world: str) -> None:
        simulate(
            folder / "w.parquet",
            appointments=APPOINTMENTS,
            seed=3,
            truth=folder / "t.parquet",
            world=World.parse(world),
        )
        self.rows = pq.read_table(folder / "w.parquet")
        truth = pq.read_table(folder / "t.parquet")
        self.chance = truth["probability"].to_numpy()
        self.cause = np.array(truth["cause"].to_pylist())
        self.starts = self.rows["starts_at"].to_numpy()
        self.core20 = pc.fill_null(pc.less_equal(self.rows["imd_decile"], 2), False).to_numpy()
        self.recent = self.starts >= np.datetime64(AS_OF) - np.timedelta64(CHANGE_DAYS, "D")

    def recorded_as(self, code: str) -> NDArray[np.bool_]:
        return pc.fill_null(pc.equal(self.rows["ethnic_category_code"], code), False).to_numpy()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    return {world: Made(tmp_path_factory.mktemp("world"), world) for world in WORLDS_MADE}


def ratio(made: Made, group: NDArray[np.bool_], where: NDArray[np.bool_] | None = None) -> float:
    """True risk of the group over that of everybody else."""
    among = np.ones(len(group), dtype=bool) if where is None else where
    return float(made.chance[group & among].mean() / made.chance[~group & among].mean())


def test_in_the_null_world_no_group_differs(worlds: dict[str, Made]):
    null = worlds["null"]
    assert ratio(null, null.core20) == pytest.approx(1, abs=0.04)
    assert ratio(null, null.rows["interpreter_needed"].to_numpy()) == pytest.approx(1, abs=0.12)
    assert not np.char.startswith(null.cause, "trust").any()
    standard = worlds["standard"]
    assert ratio(standard, standard.core20) > 1.15


@pytest.mark.parametrize("world", ["null", "biased-label", "under-scored:core20", "drift"])
def test_worlds_of_one_seed_hold_the_same_patients(worlds: dict[str, Made], world: str):
    for column in ("patient_id", "starts_at", "imd_decile", "ethnic_category_code", "age_years"):
        assert worlds[world].rows[column].equals(worlds["standard"].rows[column])


def test_biased_labels_change_the_record_and_not_the_risk(worlds: dict[str, Made]):
    biased, standard = worlds["biased-label"], worlds["standard"]
    np.testing.assert_array_equal(biased.chance, standard.chance)
    wrong = np.char.startswith(biased.cause, "trust")
    kept = wrong | (biased.cause == "attended")
    assert wrong[kept & biased.core20].mean() == pytest.approx(0.025, abs=0.004)
    assert wrong[kept & ~biased.core20].mean() == pytest.approx(0.005, abs=0.0015)


def test_the_under_scored_group_was_safer_and_now_is_not(worlds: dict[str, Made]):
    under, standard = worlds["under-scored:core20"], worlds["standard"]
    assert ratio(under, under.core20, ~under.recent) < 0.75
    assert ratio(under, under.core20, under.recent) > 1.5
    np.testing.assert_array_equal(under.chance[~under.core20], standard.chance[~standard.core20])


def test_thin_history_leaves_the_group_without_a_past(worlds: dict[str, Made]):
    thin, standard = worlds["thin-history:ethnicity=N"], worlds["standard"]
    group = thin.recorded_as("N")
    patients = pc.count_distinct(thin.rows["patient_id"].filter(group)).as_py()
    assert patients == group.sum()
    assert group.sum() == pytest.approx(standard.recorded_as("N").sum(), rel=0.15)
    assert 0.9 < ratio(thin, group) < 1.5  # no habit, and otherwise who they were


def test_drift_lowers_everybody_s_risk_at_the_end(worlds: dict[str, Made]):
    drift, standard = worlds["drift"], worlds["standard"]
    np.testing.assert_array_equal(drift.chance[~drift.recent], standard.chance[~standard.recent])
    last = drift.starts >= np.datetime64(AS_OF) - np.timedelta64(14, "D")
    assert drift.chance[last].mean() / standard.chance[last].mean() == pytest.approx(0.58, abs=0.06)


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_a_world_reads_its_own_name(name: str):
    world = World.parse(name)
    assert World.parse(str(world)) == world


@pytest.mark.parametrize("group", ["ethnicity=K", "decile=10", "core20", "sex=2", "interpreter", "disability"])
def test_a_world_takes_any_of_these_groups(group: str, tmp_path: Path):
    world = World.parse(f"biased-label {group}")
    assert world.group == TargetGroup.parse(group)
    simulate(tmp_path / "w.parquet", appointments=1_000, seed=1, world=world)
    assert pq.read_schema(tmp_path / "w.parquet").metadata[b"dnapredict.world"].decode() == f"biased-label:{group}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fair", "No world 'fair'"),
        ("drift:core20", "takes no group"),
        ("under-scored:ethnicity=Q", "'ethnicity' takes A, B"),
        ("under-scored:height", "No group 'height'"),
        ("thin-history:core20=1", "'core20' takes no value"),
    ],
)
def test_a_world_that_does_not_exist_is_refused(text: str, words: str):
    with pytest.raises(UsageError, match=words):
        World.parse(text)

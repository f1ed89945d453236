"""What an audit covers of its model's test: what is noticed, how often by mistake, and what earlier releases kept."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from dnapredict.errors import StoreError
from dnapredict.fairness.compare.e_values import EvidenceIncrement, evidence_before
from dnapredict.fairness.gates.record_gates import coverage_problems
from dnapredict.fairness.measure.coverage import Coverage, CoverageCell, coverage_cells, group_sums
from dnapredict.fairness.measure.membership import Group
from dnapredict.model.cohort import appointment_keys
from dnapredict.registry import tested_appointments as kept
from dnapredict.registry.tested_appointments import ATTENDED, MISSED, RecordedOutcomes, TrainingExtract

LEAST = 0.98
DAY = datetime.date(2026, 3, 2)
MODEL = "a" * 64


def cells(tested: np.ndarray, found: np.ndarray, foreign: np.ndarray | None = None) -> tuple[CoverageCell, ...]:
    """One cell for each group, all of missed appointments."""
    foreign = np.zeros(len(tested), dtype=int) if foreign is None else foreign
    return tuple(
        CoverageCell("ethnicity", Group(str(n), f"Group {n}"), True, int(t), int(f), int(f + x), int(x))
        for n, (t, f, x) in enumerate(zip(tested, found, foreign, strict=True))
    )


def covering(made: tuple[CoverageCell, ...]) -> Coverage:
    tested, found = sum(cell.tested for cell in made), sum(cell.found for cell in made)
    audited = sum(cell.audited for cell in made)
    return Coverage(tested, found, 0, 0, audited, sum(cell.foreign for cell in made), made)


def test_a_loss_by_chance_is_called_incomplete_in_fewer_than_one_audit_in_a_hundred():
    """1,000 audits of 40 groups, of which 1 in 100 appointments is lost, and patients' rows are lost two at a time."""
    random, alarms = np.random.default_rng(1), 0
    sizes = np.array([20, 50, 100, 400, 2_000] * 8)
    for _ in range(1_000):
        lost = 2 * random.binomial(sizes // 2, 0.01)
        alarms += bool(coverage_problems(covering(cells(sizes, sizes - lost)), LEAST))
    assert alarms < 10


@pytest.mark.parametrize(
    ("tested", "lost", "noticed"), [(20, 20, True), (80, 24, True), (400, 60, True), (2_000, 160, True), (80, 4, False)]
)
def test_missed_appointments_left_out_of_one_group_are_noticed_and_the_group_is_named(tested, lost, noticed):
    sizes = np.array([3_000, tested, 900])
    problems = coverage_problems(covering(cells(sizes, sizes - [0, lost, 0])), LEAST)
    assert any("the missed appointments of Group 1." in problem for problem in problems) == noticed
    assert not any("Group 0" in problem or "Group 2" in problem for problem in problems)


def test_appointments_moved_into_a_group_are_noticed_unless_they_were_of_unknown_group():
    sizes, found = np.array([30_000, 100]), np.array([29_700, 400])
    moved = cells(sizes, found)
    assert "now of the missed appointments of Group 1" in " ".join(coverage_problems(covering(moved), LEAST))
    unknown = Group("99", "Not asked", known=False)
    asked = (CoverageCell("ethnicity", unknown, True, 900, 600, 600, 0), *cells(np.array([30_000, 100]), [30_000, 400]))
    assert coverage_problems(covering(asked), LEAST) == []


def test_groups_come_in_the_order_of_the_training_in_every_run():
    """A report names the first five: iterated as a set, they were others each time."""
    codes = "NSABCDEFGHJKLMPR"
    tested = {"sex": {"2": (30, 5), "1": (40, 6)}, "ethnicity": dict.fromkeys(codes, (30, 5))}
    none = np.zeros(0, dtype=bool)
    made = coverage_cells(tested, pa.table({}), none, found=none, foreign=none)
    expected = [("ethnicity", code) for code in codes] + [("sex", "2"), ("sex", "1")]
    assert [(cell.grouping, cell.group.code) for cell in made if cell.missed] == expected


def test_no_number_of_a_group_is_told():
    sizes = np.array([3_000, 83, 900])
    told = " ".join(coverage_problems(covering(cells(sizes, sizes - [0, 40, 0])), LEAST))
    assert not any(number in told for number in ("83", "43", "40", "51", "52"))


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=8))
def test_an_audit_of_all_of_them_as_they_were_has_no_problem(sizes):
    whole = np.array([max(pair) for pair in sizes]) + 1
    assert coverage_problems(covering(cells(whole, whole)), LEAST) == []


def appointments(n: int, *, seed: int = 1) -> RecordedOutcomes:
    random = np.random.default_rng(seed)
    outcome = np.where(random.random(n) < 0.1, MISSED, ATTENDED).astype(np.int8)
    names = pa.chunked_array([[f"appointment {number}" for number in random.integers(0, 2**60, n)]])
    return RecordedOutcomes(names, outcome, np.full(n, np.datetime64(DAY)), pa.table({}))


def part(of: RecordedOutcomes, rows: np.ndarray | slice) -> RecordedOutcomes:
    kept_ = of.appointment.take(np.arange(len(of.day))[rows])
    return RecordedOutcomes(kept_, of.outcome[rows], of.day[rows], of.groups)


def test_what_the_training_kept_is_found_again_and_a_changed_file_is_refused(tmp_path: Path):
    rows = appointments(2_000)
    sha256 = kept.keep_training(tmp_path, TrainingExtract(rows, {}), digest=MODEL, test_from=DAY)
    found = kept.coverage(tmp_path, rows, digest=MODEL, version="1", sha256=sha256)
    assert found is not None
    assert (found.tested, found.found, found.changed, found.foreign) == (2_000, 2_000, 0, 0)
    other = RecordedOutcomes(rows.appointment, 1 - rows.outcome, rows.day, rows.groups)
    found = kept.coverage(tmp_path, other, digest=MODEL, version="1", sha256=sha256)
    assert found is not None
    assert (found.found, found.changed, found.moved) == (0, 2_000, 0)
    path = tmp_path / "tested" / "coverage" / f"{MODEL}.parquet"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(StoreError, match="is missing or was changed"):
        kept.coverage(tmp_path, rows, digest=MODEL, version="1", sha256=sha256)


def test_no_identifier_can_be_read_from_what_is_kept(tmp_path: Path):
    rows = appointments(100)
    kept.keep_training(tmp_path, TrainingExtract(rows, {}), digest=MODEL, test_from=DAY)
    name = kept.keep_audited(tmp_path, rows)
    written = [path.read_bytes() for path in (tmp_path / "tested").rglob("*") if path.is_file()]
    plain = appointment_keys(rows.appointment)
    for name_, key in zip(rows.appointment.to_pylist()[:20], plain[:20].tolist(), strict=True):
        hidden = [name_.encode(), key.to_bytes(8, "little"), key.to_bytes(8, "big")]
        assert not any(value in content for content in written for value in hidden)
    assert (tmp_path / "tested" / "audits" / name).stat().st_mode & 0o777 == 0o600


def test_an_audit_covers_an_earlier_one_if_it_holds_its_missed_and_its_attended_appointments(tmp_path: Path):
    rows = appointments(4_000)
    whole = kept.keep_audited(tmp_path, rows)
    more = kept.keep_audited(tmp_path, appointments(4_100))
    nearly = kept.keep_audited(tmp_path, part(rows, slice(0, 3_960)))
    half = kept.keep_audited(tmp_path, part(rows, slice(0, 2_000)))
    lost = np.flatnonzero(rows.outcome == MISSED)[:20]
    few_missed = kept.keep_audited(tmp_path, part(rows, np.setdiff1d(np.arange(4_000), lost)))
    for by, covers in ((whole, True), (nearly, True), (half, False), (few_missed, False), (more, False)):
        assert kept.is_covered(tmp_path, whole, by=by) == covers
    assert kept.is_covered(tmp_path, half, by=whole)
    (tmp_path / "tested" / "audits" / half).unlink()
    assert not kept.is_covered(tmp_path, half, by=whole)


MONTHS = [(datetime.date(2026, month, 1), datetime.date(2026, month, 28)) for month in range(1, 7)]


@given(st.lists(st.integers(0, 4), max_size=12), st.floats(-3, 3), st.booleans())
def test_evidence_counts_each_month_once_however_often_it_is_audited(months, log_e, audits_the_first_again):
    increments = [EvidenceIncrement("core20", "core20", log_e, -log_e, *MONTHS[month]) for month in months]
    window = MONTHS[months[0]] if months and audits_the_first_again else MONTHS[5]
    counted = {month for month in months if MONTHS[month] != window}
    total = evidence_before(increments, window)
    assert total.keys() == ({("core20", "core20")} if counted else set())
    for behind, alike in total.values():
        assert behind == pytest.approx(log_e * len(counted))
        assert alike == pytest.approx(-log_e * len(counted))


def summed(group: np.ndarray, keys: np.ndarray, *, like: dict | None = None) -> dict:
    table = pa.table({"ethnic_category_code": pa.array(group)})
    return group_sums(table, np.ones(len(group), dtype=bool), keys, like=like)


def exchanged_cells(before: np.ndarray, now: np.ndarray, keys: np.ndarray) -> tuple[CoverageCell, ...]:
    """The cells of missed appointments whose ethnic group was `before` at the training and is `now` at the audit."""
    sums, whole = summed(before, keys), np.ones(len(now), dtype=bool)
    tested = {"ethnicity": {code: (0, int((before == code).sum())) for code in np.unique(before)}}
    made = coverage_cells(
        tested, pa.table({"ethnic_category_code": now}), whole, found=whole, foreign=~whole, keys=keys, sums=sums
    )
    return tuple(cell for cell in made if cell.grouping == "ethnicity")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=examples(25), deadline=None)
def test_groups_that_were_asked_since_are_not_taken_for_exchanged_and_dealt_out_ones_are(seed):
    random = np.random.default_rng(seed)
    keys = random.integers(0, 2**64, 6_000, dtype=np.uint64)
    before = random.choice(np.array(["A", "H", "N", "Z"]), 6_000, p=[0.6, 0.15, 0.05, 0.2])
    asked = np.where((before == "Z") & (random.random(6_000) < 0.6), random.choice(["A", "H", "N"], 6_000), before)
    assert covering(exchanged_cells(before, asked, keys)).exchanged(LEAST) == ()
    corrected = np.where(random.random(6_000) < 0.005, "A", before)
    assert covering(exchanged_cells(before, corrected, keys)).exchanged(LEAST) == ()
    dealt = random.permutation(before)
    assert {cell.group.code for cell in covering(exchanged_cells(before, dealt, keys)).exchanged(LEAST)} >= {"A", "H"}


def test_no_sum_is_over_fewer_than_two_appointments():
    for size in (0, 40, 63, 64, 700, 5_000):
        keys = np.random.default_rng(size).integers(0, 2**64, size, dtype=np.uint64)
        for sums in summed(np.full(size, "A"), keys).values():
            assert len(sums) * 2 <= size
    assert summed(np.full(63, "A"), np.zeros(63, dtype=np.uint64)) == {}

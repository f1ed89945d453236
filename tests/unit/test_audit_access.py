"""Who is on the list, who waits, who misses: the figures are right, clustered, and small ones stay hidden."""

import csv
import datetime
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.plain_words import BANNED
from tests.spec.appointments import table as spec_table

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.data.contract.codes import BARRIER
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.digests import keyed_hash, read_secret
from dnapredict.data.validation import contract_check
from dnapredict.errors import DataError, UsageError
from dnapredict.fairness.access import AccessAssessment, AccessContext, AccessData, assess, write
from dnapredict.fairness.access.access_counts import count_access
from dnapredict.fairness.access.access_findings import findings
from dnapredict.fairness.measure.groupings import grouping_named
from dnapredict.fairness.measure.membership import membership
from dnapredict.pipeline import access_inputs
from dnapredict.worklist.calls.stated_opt_outs import LOG_SECRET
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore

pytestmark = pytest.mark.usefixtures("drawn")

POLICY = load(shipped("fairness/policy.toml"), Policy)
CONTEXT = AccessContext(
    "list.parquet", "b" * 64, (datetime.date(2025, 1, 1), datetime.date(2025, 12, 31)), "c" * 40, True
)
ROWS, PATIENTS = 20_000, 8_000


def service(seed: int = 1) -> pa.Table:
    """Made-up appointments: deprived people wait longer and miss more; five Irish patients are few."""
    random = np.random.default_rng(seed)
    decile = random.integers(1, 11, PATIENTS)
    ethnicity = random.choice(["A", "J", "N", "Z", None], PATIENTS, p=[0.6, 0.1, 0.1, 0.1, 0.1])
    ethnicity[:5] = "B"
    patient = random.integers(0, PATIENTS, ROWS)
    deprived = decile[patient] <= 2
    wait = random.poisson(np.where(deprived, 60, 30))
    missed = random.random(ROWS) < np.where(deprived, 0.14, 0.06)
    code = np.where(missed, "3", random.choice(["5", "6", "2", "4"], ROWS, p=[0.7, 0.1, 0.1, 0.1]))
    ahead = random.random(ROWS) < 0.1
    return pa.table(
        {
            "patient": patient,
            "starts_at": np.datetime64("2025-01-01", "us") + random.integers(0, 360, ROWS).astype("m8[D]"),
            "wait_days": wait,
            "outcome_code": pa.array(code, mask=ahead),
            "ahead": ahead,
            "first_attendance_code": random.choice(["1", "2"], ROWS),
            "remote": random.random(ROWS) < 0.2,
            "imd_decile": decile[patient],
            "ethnic_category_code": pa.array(ethnicity[patient].tolist(), pa.string()),
            "gender_code": np.where(patient % 2 == 0, "1", "2"),
            "age_years": (patient % 90).astype(float),
            "plus_group": pa.array(np.where(patient % 40 == 0, "Learning disability", None).tolist(), pa.string()),
        }
    )


def listed(table: pa.Table) -> AccessData:
    return AccessData.of(table, dna_codes=("3", "7"))


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return service()


@pytest.fixture(scope="module")
def access(table: pa.Table) -> AccessAssessment:
    return assess(listed(table), policy=POLICY, context=CONTEXT)


@pytest.fixture(scope="module")
def folder(access: AccessAssessment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(access, tmp_path_factory.mktemp("access") / "report").parent


def test_rates_and_waits_are_those_of_the_rows(table: pa.Table):
    members = membership(listed(table).grouped, grouping_named("core20"))
    assert members is not None
    core20 = count_access(listed(table), members).counts[0]
    frame = table.to_pandas()
    own = frame[frame["imd_decile"] <= 2]
    known = own[own["outcome_code"].isin(["3", "5", "6"])]
    first = known[known["first_attendance_code"] == "1"]
    assert core20.rate("missed").value == pytest.approx((known["outcome_code"] == "3").mean(), abs=1e-12)
    assert core20.rate("wait_over_6_weeks").value == pytest.approx((first["wait_days"] > 42).mean(), abs=1e-12)
    assert core20.wait(0.5) == pytest.approx(first["wait_days"].median(), abs=1)
    assert core20.patients == own["patient"].nunique()
    assert core20.upcoming == own["ahead"].sum()


def test_ranges_are_clustered_by_patient(table: pa.Table):
    members = membership(listed(table).grouped, grouping_named("core20"))
    assert members is not None
    rate = count_access(listed(table), members).total.rate("missed")
    frame = table.to_pandas()
    known = frame[frame["outcome_code"].isin(["3", "5", "6"])]
    sums = known.assign(missed=known["outcome_code"] == "3").groupby("patient")["missed"].agg(["sum", "count"])
    ratio = sums["sum"].sum() / sums["count"].sum()
    # Patients without such an appointment add nothing to the sum, and are in the small-sample factor.
    people = frame["patient"].nunique()
    spread = ((sums["sum"] - ratio * sums["count"]) ** 2).sum() * people / (people - 1)
    effect = spread / (sums["count"].sum() * ratio * (1 - ratio))
    assert rate.design_effect == pytest.approx(max(1.0, effect), rel=1e-6)
    copied = pa.concat_tables([table, table])  # each appointment twice tells nothing new
    twice = count_access(listed(copied), membership(listed(copied).grouped, grouping_named("core20")))  # type: ignore[arg-type]
    again = twice.total.rate("missed")
    assert again.denominator / again.design_effect == pytest.approx(rate.denominator / effect, rel=1e-6)


def test_page_one_answers_the_questions_of_a_board_in_numbers_of_people(access: AccessAssessment):
    said = {one.question: one.answer for one in findings(access)}
    assert re.search(
        r"Of every 100 people with an appointment, (19|20|21) live in the most", said["Who is on the list?"]
    )
    assert re.search(r"within (59|60|61) days of booking; of other people, within (29|30|31)\.", said["Who waits?"])
    assert "Chance does not explain the gap" in said["Who misses their appointment?"]
    assert "Learning disability" in said["Who needs more help to come?"]
    assert "declined to say 10 in 100" in said["Whom can we not see?"]


@pytest.mark.cases(2)
@pytest.mark.parametrize(
    ("share", "sentence", "title"),
    [
        (None, r"days of booking; .* not the wait since referral, which the extract does not hold\.", "booking"),
        (0.0, r"days of booking; .* not the wait since referral, which the extract does not hold\.", "booking"),
        (1.0, r"days of referral; of other people, within \d+\. Longer than six weeks: [^.]*\.$", "referral"),
        (
            0.8,
            r"days of referral, or booking where no referral is recorded; .* referral is recorded for 80 in 100; ",
            "referral, or booking where no referral is recorded",
        ),
    ],
)
def test_the_report_says_from_when_waits_are_counted(table: pa.Table, tmp_path: Path, share, sentence, title):
    if share is not None:
        known = np.random.default_rng(3).random(ROWS) < share
        table = table.append_column("from_referral", pa.array(known))
    access = assess(listed(table), policy=POLICY, context=CONTEXT)
    answers = {one.question: one.answer for one in findings(access)}
    assert re.search(sentence, answers["Who waits?"])
    folder = write(access, tmp_path / "report").parent
    lines = list(csv.DictReader((folder / "indicators.csv").read_text(encoding="utf-8-sig").splitlines()))
    titles = {line["title"] for line in lines if line["indicator"] == "wait_over_6_weeks"}
    assert titles == {f"First appointment more than 6 weeks after {title}"}
    assert json.loads((folder / "access.json").read_text())["waits_counted_from"] == title
    assert f"Days are from {title}" in (folder / "access.html").read_text()


def test_waits_are_counted_from_referral_where_it_is_known_and_else_from_booking():
    appointments = spec_table("""
        appointment_id | booked_at  | referred_at | rtt_period_start | starts_at        | outcome_code
        referral       | 2025-01-20 | 2025-01-01  | 2025-01-05       | 2025-02-01 09:00 | 5
        rtt            | 2025-01-20 |             | 2025-01-05       | 2025-02-01 09:00 | 5
        booking        | 2025-01-20 |             |                  | 2025-02-01 09:00 | 5
        unreadable     | 2025-01-20 | next week   |                  | 2025-02-01 09:00 | 5
        afterwards     | 2025-01-20 | 2025-03-01  |                  | 2025-02-01 09:00 | 5
        placeholder    | 2025-01-20 | 1900-01-01  | 2999-12-31       | 2025-02-01 09:00 | 5
        the same day   | 2025-01-20 | 2025-02-01  |                  | 2025-02-01       | 5
    """)
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(appointments), workspace, source="list")
        data = access_inputs.listed(checked, dna_codes=("3", "7"), source="list", workspace=workspace)
        assert checked.rejections == ()
        assert list(map(str, checked.unreadable)) == [
            "referred_at: 3 cells are not a date and time before the appointment and count as not known (rows 5, 6, 7)",
            "rtt_period_start: 1 cell is not a date and time before the appointment and counts as not known (row 7)",
        ]
    waits = zip(data.table["wait_days"].to_pylist(), data.table["from_referral"].to_pylist(), strict=True)
    assert list(waits) == [
        (31, True), (27, True), (12, False), (12, False), (12, False), (12, False), (0, True),
    ]  # fmt: skip


def test_providers_places_and_people_with_a_learning_disability_are_groups(table: pa.Table):
    """As any other: with unknown ones apart, and those of fewer people than may be shown hidden."""
    people = table["patient"].to_numpy()
    flags = {
        "provider_code": np.where(people % 2 == 0, "RBL", "RBN"),
        "place_code": np.where(people == 7, "Sefton", np.where(people % 5 == 0, None, "Wirral")),
        "learning_disability_flag": np.where(people % 10 == 0, "Y", np.where(people % 3 == 0, None, "N")),
    }
    for name, values in flags.items():
        table = table.append_column(name, pa.array(values.tolist(), pa.string()))
    access = assess(listed(table), policy=POLICY, context=CONTEXT)
    names = ("provider", "place", "learning_disability")
    codes = {name: {row.group.code for row in found.rows} for name in names if (found := access.table(name))}
    assert codes == {
        "provider": {"RBL", "RBN", "blank"},
        "place": {"Sefton", "Wirral", "blank"},
        "learning_disability": {"yes", "no", "unknown"},
    }
    place = access.table("place")
    assert place
    assert place.row("Sefton").numbers["patients"] is None  # type: ignore[union-attr]
    assert (
        "Learning disability recorded"
        in {one.question: one.answer for one in findings(access)}["Who needs more help to come?"]
    )


def test_a_small_group_is_hidden_with_its_ranges_everywhere(folder: Path):
    """Five Irish patients: no number of theirs, nor a rate, nor a range, in CSV, JSON or page."""
    lines = list(csv.DictReader((folder / "indicators.csv").read_text(encoding="utf-8-sig").splitlines()))
    irish = [line for line in lines if (line["grouping"], line["code"]) == ("ethnicity", "B")]
    people = {"patients", "share_of_patients", "missed", "median_wait", "more_missed"}
    assert {line["value"] for line in irish if line["indicator"] in people} == {"*"}
    assert {line["low"] for line in irish if line["indicator"] in people - {"patients"}} == {"*"}
    figures = json.loads((folder / "access.json").read_text())
    row = next(r for r in figures["groupings"]["ethnicity"]["rows"] if r["group"]["code"] == "B")
    assert row["numbers"]["patients"] is None
    assert row["share"] is row["median_wait"] is row["more_missed"] is row["measures"]["missed"]["rate"] is None


def test_every_number_that_is_written_is_hidden_or_rounded(folder: Path):
    for line in csv.DictReader((folder / "indicators.csv").read_text(encoding="utf-8-sig").splitlines()):
        numbers = [line["numerator"], line["denominator"]]
        numbers += [line["value"]] if line["unit"] == "number" else []
        for number in numbers:
            assert number in {"", "*"} or (int(number) % 5 == 0 and int(number) not in range(1, 8))


def with_barriers(table: pa.Table, seed: int = 3) -> pa.Table:
    """One appointment in ten with a barrier: transport mostly in deprived areas, fear of three Irish patients alone."""
    random = np.random.default_rng(seed)
    deprived = table["imd_decile"].to_numpy() <= 2
    often = np.where(random.random(ROWS) < np.where(deprived, 0.8, 0.2), "transport", "work")
    said = np.where(random.random(ROWS) < 0.1, often, "")
    irish = np.flatnonzero(np.array(table["ethnic_category_code"].to_pylist()) == "B")[:3]
    said[irish] = "fear"
    return table.append_column("barrier", pa.array(said.tolist(), mask=said == ""))


@pytest.fixture(scope="module")
def asked(table: pa.Table) -> pa.Table:
    return with_barriers(table)


@pytest.fixture(scope="module")
def told(asked: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        assess(listed(asked), policy=POLICY, context=CONTEXT), tmp_path_factory.mktemp("asked") / "report"
    ).parent


def test_barriers_are_counted_by_group_rounded_and_without_small_numbers(asked: pa.Table, told: Path):
    shown = json.loads((told / "access.json").read_text())["groupings"]
    rows = {row["group"]["code"]: row for row in shown["core20"]["rows"]}
    deprived = np.array(asked["imd_decile"].to_pylist()) <= 2
    named = np.array(asked["barrier"].to_pylist())
    for code, own in (("core20", deprived), ("rest", ~deprived)):
        exact = int(((named == "transport") & own).sum())
        assert abs(rows[code]["barriers"]["transport"] - exact) < 5
    assert rows["core20"]["barriers"]["transport"] > rows["core20"]["barriers"]["work"]
    assert {row["barriers"]["fear"] for row in shown["ethnicity_5"]["rows"]} <= {0, None}
    assert None in {row["barriers"]["fear"] for row in shown["ethnicity_5"]["rows"]}
    test_every_number_that_is_written_is_hidden_or_rounded(told)


def test_the_barriers_of_the_groups_give_no_small_number_of_one_back(asked: pa.Table):
    """Whoever adds up what is printed for the other groups leaves each hidden small number at least three values."""
    found = assess(listed(asked), policy=POLICY, context=CONTEXT)
    for table in found.tables:
        tallied = count_access(listed(asked), membership(listed(asked).grouped, grouping_named(table.name)))
        for place, code in enumerate(BARRIER):
            total = found.everyone.rows[0].barriers[code]
            small = [own.barriers[place] for own in tallied.counts if 0 < own.barriers[place] < 8]
            if total is None or not small:
                continue
            printed = [row.barriers[code] for row in table.rows]
            rest = total - sum(filter(None, printed))
            # Each printed number is at most 2 away from its count.
            slack = 2 * (1 + len([number for number in printed if number]))
            assert len([value for value in range(8) if rest - slack <= value <= rest + slack]) >= 3, (table.name, code)


def test_the_page_says_what_makes_it_hard_to_come_where_anybody_was_asked(told: Path, folder: Path):
    page = (told / "access.html").read_text()
    assert "What makes it hard to come" in page
    assert "one reason an appointment" in page
    assert "The time does not suit" in page
    assert "What makes it hard to come" not in (folder / "access.html").read_text()
    assert "barrier_" not in (folder / "indicators.csv").read_text(encoding="utf-8-sig")
    assert not [word for word in BANNED if word in page.casefold()]


def test_barriers_come_from_the_calls_of_the_home_by_the_hash_of_the_appointment(tmp_path: Path):
    home, secret = tmp_path / "home", "ab" * 32
    home.mkdir()
    (home / LOG_SECRET).write_text(secret)
    appointments = ("101", "102", "not in the extract")
    rows = [dict.fromkeys(OUTCOME_SCHEMA.names) for _ in appointments]
    for row, appointment, barrier in zip(rows, appointments, ("cost", None, "work"), strict=True):
        row |= {"appointment": keyed_hash(read_secret(home / LOG_SECRET), "appointment", appointment)}
        row |= {"barrier": barrier}
    OutcomeStore(home).write(pa.Table.from_pylist(rows, schema=OUTCOME_SCHEMA))
    table = pa.table(
        {
            "appointment_id": ["101", "102", "103"],
            "patient_id": ["1", "2", "3"],
            "booked_at": ["2025-01-01"] * 3,
            "starts_at": ["2025-02-01"] * 3,
            "outcome_code": ["5", "5", "3"],
        }
    )
    with Workspace() as workspace:
        checked = contract_check.check(workspace.keep(table_with_numbers(table)), workspace, source="x")
        asked = access_inputs.listed(checked, dna_codes=("3",), source="x", workspace=workspace, home=home)
        without = access_inputs.listed(checked, dna_codes=("3",), source="x", workspace=workspace)
    assert sorted(asked.table["barrier"].to_pylist(), key=str) == [None, None, "cost"]
    assert asked.has_barriers
    assert not without.has_barriers
    assert "appointment_id" not in asked.table.column_names


def table_with_numbers(table: pa.Table) -> pa.Table:
    return table.append_column("row_number", pa.array(range(1, table.num_rows + 1)))


def test_shares_stand_beside_those_of_england(folder: Path):
    lines = list(csv.DictReader((folder / "indicators.csv").read_text(encoding="utf-8-sig").splitlines()))
    shares = {(line["grouping"], line["code"]): line for line in lines if line["indicator"] == "share_of_patients"}
    assert float(shares["imd_decile", "1"]["england"]) == 0.1
    core20 = shares["core20", "core20"]
    assert float(core20["england"]) == 0.2
    assert float(core20["low"]) < float(core20["value"]) < float(core20["high"])


def test_no_word_blames_a_patient_and_the_page_asks_nobody_for_anything(folder: Path):
    page = (folder / "access.html").read_text().casefold()
    assert not [word for word in BANNED if word in page]
    assert not re.findall(r"<script|https?://|@import|url\((?!#)|<link|<img|<iframe|\son[a-z]+=", page)
    assert "synthetic data" in page


def test_an_extract_without_groups_says_what_it_lacks(table: pa.Table, tmp_path: Path):
    bare = table.select(["patient", "starts_at", "wait_days", "outcome_code", "ahead"])
    page = write(assess(listed(bare), policy=POLICY, context=CONTEXT), tmp_path / "bare").read_text()
    assert "The extract holds no deprivation decile" in page
    assert "Not in this extract:</strong> how deprived" in page


def test_an_earlier_report_is_replaced_and_other_files_are_left_alone(access: AccessAssessment, tmp_path: Path):
    out = tmp_path / "report"
    write(access, out)
    assert write(access, out) == out / "access.html"
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="other files"):
        write(access, tmp_path)


def test_a_table_without_what_is_needed_is_refused(table: pa.Table):
    with pytest.raises(DataError, match="wait_days"):
        listed(table.drop_columns(["wait_days"]))
    with pytest.raises(DataError, match="no appointment"):
        listed(table.slice(0, 0))

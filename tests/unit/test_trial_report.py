"""The report of a trial: from the outcome store of a home to files in which no small number can be found."""

import csv
import datetime
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.test_trial_planning import LedgerOnly

from dnapredict.config.trial_config import TrialConfig
from dnapredict.errors import StoreError, UsageError
from dnapredict.pipeline.in_use import trial_reporting
from dnapredict.pipeline.in_use.trial_reporting import TrialReport, report_trial
from dnapredict.registry.decision_ledger import Decisions, HeadFile, NewEntry
from dnapredict.trial.pre_registration import ArmSizes, PreRegistration, registration_file
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.follow_up.outcome_store import OUTCOME_SCHEMA, OutcomeStore
from dnapredict.worklist.plan.benefit_ranking import read_benefit_model

pytestmark = pytest.mark.usefixtures("drawn")

NAME, START, WEEKS = "Calls 2026", datetime.date(2026, 11, 30), 20
MARKED = "patientmarked"


@pytest.fixture(autouse=True)
def _ledger_of_the_day_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry without MLflow, whose entries are of the day before the start."""
    past = datetime.datetime(START.year, START.month, START.day - 1, 9, tzinfo=datetime.UTC)
    monkeypatch.setattr("dnapredict.registry.decision_ledger.utc_now", lambda: past)
    monkeypatch.setattr(trial_reporting, "Registry", LedgerOnly)


def outcomes(
    appointments: int = 3_000,
    *,
    middle_only: bool = False,
    prevented: float = 0.45,
    missing: float = 0.0,
    not_called: float = 0.0,
) -> pa.Table:
    """Rows of the outcome store: a trial with three in ten held out.

    `missing` is the share of the outcomes of those held out that are not recorded, `not_called` the share of them who
    are not in the store at all.
    """
    generator = np.random.default_rng(3)
    patients = int(appointments / 1.3)
    patient = generator.integers(0, patients, appointments)
    treated = (generator.random(patients) < 0.7)[patient]
    odds = generator.normal(-1.4, 0.8, appointments)
    risk = 1 / (1 + np.exp(-odds))
    share = 0.7 * np.exp(-(((odds + 1.4) / 0.4) ** 2)) if middle_only else np.full(appointments, prevented)
    missed = generator.random(appointments) < risk * np.where(treated, 1 - share, 1.0)
    cancelled = generator.random(appointments) < 0.05
    code = np.where(cancelled, "2", np.where(missed, "3", "5")).astype(object)
    code[~treated & (generator.random(appointments) < missing)] = None
    starts = np.datetime64(START, "us") + (generator.random(appointments) * WEEKS * 7 * 86_400e6).astype(
        "timedelta64[us]"
    )
    reached = treated & (generator.random(appointments) < 0.6)
    columns = {
        "appointment": [f"{MARKED}{row}" for row in range(appointments)],
        "patient": [f"{MARKED}{code}" for code in patient],
        "starts_at": starts,
        "probability": risk,
        "trial": [NAME] * appointments,
        "stratum": np.where(risk > 0.2, "risk_band=High", "risk_band=Raised"),
        "trial_arm": np.where(treated, "TREATMENT", "CONTROL"),
        "attempts": np.where(treated, 2, 0),
        "reached": reached,
        "opted_out": np.arange(appointments) < 3,
        "call_outcome": np.where(reached, "Confirmed", "No answer"),
        "outcome_code": code.tolist(),
        "missed": [None if one in {None, "2"} else one == "3" for one in code],
        "recorded_at": pa.array(starts + np.timedelta64(2, "D"), mask=np.array([one is None for one in code])),
        "age_years": generator.integers(0, 95, appointments).astype(float),
        "imd_decile": generator.integers(1, 11, appointments),
        "ethnic_category_code": generator.choice(list("AAAAAAAABCDHJKMNP"), appointments),
        "consultation_mechanism_code": np.where(generator.random(appointments) < 0.2, "02", "01"),
    }
    table = pa.table(
        [
            pa.array(columns[name]).cast(kind) if name in columns else pa.nulls(appointments, kind)
            for name, kind in zip(OUTCOME_SCHEMA.names, OUTCOME_SCHEMA.types, strict=True)
        ],
        schema=OUTCOME_SCHEMA,
    )
    gone = ~treated & (generator.random(patients) < not_called)[patient]
    return table.filter(pa.array(~gone))


def with_values(rows: pa.Table, **values: object) -> pa.Table:
    """The same rows with other values of some columns."""
    for name, column in values.items():
        rows = rows.set_column(
            rows.column_names.index(name), rows.schema.field(name), pa.array(column).cast(rows.schema.field(name).type)
        )
    return rows


def home_with(rows: pa.Table, folder: Path, *, weeks: int = WEEKS - 1, is_registered: bool = True) -> Path:
    """A home with these outcomes, and a trial of so many weeks."""
    home = folder / "home"
    home.mkdir()
    OutcomeStore(home).write(rows)
    if is_registered:
        settings = TrialConfig(
            name=NAME,
            share_held_out=0.3,
            start=START,
            end=START + datetime.timedelta(weeks=weeks),
            approved_by="The research committee",
            why_ethical="Nobody knows yet whether these calls help anybody at all.",
        )
        sizes = ArmSizes(
            called=2_100, held_out=900, weeks_needed=20, weeks_planned=20.0, relative_risk_looked_for=0.61,
            detectable_relative_risk=0.7, share_missed=0.2, calls_a_week=105.0, design_effect=1.05, power=0.8,
            alpha=0.05,
        )  # fmt: skip
        registration = PreRegistration(registered_on=START, settings=settings, share_drawn="3/10", sizes=sizes)
        registration.write(home)
        entry = NewEntry("trial", {"name": NAME, "sha256": registration.sha256, "until": str(settings.end)})
        Decisions(home, (HeadFile(home),)).create([entry])
    return home


def reported(rows: pa.Table, folder: Path, **settings: object) -> tuple[TrialReport, dict]:
    report = report_trial(home_with(rows, folder, **settings), folder / "out", pounds_per_call=2.0)
    return report, json.loads((folder / "out" / "trial.json").read_text())


def test_the_figures_of_a_finished_trial(tmp_path: Path):
    report, figures = reported(outcomes(), tmp_path)
    effect = figures["effect"]
    assert effect["intention_to_treat"]["high"] < 0
    assert effect["complier"]["risk_difference"] < effect["intention_to_treat"]["risk_difference"]
    assert effect["relative_risk"]["low"] < 0.55 < effect["relative_risk"]["high"]
    always, once = effect["always_valid"], effect["intention_to_treat"]
    assert always["low"] < once["low"]
    assert once["high"] < always["high"]
    assert set(figures["by"]) == {"risk", "imd_quintile", "ethnicity_5", "age", "mode"}
    assert {"group", "risk_difference", "low", "high"} <= figures["by"]["mode"][0].keys()
    assert figures["claim"].startswith("In this trial calls lowered missed appointments, beyond chance, by the planned")
    assert figures["ranking"] == "risk"
    assert figures["ranking_reason"].startswith("By risk: that benefit ranks better is not shown.")
    assert report.page.name == "report.html"


def test_calls_and_money_for_each_appointment_that_is_kept(tmp_path: Path):
    _, figures = reported(outcomes(), tmp_path)
    costs, counts = figures["costs"], figures["counts"]
    kept = -figures["effect"]["intention_to_treat"]["risk_difference"] * counts["treated"]
    assert costs["calls_each"]["value"] == pytest.approx(2 * counts["treated"] / kept, rel=0.02)
    assert costs["pounds_each"]["value"] == pytest.approx(2 * costs["calls_each"]["value"], abs=0.01)


def test_without_an_effect_nothing_has_a_cost_and_nothing_is_claimed(tmp_path: Path):
    _, figures = reported(outcomes(prevented=0.0), tmp_path)
    assert figures["claim_kind"] == "not shown"
    assert (figures["costs"]["calls_each"], figures["costs"]["pounds_each"]) == (None, None)


def test_the_benefit_model_is_written_where_benefit_ranks_better(tmp_path: Path):
    report, figures = reported(outcomes(20_000, middle_only=True), tmp_path)
    assert figures["ranking"] == "benefit"
    assert report.benefit_model == tmp_path / "home" / "trial" / "benefit.json"
    model = read_benefit_model(report.benefit_model)
    assert figures["benefit_model"] == model.digest
    middle = int(np.argmax(model.in_person))
    assert 0 < middle < len(model.knots) - 1


@pytest.mark.parametrize(
    ("settings", "world", "kind"),
    [
        ({"weeks": 40}, {"prevented": 0.0}, "not yet"),
        ({"is_registered": False}, {"prevented": 0.0}, "not yet"),
        ({}, {"missing": 0.2}, "outcomes unlike"),
        ({}, {"not_called": 0.3}, "arms unlike"),
        ({}, {"appointments": 60}, "too few"),
    ],
)
def test_what_is_claimed_in_other_cases(settings: dict, world: dict, kind: str, tmp_path: Path):
    _, figures = reported(outcomes(**world), tmp_path, **settings)
    assert figures["claim_kind"] == kind
    assert figures["ranking"] == "risk"
    if kind not in ("not yet", "not shown"):
        assert set(figures["effect"].values()) == {None}
        assert not any(row["risk_difference"] for rows in figures["by"].values() for row in rows)
        assert figures["looks"] == []


def test_no_small_number_is_printed_and_no_patient(tmp_path: Path):
    _, figures = reported(outcomes(800), tmp_path)
    files = [path.read_text(encoding="utf-8-sig") for path in sorted((tmp_path / "out").iterdir())]
    assert not any(MARKED in text for text in files)
    counts = [row["counts"] for rows in figures["by"].values() for row in rows]
    numbers = [number for one in counts for number in one.values() if number is not None]
    assert all(number == 0 or (number >= 10 and number % 5 == 0) for number in numbers)
    # Three people asked not to be called.
    harms = {harm["name"]: harm for harm in figures["harms"]}
    assert harms["opted_out"]["treated"] is None
    with (tmp_path / "out" / "harms.csv").open(encoding="utf-8-sig", newline="") as file:
        assert next(row for row in csv.DictReader(file) if row["harm"] == "opted_out")["treated"] == "*"


def test_small_groups_are_put_together(tmp_path: Path):
    _, figures = reported(outcomes(800), tmp_path)
    names = [row["name"] for row in figures["by"]["ethnicity_5"]]
    assert any("together" in name for name in names)


def test_the_report_is_the_same_each_time_and_of_another_week_too(tmp_path: Path):
    rows = outcomes()
    home = home_with(rows, tmp_path)
    report_trial(home, tmp_path / "first")
    report_trial(home, tmp_path / "second")
    assert (tmp_path / "first" / "trial.json").read_bytes() == (tmp_path / "second" / "trial.json").read_bytes()


def test_the_page_stands_alone_and_says_what_the_json_says(tmp_path: Path):
    _, figures = reported(outcomes(), tmp_path)
    page = (tmp_path / "out" / "report.html").read_text()
    assert figures["claim"] in page
    assert figures["groups"] in page
    assert not re.search(r"<script|src=\"http|href=\"http", page)
    assert page.count("<svg") == 4  # two charts, for wide and for narrow screens


def test_a_home_without_a_trial_is_told_what_to_do(tmp_path: Path):
    rows = outcomes(100)
    home = home_with(
        rows.set_column(rows.schema.get_field_index("trial"), "trial", pa.nulls(100, pa.string())), tmp_path
    )
    with pytest.raises(UsageError, match=r"no appointment of a trial\. Describe one as \[trial\]"):
        report_trial(home, tmp_path / "out")


def test_another_trial_than_the_home_knows_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no appointment of a trial 'Calls 2030'\. It knows: Calls 2026"):
        report_trial(home_with(outcomes(100), tmp_path), tmp_path / "out", name="Calls 2030")


def test_a_registration_that_was_changed_is_refused(tmp_path: Path):
    home = home_with(outcomes(100), tmp_path)
    file = home / "trial" / "Calls-2026.json"
    file.write_text(file.read_text().replace("0.3", "0.4"))
    with pytest.raises(StoreError, match="is missing, or is not the registration"):
        report_trial(home, tmp_path / "out")


def listed(rows: pa.Table, *, from_day: int = 7) -> pa.Table:
    """The same rows as lists of each Monday gave them, so many days before the appointment."""
    starts = rows["starts_at"].to_numpy().astype("datetime64[D]")
    week = (starts - np.datetime64(START)).astype(int) // 7
    return with_values(rows, scored_at=np.datetime64(START, "us") + (week * 7 - from_day) * np.timedelta64(1, "D"))


def test_a_trial_whose_lists_stopped_long_before_its_end_has_no_planned_analysis(tmp_path: Path):
    rows = listed(outcomes())
    other = with_values(rows.slice(0, 1), trial=["Another"], recorded_at=[np.datetime64("2027-12-01", "us")])
    early = rows.filter(pa.array(rows["scored_at"].to_numpy() < np.datetime64(START, "us") + np.timedelta64(70, "D")))
    for name, kept, plan in (("stopped", early, "stopped"), ("whole", rows, "registered")):
        (tmp_path / name).mkdir()
        _, figures = reported(pa.concat_tables([kept, other]), tmp_path / name, weeks=WEEKS)
        assert figures["finished"]
        assert figures["trial"]["plan"] == plan
        assert ("by the planned analysis" in figures["claim"]) == (plan == "registered")


@pytest.mark.parametrize(("missing", "kind"), [(0.08, "helps"), (0.14, "outcomes missing")])
def test_a_choice_of_the_outcomes_that_are_read_in_is_no_trial(tmp_path: Path, missing: float, kind: str):
    rows = outcomes()
    gone = np.random.default_rng(1).random(rows.num_rows) < missing
    code = np.where(gone, None, rows["outcome_code"].to_numpy(zero_copy_only=False))
    _, figures = reported(with_values(rows, outcome_code=code.tolist()), tmp_path)
    assert figures["claim_kind"] == kind


def test_appointments_that_were_listed_and_are_not_in_the_store_are_missing(tmp_path: Path):
    rows = listed(outcomes())
    home = home_with(rows.slice(0, 2_500), tmp_path)
    settings = read_registration_of(home)
    TrialRegister(home, settings, START - datetime.timedelta(days=3)).note(rows["appointment"].to_pylist())
    report = report_trial(home, tmp_path / "out")
    assert report.result.claim.kind == "outcomes missing"


def test_patients_in_both_arms_are_no_trial_but_for_a_few_who_were_merged(tmp_path: Path):
    rows = outcomes()
    for share, kind in ((0.02, "helps"), (0.2, "arms unlike")):
        patient = rows["patient"].to_numpy(zero_copy_only=False).copy()
        some = np.flatnonzero(np.random.default_rng(2).random(len(patient)) < share)
        patient[some] = np.random.default_rng(3).permutation(patient[some])
        (tmp_path / kind).mkdir()
        _, figures = reported(with_values(rows, patient=patient.tolist()), tmp_path / kind)
        assert figures["claim_kind"] == kind


def test_a_trial_after_another_says_so(tmp_path: Path):
    home = home_with(outcomes(), tmp_path)
    settings = read_registration_of(home).model_copy(
        update={"name": "Before", "start": datetime.date(2026, 6, 1), "end": datetime.date(2026, 7, 1)}
    )
    registration = PreRegistration(registered_on=START, settings=settings, share_drawn="3/10")
    registration.write(home)
    LedgerOnly(home).enter("trial", {"name": "Before", "sha256": registration.sha256, "until": "2026-07-01"})
    report = report_trial(home, tmp_path / "out")
    assert "This home registered another trial before" in report.result.claim.sentence
    assert "<dd>Before</dd>" in report.page.read_text(encoding="utf-8")


def read_registration_of(home: Path) -> TrialConfig:
    """The settings of the trial that is registered in a home."""
    return PreRegistration.model_validate_json(registration_file(home, NAME).read_bytes()).settings

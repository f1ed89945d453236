"""The verbs about fairness as a person types them: audit, sign, promote, access; and what they refuse."""

import datetime
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.world import Trust

from dnapredict.config.loading import shipped

SIGNED = ("--name", "A. Reviewer", "--role", "Equality lead", "--reason", "Read by the patients' panel.")


def scores_of(trust: Trust, out: Path, **columns: object) -> Path:
    """Another product's scores: one for each attended or missed appointment."""
    table = pq.read_table(trust.extract)
    kept = table.filter(pc.is_in(table["outcome_code"], pa.array(["3", "5", "6", "7"])))
    lead = pc.divide(pc.days_between(kept["booked_at"], kept["starts_at"]).cast("float64"), 400.0)
    risk = pc.min_element_wise(pc.max_element_wise(lead, 0.001), 0.999)
    pq.write_table(pa.table({"appointment_id": kept["appointment_id"], "probability": risk} | columns), out)
    return out


@pytest.fixture
def home(trust: Trust, tmp_path: Path) -> Path:
    """A copy of the trust's home, so that what a test signs or promotes stays its own."""
    shutil.copytree(trust.home, tmp_path / "home")
    return tmp_path / "home"


def test_any_products_scores_are_audited_with_causes_and_all_that_stands_beside(dnapredict, trust, tmp_path):
    scores, out = scores_of(trust, tmp_path / "vendor.parquet"), tmp_path / "report"
    extras = ("--monthly", "--easy-read", "--study")
    done = dnapredict("audit", trust.extract, "--scores", scores, "--home", tmp_path / "none", "--out", out, *extras)
    assert done.returncode in (0, 13), done.stderr
    figures = json.loads((out / "audit.json").read_text())
    assert figures["context"]["model_version"] == "scores of vendor.parquet"
    assert [one["rule"] for one in figures["sharing"]] == ["global", "proportionate", "floor"]
    assert {path.name for path in out.glob("*.html")} == {
        "report.html", "figures.html", "monthly.html", "easy-read.html", "study.html",
    }  # fmt: skip
    assert not (tmp_path / "none").exists()


def test_a_rejected_version_stays_out_and_the_registry_says_who_and_why(dnapredict, trust, home, tmp_path):
    out = tmp_path / "report"
    audited = dnapredict("audit", trust.extract, "--model", "1", "--home", home, "--out", out)
    assert audited.returncode in (0, 13), audited.stderr
    signed = dnapredict("sign", out, *SIGNED, "--decision", "reject", "--home", home)
    assert signed.returncode == 0, signed.stderr
    assert "recorded for version 1" in signed.stderr
    refused = dnapredict("promote", "1", "--home", home)
    assert refused.returncode == 13
    assert "A. Reviewer (Equality lead) rejected it" in refused.stderr
    again = dnapredict("audit", trust.extract, "--model", "1", "--home", home, "--out", out)
    assert again.returncode == 2
    assert "never overwritten" in again.stderr


def test_a_limit_that_moves_after_a_result_needs_two_names_and_is_printed(dnapredict, trust, home, tmp_path):
    text = shipped("fairness/policy.toml").read_text(encoding="utf-8")
    moved = text.replace("max_harm_gap = 0.05", "max_harm_gap = 0.04", 1)
    changed = (
        '[[changes]]\nlimit = "limits.reach.max_harm_gap"\nwas = 0.05\nnow = 0.04\non = 2026-03-02\n'
        'by = "A. Name"\nseconded_by = "B. Name"\nwhy = "The board asked for it."\n'
    )
    policy, out = tmp_path / "policy.toml", tmp_path / "report"
    verb = ("audit", trust.extract, "--model", "1", "--home", home, "--out", out, "--policy", policy)
    policy.write_text(moved, encoding="utf-8")
    silent = dnapredict(*verb)
    assert silent.returncode == 11
    assert "'limits.reach.max_harm_gap' was 0.05 at the last audit and is 0.04 now" in silent.stderr
    assert not out.exists()
    policy.write_text(moved + "\n" + changed, encoding="utf-8")
    assert dnapredict(*verb).returncode in (0, 13)
    assert "by A. Name and B. Name" in (out / "report.html").read_text()


@pytest.mark.parametrize("use", ["overbooking", "discharge"])
def test_a_use_against_patients_is_refused_with_the_reason(use, dnapredict, trust, tmp_path):
    policy = tmp_path / "policy.toml"
    text = shipped("fairness/policy.toml").read_text(encoding="utf-8")
    policy.write_text(text.replace('use = "supportive contact"', f'use = "{use}"'), encoding="utf-8")
    out = tmp_path / "report"
    for verb in (("audit", trust.extract, "--model", "1", "--home", trust.home), ("access", trust.extract)):
        done = dnapredict(*verb, "--out", out, "--policy", policy)
        assert done.returncode == 11
        assert f"never for {use}: " in done.stderr
    assert not out.exists()


def test_a_policy_that_compares_what_the_extract_lacks_is_refused_and_nothing_is_written(dnapredict, trust, tmp_path):
    table = pq.read_table(trust.extract)
    pq.write_table(table.drop_columns(["disability_flag"]), tmp_path / "few.parquet")
    policy, out = tmp_path / "policy.toml", tmp_path / "report"
    text = shipped("fairness/policy.toml").read_text(encoding="utf-8")
    scores = scores_of(trust, tmp_path / "scores.parquet")
    verb = ("audit", tmp_path / "few.parquet", "--scores", scores, "--home", tmp_path / "none", "--out", out)
    for old, new, says in (
        ('"interpreter", "disability",\n    "learning', '"interpreter",\n    "learning', "'disability_flag'"),
        ("compared = [\n", 'compared = [\n    "religion",\n', "must name groupings among core20"),
    ):
        before, mark, after = text.rpartition(old) if "religion" not in new else text.partition(old)
        assert mark
        policy.write_text(before + new + after, encoding="utf-8")
        done = dnapredict(*verb, "--policy", policy)
        assert done.returncode == 11, (new, done.stderr)
        assert says in done.stderr
    assert not out.exists()
    assert not (tmp_path / "none").exists()


def test_scores_that_cannot_be_believed_are_refused_and_nothing_is_written(dnapredict, trust, tmp_path):
    good = pq.read_table(scores_of(trust, tmp_path / "good.parquet"))
    bad = {
        "missing": good.slice(1),
        "twice": pa.concat_tables([good, good.slice(0, 1)]),
        "outside": good.set_column(1, "probability", pa.array([1.5] * good.num_rows)),
        "blank": good.set_column(1, "probability", pa.nulls(good.num_rows, pa.float64())),
        "foreign": pa.concat_tables([good, pa.table({"appointment_id": ["of another extract"], "probability": [0.5]})]),
        "nameless": good.rename_columns(["appointment", "probability"]),
    }
    for name, table in bad.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
        out = tmp_path / f"report-{name}"
        done = dnapredict(
            "audit", trust.extract, "--scores", tmp_path / f"{name}.parquet", "--home", tmp_path, "--out", out
        )
        assert done.returncode == 10, (name, done.stderr)
        assert f"{name}.parquet" in done.stderr
        assert not out.exists()


def test_an_extract_in_which_nobody_missed_or_nothing_is_known_is_refused(dnapredict, trust, tmp_path):
    scores = scores_of(trust, tmp_path / "scores.parquet")
    table = pq.read_table(trust.extract)
    place = table.column_names.index("outcome_code")
    for name, code in (("nobody-missed", "5"), ("no-outcome", None)):
        codes = pa.array([code] * table.num_rows, pa.string())
        pq.write_table(table.set_column(place, "outcome_code", codes), tmp_path / f"{name}.parquet")
        out = tmp_path / f"report-{name}"
        verb = ("audit", tmp_path / f"{name}.parquet", "--scores", scores, "--home", tmp_path, "--out", out)
        done = dnapredict(*verb)
        assert done.returncode == 10, (name, done.stderr)
        assert not out.exists()
    done = dnapredict("access", tmp_path / "no-outcome.parquet", "--out", tmp_path / "access")
    assert done.returncode == 10
    assert "no appointment has an outcome_code" in done.stderr
    assert not (tmp_path / "access").exists()


def test_a_service_is_assessed_before_any_model(dnapredict, trust, tmp_path):
    out = tmp_path / "access"
    done = dnapredict("access", trust.extract, "--out", out)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in out.iterdir()} == {"access.html", "access.json", "indicators.csv"}
    page = (out / "access.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert "Half of the first appointments of people in the most deprived areas" in page


def test_a_small_trust_trains_audits_signs_with_conditions_and_promotes(dnapredict, tmp_path):
    """About 60 missed appointments in the test period: no verdict on any group, and no crash."""
    extract, home, out = tmp_path / "small.parquet", tmp_path / "home", tmp_path / "report"
    config = tmp_path / "config.toml"
    config.write_text(QUICK, encoding="utf-8")
    for step in (
        ("simulate", extract, "--appointments", 4_500, "--seed", 3),
        ("train", extract, "--home", home, "--config", config),
    ):
        done = dnapredict(*step)
        assert done.returncode == 0, (step, done.stderr)
    audited = dnapredict("audit", extract, "--model", "1", "--home", home, "--out", out, "--monthly", "--easy-read")
    assert audited.returncode == 0, audited.stderr
    assert "Verdict: NOT ENOUGH DATA" in audited.stdout
    assert "Warning" not in audited.stderr
    assert json.loads((out / "audit.json").read_text())["verdict"] == "NOT ENOUGH DATA"
    page = (out / "report.html").read_text()
    for told in (
        "There is not enough data to say. This is not a pass.",
        "There is not enough data to say of any group whether it is behind.",
        "Too few missed to say: ",
    ):
        assert told in page[: page.index("Every question, and its answer")]
    refused = dnapredict("promote", "1", "--home", home)
    assert (refused.returncode, "its report is not signed" in refused.stderr) == (13, True)
    until = datetime.date.today() + datetime.timedelta(days=90)  # noqa: DTZ011 - any day to come
    signed = dnapredict("sign", out, *SIGNED, "--decision", "conditions", "--until", until, "--home", home)
    assert signed.returncode == 0, signed.stderr
    promoted = dnapredict("promote", "1", "--home", home)
    assert promoted.returncode == 0, promoted.stderr
    assert "Version 1 is the champion (audit: NOT ENOUGH DATA)" in promoted.stdout + promoted.stderr


def test_a_study_of_too_few_is_refused_with_what_to_do(dnapredict, trust, tmp_path):
    table = pq.read_table(trust.extract)
    outcomes = pc.fill_null(pc.is_in(table["outcome_code"], pa.array(["3", "5", "6"])), False)
    pq.write_table(table.filter(outcomes).slice(0, 900), tmp_path / "few.parquet")
    kept = pq.read_table(tmp_path / "few.parquet")
    scores = pa.table({"appointment_id": kept["appointment_id"], "probability": [0.1] * kept.num_rows})
    pq.write_table(scores, tmp_path / "scores.parquet")
    verb = ("audit", tmp_path / "few.parquet", "--scores", tmp_path / "scores.parquet")
    done = dnapredict(*verb, "--home", tmp_path / "none", "--out", tmp_path / "report", "--study")
    assert done.returncode == 10, done.stderr
    assert "Ask for the report without --study" in done.stderr
    assert not (tmp_path / "report").exists()

"""A signature belongs to one report, one model, one data set and a person with reasons."""

import datetime
import json
from pathlib import Path

import pytest

from dnapredict.errors import StoreError, UsageError
from dnapredict.fairness import sign, signature_of

UNTIL = datetime.date.today() + datetime.timedelta(days=60)  # noqa: DTZ011 - any day to come
WHO = {"name": "A. Reviewer", "role": "Equality lead", "reason": "Reviewed with the patients' panel."}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return _report(tmp_path, "REVIEW")


def _report(folder: Path, verdict: str) -> Path:
    (folder / "report.html").write_text("<p>A report.</p>")
    context = {"model_sha256": "a" * 64, "data_sha256": "b" * 64}
    (folder / "groups.csv").write_text("group,reach\n")
    (folder / "audit.json").write_text(json.dumps({"verdict": verdict, "context": context}))
    return folder


def test_a_signature_holds_the_decision_and_what_it_is_about(report: Path):
    sign(report, decision="conditions", until=UNTIL, dissent="One member wanted more data.", **WHO)
    found = signature_of(report)
    assert found is not None
    assert (found.decision, found.name, found.dissent) == (
        "conditions", "A. Reviewer", "One member wanted more data.",
    )  # fmt: skip
    assert (found.model_sha256, found.data_sha256, found.verdict) == ("a" * 64, "b" * 64, "REVIEW")


def test_an_unsigned_report_has_no_signature(report: Path):
    assert signature_of(report) is None


def test_a_rejection_can_be_signed(report: Path):
    assert sign(report, decision="reject", **WHO).decision == "reject"


@pytest.mark.parametrize("name", ["report.html", "audit.json", "groups.csv"])
def test_a_report_that_changed_after_it_was_signed_voids_the_signature(report: Path, name: str):
    sign(report, decision="approve", **WHO)
    (report / name).write_text((report / name).read_text() + " ")
    with pytest.raises(StoreError, match="not the file that was signed"):
        signature_of(report)


def test_a_report_is_signed_once(report: Path):
    sign(report, decision="reject", **WHO)
    with pytest.raises(UsageError, match="signed already"):
        sign(report, decision="approve", **WHO)


def test_a_failed_report_is_not_approved_without_conditions(tmp_path: Path):
    report = _report(tmp_path, "FAIL")
    with pytest.raises(UsageError, match="conditions"):
        sign(report, decision="approve", **WHO)
    assert sign(report, decision="conditions", until=UNTIL, **WHO).verdict == "FAIL"


@pytest.mark.parametrize("missing", ["name", "role", "reason"])
def test_a_signature_without_a_person_or_a_reason_is_refused(report: Path, missing: str):
    with pytest.raises(UsageError, match=missing):
        sign(report, decision="approve", **(WHO | {missing: " "}))
    assert signature_of(report) is None


def test_another_word_is_no_decision(report: Path):
    with pytest.raises(UsageError, match="Wrong: decision"):
        sign(report, decision="maybe", **WHO)


def test_a_folder_without_a_report_cannot_be_signed(tmp_path: Path):
    with pytest.raises(UsageError, match="dnapredict audit"):
        sign(tmp_path, decision="approve", **WHO)


@pytest.mark.parametrize(
    ("until", "told"),
    [
        (None, "Conditions need their last day"),
        (datetime.date(2020, 1, 1), "give a day after today"),
        (UNTIL.replace(year=UNTIL.year + 2), "at most a year from now"),
    ],
)
def test_conditions_end_on_a_day_within_a_year(report: Path, until: datetime.date | None, told: str):
    with pytest.raises(UsageError, match=told):
        sign(report, decision="conditions", until=until, **WHO)
    assert signature_of(report) is None


def test_only_conditions_have_an_end(report: Path):
    with pytest.raises(UsageError, match="approve and reject have none"):
        sign(report, decision="approve", until=UNTIL, **WHO)


def test_a_signature_of_an_earlier_release_is_read(report: Path):
    sign(report, decision="approve", **WHO)
    path = report / "signature.json"
    written = json.loads(path.read_text())
    later = ("until", "files", "proven", "also_signed")
    path.write_text(json.dumps({key: value for key, value in written.items() if key not in later}))
    found = signature_of(report)
    assert found is not None
    assert (found.decision, found.until, found.files) == ("approve", None, {})

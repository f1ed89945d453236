"""The page about the model: its card, page 1 of its audit, and the whole report."""

import hashlib
import html
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from markupsafe import escape
from starlette.testclient import TestClient
from tests.kept_states import monitored
from tests.service.conftest import served_at, wait_until_ready
from tests.service.double import steady_champion
from tests.service.process import ROOT
from tests.service.test_failed_keys import sign_in

from dnapredict.fairness.report.first_page import stored_report
from dnapredict.service.api import model_documents
from dnapredict.service.api.model_documents import ModelDocuments
from dnapredict.service.app import build
from dnapredict.service.auth import api_keys
from dnapredict.service.auth.staff import StaffRole
from dnapredict.service.pages.model_pages import card_html

EXAMPLE = ROOT / "fairness" / "example-report"
CARD = """# Risk of a missed appointment: model e02e

**Never for** overbooking.

## How good it is

| | All |
| --- | --- |
| Log loss | 0.123 |

<script>alert("zebra")</script>
"""


def signed(report: Path) -> dict[str, str]:
    return {
        "audit_verdict": "FAIL",
        "audit_sha256": hashlib.sha256((report / "report.html").read_bytes()).hexdigest(),
        "audited_at": "2026-11-23T03:01:30+00:00",
        "signed_decision": "conditions",
        "signed_by": "A. Person",
        "signed_role": "Equality lead",
        "signed_at": "2026-11-24T09:00:00+00:00",
        "signed_until": "2027-01-31",
        "signed_reason": "Call <more> people of group N first.",
    }


def audited(report: Path, tags: dict[str, str] | None = None) -> ModelDocuments:
    """A version that was audited and signed, as the registry tells it."""
    tags = tags or signed(report)
    return ModelDocuments(tags=tags, report=stored_report(report, sha256=tags["audit_sha256"]))


@contextmanager
def service(home: Path, read: Callable[[str], ModelDocuments]) -> Iterator[TestClient]:
    champion = steady_champion()
    with TestClient(build(home, champion, documents=read).to_asgi(), "http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client
    champion.stop()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "report"))


def test_a_version_that_nobody_audited_says_so(client: TestClient) -> None:
    page = client.get("/model")
    assert page.status_code == 200
    assert "Nobody has checked yet whether this version treats everybody alike." in page.text
    assert "There is no card of this version here." in page.text
    assert client.get("/model/report").status_code == 404


def test_the_first_page_of_the_audit_is_shown_in_its_own_words(home: Path, report: Path) -> None:
    with service(home, lambda _: audited(report)) as client:
        page = client.get("/model").text
    figures = json.loads((report / "audit.json").read_text())
    assert figures["sentence"] in page
    shown, written = (" ".join(html.unescape(text).split()) for text in (page, (report / "report.html").read_text()))
    one = figures["page_one"]
    said = [verdict["sentence"] for verdict in one["verdicts"]]
    said += [row[part] for row in one["behind"] for part in ("figures", "why", "task")]
    said += [*one["can_say"], *one["cannot_say"], one["method"]]
    assert len(said) > 6
    for sentence in said:
        assert sentence in shown
        assert sentence in written
    assert "A check of appointments from Thu 18 Jun 2026 to Sun 4 Oct 2026, made on Mon 23 Nov 2026." in page
    for question in ("Is the list fair?", "Can we trust the records?", "Are the risks right, all in all?"):
        assert question in page
    assert "Approved with conditions" in page
    assert "Sun 31 Jan 2027" in page
    assert "Call &lt;more&gt; people of group N first." in page
    assert 'href="/model/report"' in page


def test_a_notice_about_the_decision_is_shown_first(home: Path, report: Path) -> None:
    notice = "Somebody has to decide about model version 1: the conditions ended."
    with service(home, lambda _: replace(audited(report), notice=notice)) as client:
        page = client.get("/model").text
    assert page.index(notice) < page.index("Decision")


def test_of_a_report_of_an_earlier_release_the_gates_that_did_not_pass_are_shown(home: Path, report: Path) -> None:
    """Its figures have no headline; the page must still belong to them."""
    text = (report / "audit.json").read_text(encoding="utf-8")
    figures = json.loads(text)
    del figures["headline"], figures["page_one"]
    old, page = json.dumps(figures), report / "report.html"
    (report / "audit.json").write_text(old, encoding="utf-8")
    digests = [hashlib.sha256(each.encode()).hexdigest() for each in (text, old)]
    page.write_text(page.read_text(encoding="utf-8").replace(*digests), encoding="utf-8")
    with service(home, lambda _: audited(report)) as client:
        shown = client.get("/model").text
    failed = [gate["sentence"] for gate in figures["gates"] if gate["verdict"] == "FAIL"]
    assert failed
    for sentence in failed:
        assert str(escape(sentence)) in shown


def test_the_whole_report_is_served_under_a_policy_of_its_own(home: Path, report: Path) -> None:
    with service(home, lambda _: audited(report)) as client:
        answer = client.get("/model/report")
        assert client.get("/model").headers["content-security-policy"].startswith("default-src 'self';")
    assert answer.content == (report / "report.html").read_bytes()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    with service(home, lambda _: audited(report)) as client:
        tables = client.get("/model/figures.html")
        assert client.get("/model/report.html").content == answer.content
    assert tables.content == (report / "figures.html").read_bytes()
    assert tables.headers["content-security-policy"] == policy
    assert "script-src" not in policy
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("name", ["report.html", "audit.json"])
def test_a_report_that_is_not_as_it_was_written_is_not_shown(home: Path, report: Path, name: str) -> None:
    tags = signed(report)
    place = report / name
    place.write_text(place.read_text().replace("FAIL", "PASS"))
    with service(home, lambda _: audited(report, tags)) as client:
        page = client.get("/model").text
        assert "This version was audited (FAIL), and its report is not kept here as it was written." in page
        assert client.get("/model/report").status_code == 404


def test_the_card_is_readable_and_what_it_holds_of_html_is_text(home: Path) -> None:
    with service(home, lambda _: ModelDocuments(CARD)) as client:
        page = client.get("/model").text
    assert "<h2>Risk of a missed appointment: model e02e</h2>" in page
    assert "<strong>Never for</strong> overbooking." in page
    assert '<div class="dna-scroll" role="region" aria-label="Table: How good it is" tabindex="0">' in page
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_link_that_would_run_is_no_link() -> None:
    assert "href" not in card_html("[here](javascript:alert(1))")


def test_the_registry_is_asked_once_in_a_while_and_not_by_each_reader(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def read(version: str) -> ModelDocuments:
        asked.append(version)
        return ModelDocuments()

    with service(home, read) as client:
        assert asked == []
        for _ in range(3):
            client.get("/model")
        assert asked == ["7"]
        monkeypatch.setattr(model_documents, "_SECONDS_CACHED", 0.0)
        client.get("/model")
        assert asked == ["7", "7"]


def test_what_the_tool_looks_at_is_read_from_the_champions_register(client: TestClient) -> None:
    page = client.get("/about").text
    assert "How and when the appointment was booked (1)" in page
    assert "<li>Days between booking and appointment</li>" in page
    assert "<li>Distance to the site</li>" in page
    assert "<li>Age</li>" not in page


def test_the_accessibility_statement_says_what_the_law_asks(client: TestClient) -> None:
    page = client.get("/accessibility").text
    for words in (
        "version 2.2, level AA",
        "partially compliant",
        "EHRC",
        "How this was tested",
        "prepared on",
    ):
        assert words in page
    assert 'href="/accessibility"' in client.get("/").text


def test_a_worker_loads_no_library_of_audits_and_registries_before_somebody_reads() -> None:
    heavy = ("mlflow", "fairlearn", "matplotlib")
    asked = f"import sys, dnapredict.service.web; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_monitor_run_the_page_says_how_to_make_one(client: TestClient) -> None:
    page = client.get("/model").text
    assert "Nobody has checked yet whether risks and outcomes still agree." in page
    assert client.get("/model/monitor").status_code == 404


def test_an_alarm_is_shown_with_what_moved_since_when_and_what_to_do(client: TestClient, home: Path) -> None:
    monitored(home)
    page = " ".join(client.get("/model").text.split())
    assert '<strong class="nhsuk-tag nhsuk-tag--red">Alarm</strong>' in page
    assert "An alarm holds. The first change began in the week of Mon 26 Oct 2026." in page
    assert "<li>Everyone: 30 in 100 more.</li>" in page
    assert "Mon 2 Nov 2026" in page
    assert "Week of Mon 26 Oct 2026; with outcomes, week of Mon 26 Oct 2026" in page
    assert ">1.31<" in page
    assert 'href="/model/monitor"' in page
    whole = client.get("/model/monitor")
    assert whole.text == "<h1>The page</h1>"
    assert whole.headers["content-security-policy"].startswith("default-src 'none'")


def test_without_an_alarm_that_is_shown_and_few_are_no_figure(client: TestClient, home: Path) -> None:
    monitored(home, alarms=(), level=None, reach=None)
    page = client.get("/model").text
    assert "No alarm</strong>" in page
    assert "Risks and outcomes agree as far as chance allows." in page
    assert page.count("Too few to say") == 2


def test_a_run_of_another_version_says_nothing_about_the_one_in_use(client: TestClient, home: Path) -> None:
    monitored(home, model_version="6")
    page = client.get("/model").text
    assert "Version 7 has not been checked since it was put in use. The last check was of version 6." in page
    assert "Everyone: 30 in 100 more." not in page


def test_a_damaged_record_of_the_monitor_leaves_the_rest_of_the_page(client: TestClient, home: Path) -> None:
    monitored(home)
    (home / "monitor" / "latest.json").write_text("{")
    assert "Nobody has checked yet whether risks" in client.get("/model").text
    assert "dnapredict_requests_total" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("role", "team"), [(StaffRole.CLERK, "North"), (StaffRole.TEAM_LEAD, "North"), (StaffRole.REVIEWER, "")]
)
def test_a_clerk_is_told_to_go_on_and_those_who_answer_for_the_model_what_moved(
    home: Path, role: StaffRole, team: str
) -> None:
    monitored(home)
    key = api_keys.create_personal(home, name="A. Name", team=team, role=role)
    with served_at(home) as client:
        sign_in(client, key.token)
        page = client.get("/model").text
        status = client.get("/model/monitor").status_code
    is_clerk = role is StaffRole.CLERK
    assert ("Everyone: 30 in 100 more." in page) is not is_clerk
    assert ("Work the list as before." in page) is is_clerk
    assert status == (403 if is_clerk else 200)

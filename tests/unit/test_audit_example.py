"""The example reports in fairness/ are synthetic, small, whole, and of the shape that is written today."""

import hashlib
import json
import re
from pathlib import Path

from benchmarks.audit_worlds import World
from tests.plain_words import BANNED
from tests.unit.test_audit_access import CONTEXT as SERVICE
from tests.unit.test_audit_access import listed, service

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.fairness import AuditData, ReportContext, run
from dnapredict.fairness.access import assess
from dnapredict.fairness.access.access_report import indicators
from dnapredict.fairness.report.csv_tables import csv_files
from dnapredict.fairness.report.report_files import as_json

FAIRNESS = Path(__file__).resolve().parents[2] / "fairness"
REPORT, ACCESS = FAIRNESS / "example-report", FAIRNESS / "example-access"
POLICY = load(shipped("fairness/policy.toml"), Policy)
MOST_BYTES = 1_500_000


def pages() -> list[Path]:
    return [*REPORT.glob("*.html"), *ACCESS.glob("*.html")]


def test_every_page_is_there_and_says_that_its_data_are_synthetic():
    assert {page.name for page in pages()} == {
        "report.html", "figures.html", "monthly.html", "easy-read.html", "study.html", "access.html",
    }  # fmt: skip
    for page in pages():
        assert "SYNTHETIC DATA" in page.read_text(encoding="utf-8")
    for figures in (REPORT / "audit.json", ACCESS / "access.json"):
        assert json.loads(figures.read_text(encoding="utf-8"))["synthetic"] is True


def test_examples_are_small_and_name_no_place_of_the_machine_that_made_them():
    files = [*REPORT.iterdir(), *ACCESS.iterdir()]
    assert sum(file.stat().st_size for file in files) < 2 * MOST_BYTES
    for file in files:
        text = file.read_text(encoding="utf-8-sig")
        assert not re.search(r"/(tmp|home|work|root)/|[A-Z]:[\\/]Users", text), file.name
        assert not [word for word in BANNED if word in text.casefold()], file.name


def test_the_report_has_the_shape_that_is_written_today():
    """Remake it as fairness/README.md says when a figure, a gate or a table is added."""
    context = ReportContext("1", "", "", World.window(), "the top 10 in 100", "unknown", True)
    result = run(AuditData.of(World(appointments=5_000).table()), policy=POLICY, context=context)
    now, then = as_json(result), json.loads((REPORT / "audit.json").read_text(encoding="utf-8"))
    assert then.keys() == now.keys()
    assert then["policy"] == json.loads(json.dumps(now["policy"]))
    assert then["overall"].keys() == now["overall"].keys()
    assert then["overall"]["rates"].keys() == now["overall"]["rates"].keys()
    assert then["sharing"]
    headers = {name: text.splitlines()[0] for name, text in csv_files(result).items()}
    for name in ("gates.csv", "figures_core20.csv", "chart_months.csv"):
        assert (REPORT / name).read_text(encoding="utf-8-sig").splitlines()[0] == headers[name]


def test_the_indicators_have_the_shape_that_is_written_today():
    now = indicators(assess(listed(service()), policy=POLICY, context=SERVICE)).splitlines()
    then = (ACCESS / "indicators.csv").read_text(encoding="utf-8-sig").splitlines()
    assert then[0] == now[0]
    assert {line.split(",")[0] for line in then} == {line.split(",")[0] for line in now}


def test_the_page_is_about_the_figures_beside_it_and_is_not_signed():
    digest = hashlib.sha256((REPORT / "audit.json").read_bytes()).hexdigest()
    assert digest[:16] in (REPORT / "report.html").read_text(encoding="utf-8")
    assert not (REPORT / "signature.json").exists()

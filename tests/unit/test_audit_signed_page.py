"""Page 1 with the decision: who signed, until when, and which entry of the ledger holds it."""

import datetime
import html
import re
from pathlib import Path

import pytest
from benchmarks.audit_worlds import World
from tests.unit.test_audit_report import CONTEXT, POLICY

from dnapredict.fairness import AuditData, run, sign, signature_of, write, write_signed_page

NOW = datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = run(AuditData.of(World(appointments=5_000).table()), policy=POLICY, context=CONTEXT)
    return write(result, tmp_path / "report").parent


def signed(folder: Path, **changes: object) -> str:
    asked = {
        "name": "A. Okafor",
        "role": "Equality lead",
        "decision": "conditions",
        "reason": "Call the clinic by hand.",
        "dissent": "B. Khan wanted to wait.",
        "until": datetime.date(2026, 9, 1),
        "at": NOW,
    }
    signature = sign(folder, **(asked | changes))  # type: ignore[arg-type]
    path = write_signed_page(folder, signature, seal="5ea1" * 16)
    assert path is not None
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", path.read_text())).split())


def test_the_decision_and_everybody_who_signed_are_on_page_one(folder: Path):
    text = signed(folder)
    assert "Approved with conditions, until 1 September 2026" in text
    assert "Signed by A. Okafor, Equality lead, 2 March 2026: Call the clinic by hand." in text
    assert "B. Khan wanted to wait." in text
    assert "entry in the ledger 5ea15ea15ea15ea1" in text
    assert "Next review 1 April 2027" in text
    assert "approve with conditions" not in text


def test_the_report_stays_as_it_was_signed(folder: Path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    signed(folder)
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert signature_of(folder) is not None

"""The service as it is, with the double for a scorer: what BentoML serves in the browser tests."""

import hashlib

from tests.service.double import steady_champion
from tests.service.process import ROOT

from dnapredict.config.service_config import served_config
from dnapredict.service.api.model_documents import ModelDocuments
from dnapredict.service.app import build
from dnapredict.service.start import served_home

REPORT = ROOT / "fairness" / "example-report"

CARD = """# Risk of a missed appointment: model e02e461e4ebb

**Never for** overbooking, discharge, delaying or withholding care.

## How good it is

| | All appointments | Booked at least one day ahead | Weekly list |
| --- | --- | --- | --- |
| Log loss | 0.412 (0.405 to 0.419) | 0.565 (0.551 to 0.580) | 0.583 (0.566 to 0.600) |

| | |
| --- | --- |
| Manifest SHA-256 | e02e461e4ebb0d3cfaabbf7cb4cda789312ef98e23586b78e8f043a21f580fce02e461e4ebb0d3cfaabbf7c |
"""


def read(_: str) -> ModelDocuments:
    """A card with wide tables, and the audit that the repository holds as an example."""
    from dnapredict.fairness.report.first_page import stored_report

    digest = hashlib.sha256((REPORT / "report.html").read_bytes()).hexdigest()
    return ModelDocuments(CARD, {"audit_verdict": "FAIL"}, stored_report(REPORT, sha256=digest))


service = build(served_home(), steady_champion(), config=served_config(), documents=read)

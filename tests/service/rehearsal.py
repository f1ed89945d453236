"""The service as it is, with the double for a scorer: what BentoML serves in the browser tests."""

import hashlib

from tests.service.double import steady_champion
from tests.service.process import ROOT

from dnapredict.service.app import build
from dnapredict.service.papers import Audited
from dnapredict.service.start import served_config, served_home

REPORT = ROOT / "fairness" / "example-report"


def audited(_: str) -> Audited:
    """The audit of any version: the example that the repository holds."""
    digest = hashlib.sha256((REPORT / "report.html").read_bytes()).hexdigest()
    return Audited({"audit_verdict": "FAIL", "audit_sha256": digest}, REPORT)


service = build(served_home(), steady_champion(), config=served_config(), audited=audited)

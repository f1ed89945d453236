"""The fairness audit: reach, calibration and records by group, with verdicts.

`run` takes labelled appointments and a policy and returns verdicts and figures that may be published; `write` writes
the report. `fairness/README.md` explains how to read it.
"""

from dnapredict.fairness.disclosure.publication_memory import remembered
from dnapredict.fairness.extra_outputs import EXTRA_OUTPUTS, extra_files
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.report.report_files import require_free, write
from dnapredict.fairness.report.signed_page import write_signed_page
from dnapredict.fairness.run_audit import AuditResult, ReportContext, judge, run
from dnapredict.fairness.signing import Signature, sign, signature_of
from dnapredict.fairness.verdicts import Verdict

__all__ = [
    "EXTRA_OUTPUTS",
    "AuditData",
    "AuditResult",
    "ReportContext",
    "Signature",
    "Verdict",
    "extra_files",
    "judge",
    "remembered",
    "require_free",
    "run",
    "sign",
    "signature_of",
    "write",
    "write_signed_page",
]

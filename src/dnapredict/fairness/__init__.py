"""The fairness audit: who is reached, who is not, why, and how sure one can be.

`run` takes labelled appointments and a policy and gives verdicts and figures that may be published;
`write` makes the report of them. See `fairness/README.md` for how to read it.
"""

from dnapredict.fairness.extra_outputs import BESIDE, beside
from dnapredict.fairness.measure.audited_appointments import Audited
from dnapredict.fairness.report.report_files import require_free, write
from dnapredict.fairness.run_audit import AuditResult, ReportContext, run
from dnapredict.fairness.signing import Signature, sign, signature_of
from dnapredict.fairness.verdicts import Verdict

__all__ = [
    "BESIDE",
    "AuditResult",
    "Audited",
    "ReportContext",
    "Signature",
    "Verdict",
    "beside",
    "require_free",
    "run",
    "sign",
    "signature_of",
    "write",
]

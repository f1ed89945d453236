"""The fairness audit: who is reached, who is not, why, and how sure one can be.

`run` takes labelled appointments and a policy and gives verdicts and figures that may be published;
`write` makes the report of them. See `fairness/README.md` for how to read it.
"""

from dnapredict.audit.appointments import Audited
from dnapredict.audit.auditing import AuditResult, ReportContext, run
from dnapredict.audit.beside import BESIDE, beside
from dnapredict.audit.report import require_free, write
from dnapredict.audit.signing import Signature, sign, signature_of
from dnapredict.audit.verdicts import Verdict

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

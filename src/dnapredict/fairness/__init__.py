"""The fairness audit: reach, calibration and records by group, with verdicts.

`run` takes labelled appointments and a policy and returns verdicts and figures that may be published; `write` writes
the report. `fairness/README.md` explains how to read it.

A module is imported when one of its names is first used: who only looks up what was published, as `dnapredict doctor`
does, needs neither fairlearn nor matplotlib, and a host that only serves has neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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

_MODULES: Final = {
    "disclosure.publication_memory": ("remembered",),
    "extra_outputs": ("EXTRA_OUTPUTS", "extra_files"),
    "measure.audited_appointments": ("AuditData",),
    "report.report_files": ("require_free", "write"),
    "report.signed_page": ("write_signed_page",),
    "run_audit": ("AuditResult", "ReportContext", "judge", "run"),
    "signing": ("Signature", "sign", "signature_of"),
    "verdicts": ("Verdict",),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

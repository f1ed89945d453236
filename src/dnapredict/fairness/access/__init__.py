"""Equity of access to the service, before any model: patients, waits, missed appointments and unknown groups.

`assess` counts an extract and returns only what may be published; `write` writes a report of four pages and a table
of indicators, for the yearly board paper on health inequalities.
"""

from dnapredict.fairness.access.access_measures import AccessData
from dnapredict.fairness.access.access_report import require_free, write
from dnapredict.fairness.access.assessment import AccessAssessment, AccessContext, assess, assess_counts

__all__ = ["AccessAssessment", "AccessContext", "AccessData", "assess", "assess_counts", "require_free", "write"]

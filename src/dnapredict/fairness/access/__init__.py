"""Equity of the service itself, before any model: who is on the list, who waits, who misses, who is unknown.

`assess` counts an extract and keeps only what may be published; `write` makes a report of four pages and a
table of indicators, the questions that a board paper on health inequalities answers each year.
"""

from dnapredict.fairness.access.access_measures import Listed
from dnapredict.fairness.access.access_report import require_free, write
from dnapredict.fairness.access.assessment import AccessAssessment, AccessContext, assess

__all__ = ["AccessAssessment", "AccessContext", "Listed", "assess", "require_free", "write"]

"""Equity of the service itself, before any model: who is on the list, who waits, who misses, who is unknown.

`assess` counts an extract and keeps only what may be published; `write` makes a report of four pages and a
table of indicators, the questions that a board paper on health inequalities answers each year.
"""

from dnapredict.audit.access.assessing import Access, AccessContext, assess
from dnapredict.audit.access.listed import Listed
from dnapredict.audit.access.report import require_free, write

__all__ = ["Access", "AccessContext", "Listed", "assess", "require_free", "write"]

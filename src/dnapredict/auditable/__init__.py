"""From an extract to what the audit reads: tested appointments with risks, or a service as it is."""

from dnapredict.auditable.serviced import access_context, listed
from dnapredict.auditable.tested import (
    BESIDE,
    Origin,
    audited,
    context,
    earlier,
    not_trained_on,
    rows_expected,
    studied,
)

__all__ = [
    "BESIDE",
    "Origin",
    "access_context",
    "audited",
    "context",
    "earlier",
    "listed",
    "not_trained_on",
    "rows_expected",
    "studied",
]

"""Assess an extract: count each grouping once, and keep only what may be published."""

import datetime
from dataclasses import dataclass

from dnapredict.audit.access.hiding import hidden_among
from dnapredict.audit.access.listed import Listed
from dnapredict.audit.access.tabulating import AccessTable, tabulated
from dnapredict.audit.access.tallies import tally
from dnapredict.audit.groupings import GROUPINGS, everyone, spoken
from dnapredict.audit.groups import membership
from dnapredict.audit.intervals import z_of
from dnapredict.config.policy import Policy

__all__ = ["Access", "AccessContext", "assess"]

_ASKED = (
    "core20", "imd_decile", "ethnicity", "ethnicity_5", "sex", "age", "interpreter", "disability", "plus",
)  # fmt: skip


@dataclass(frozen=True)
class AccessContext:
    """Where the numbers come from; `window` is the first and last day of appointments with an outcome."""

    source: str
    data_sha256: str
    window: tuple[datetime.date, datetime.date]
    code_revision: str
    synthetic: bool
    created_at: datetime.datetime | None = None


@dataclass(frozen=True)
class Access:
    """The published figures of a service: everyone, each grouping that the extract gives, those it lacks."""

    everyone: AccessTable
    tables: tuple[AccessTable, ...]
    absent: tuple[str, ...]
    policy: Policy
    context: AccessContext

    def table(self, name: str) -> AccessTable | None:
        """The table of a grouping by its name, None where the extract lacks it."""
        return next((table for table in self.tables if table.name == name), None)


def assess(listed: Listed, *, policy: Policy, context: AccessContext) -> Access:
    """Count a service's appointments group by group.

    Exact counts do not leave: numbers are rounded and small ones hidden by the policy's rule.
    """
    rule, z = policy.disclosure, z_of(policy.confidence)
    asked = [(g, membership(listed.grouped, g)) for g in GROUPINGS if g.name in _ASKED]
    found = [everyone(len(listed)), *(members for _, members in asked if members is not None)]
    tallied = [tally(listed, members) for members in found]
    hidden = hidden_among(tallied, rule)
    first, *others = (tabulated(one, hidden=hidden, rule=rule, z=z) for one in tallied)
    absent = spoken(grouping for grouping, members in asked if members is None)
    return Access(first, tuple(others), absent, policy, context)

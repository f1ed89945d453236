"""The access assessment: counts of each grouping, reduced to figures that may be published."""

import datetime
import math
from dataclasses import dataclass, field, replace

from dnapredict.config.fairness_policy import Disclosure, Policy
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.access.access_counts import (
    ASSESSED,
    BARRIERS,
    AccessCounts,
    CountedAccess,
    ServiceCounts,
    count_service,
)
from dnapredict.fairness.access.access_disclosure import (
    NUMBERS,
    OF_OTHERS,
    barrier_count,
    denominator_of,
    hidden_access_counts,
    hidden_names,
)
from dnapredict.fairness.access.access_measures import MEASURES, WAIT_BEGINS, AccessData
from dnapredict.fairness.compare.heterogeneity import slope_index
from dnapredict.fairness.disclosure.hidden_counts import HiddenCells
from dnapredict.fairness.disclosure.publications import Publication
from dnapredict.fairness.disclosure.published_before import PublishedBefore
from dnapredict.fairness.disclosure.rounded_figures import publish_rate
from dnapredict.fairness.measure.groupings import GROUPINGS, grouping_phrases
from dnapredict.fairness.measure.intervals import Interval, Rate, gap, printed_interval, z_of
from dnapredict.fairness.measure.membership import Group

_FEWEST_FOR_A_WAIT = 20  # first appointments, below which a median could be somebody's own wait


@dataclass(frozen=True)
class Share:
    """A measure of one group: how many of how many, rounded, with the likely range."""

    above: int | None
    below: int | None
    rate: Interval | None


@dataclass(frozen=True)
class AccessRow:
    """One group. None is *hidden or not estimable*.

    `share` is the group's share of all patients, `waiting` its share of those whose appointment lies
    ahead; `more_missed` how many more of 100 are missed than by everyone else; waits are days. `barriers`
    is of how many appointments somebody named each of `codes.BARRIER`, empty where nobody recorded it. How many were
    asked in all is not printed: a large barrier would have to be hidden for each small one.
    """

    group: Group
    numbers: dict[str, int | None]
    share: Interval | None
    waiting: Interval | None
    measures: dict[str, Share]
    median_wait: Interval | None
    ninth_wait: float | None
    more_missed: Interval | None
    barriers: dict[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True)
class AccessTable:
    """The rows of a grouping. `slopes` say how a measure changes along an ordered one, first to last."""

    name: str
    title: str
    rows: tuple[AccessRow, ...]
    slopes: dict[str, Interval | None]

    def row(self, code: str) -> AccessRow | None:
        """The row of the group with that code."""
        return next((row for row in self.rows if row.group.code == code), None)


def access_table(
    tallied: CountedAccess, *, hidden: HiddenCells, rule: Disclosure, z: float, has_barriers: bool = False
) -> AccessTable:
    """The table of one grouping, as it may be printed: small groups put together, small counts hidden."""
    total, grouping = tallied.total, tallied.grouping
    tallied = CountedAccess(grouping, *hidden.merged.apply(grouping.name, tallied.groups, tallied.counts))
    rows = tuple(
        replace(
            _row(group, own, total, hidden=(names := hidden_names(group, grouping.name, hidden)), rule=rule, z=z),
            barriers=_barriers(own, names, rule) if has_barriers else {},
        )
        for group, own in zip(tallied.groups, tallied.counts, strict=True)
    )
    slopes = {
        measure.name: _slope(tallied, measure.name, hidden, rule=rule, z=z) for measure in MEASURES if grouping.ordered
    }
    return AccessTable(grouping.name, grouping.title, rows, slopes)


def _row(
    group: Group, own: AccessCounts, total: AccessCounts, *, hidden: frozenset[str], rule: Disclosure, z: float
) -> AccessRow:
    rest = total - own
    numbers = {name: getattr(own, name) for name in NUMBERS}
    measures = {
        measure.name: _share(own.rate(measure.name), measure.name, hidden, rule=rule, z=z) for measure in MEASURES
    }
    shown = measures["wait_over_6_weeks"].below or 0
    compared = not hidden & {"missed", denominator_of("missed"), *(f"others {name}" for name in OF_OTHERS)}
    return AccessRow(
        group=group,
        numbers={name: None if name in hidden else publish_count(number, rule) for name, number in numbers.items()},
        share=_ranged(Rate(own.patients, total.patients), rule, z, blocked="patients" in hidden),
        waiting=_ranged(Rate(own.upcoming, total.upcoming), rule, z, blocked="upcoming" in hidden),
        measures=measures,
        median_wait=_wait(own, 0.5, z) if shown >= _FEWEST_FOR_A_WAIT else None,
        ninth_wait=own.wait(0.9) if shown >= _FEWEST_FOR_A_WAIT * 5 else None,
        more_missed=_more(own.rate("missed"), rest.rate("missed"), rule, z) if compared else None,
    )


def _barriers(own: AccessCounts, hidden: frozenset[str], rule: Disclosure) -> dict[str, int | None]:
    """How many appointments each barrier was named for."""
    counts = zip(BARRIERS, own.barriers, strict=True)
    return {code: None if barrier_count(code) in hidden else publish_count(number, rule) for code, number in counts}


def _share(rate: Rate, name: str, hidden: frozenset[str], *, rule: Disclosure, z: float) -> Share:
    whole = None if denominator_of(name) in hidden else publish_count(rate.denominator, rule)
    shown = None if whole is None or name in hidden else publish_rate(rate, rule)
    if shown is None:
        return Share(None, whole, None)
    return Share(int(shown.numerator), int(shown.denominator), printed_interval(shown, z))


def _ranged(rate: Rate, rule: Disclosure, z: float, *, blocked: bool) -> Interval | None:
    return None if blocked else printed_interval(publish_rate(rate, rule), z)


def _more(own: Rate, rest: Rate, rule: Disclosure, z: float) -> Interval | None:
    """The group's rate minus everyone else's, from rounded counts."""
    first, second = publish_rate(own, rule), publish_rate(rest, rule)
    found = gap(first, second, z=z) if first and second else None
    return found.rounded() if found else None


def _wait(own: AccessCounts, quantile: float, z: float) -> Interval | None:
    """A quantile of the wait, with its interval by order statistics at the effective sample size."""
    value, rate = own.wait(quantile), own.rate("wait_over_6_weeks")
    if value is None:
        return None
    half = z * math.sqrt(quantile * (1 - quantile) * rate.design_effect / rate.denominator)
    low, high = own.wait(max(0.0, quantile - half)), own.wait(min(1.0, quantile + half))
    return Interval(value, value if low is None else low, value if high is None else high)


def _slope(tallied: CountedAccess, measure: str, hidden: HiddenCells, *, rule: Disclosure, z: float) -> Interval | None:
    """Slope index of a measure along ordered groups, from published figures."""
    name, counts = tallied.grouping.name, (measure, denominator_of(measure), "appointments")
    shown = [
        (rate, float(own.appointments))
        for group, own in zip(tallied.groups, tallied.counts, strict=True)
        if group.known and not hidden.hides(name, group.code, counts)
        if (rate := publish_rate(own.rate(measure), rule))
    ]
    found = slope_index([rate for rate, _ in shown], [size for _, size in shown], z=z)
    return found.rounded() if found else None


@dataclass(frozen=True)
class AccessContext:
    """Where the numbers come from; `window` is the first and last day of appointments with an outcome.

    `before` is what the home has published before, `not_protected` says which comparisons with other reports could
    give a small number back.
    """

    source: str
    data_sha256: str
    window: tuple[datetime.date, datetime.date]
    code_revision: str
    synthetic: bool
    created_at: datetime.datetime | None = None
    before: PublishedBefore | None = None
    not_protected: str = ""


@dataclass(frozen=True)
class AccessAssessment:
    """The published figures of a service: everyone, each grouping of the extract, and groupings it lacks."""

    everyone: AccessTable
    tables: tuple[AccessTable, ...]
    absent: tuple[str, ...]
    policy: Policy
    context: AccessContext
    publication: Publication | None = None

    @property
    def wait_begins(self) -> str:
        """From when waits for a first appointment are counted, in words that follow "days from".

        No sentence where so few have no referral that their number is rounded to 0.
        """
        share = self.everyone.rows[0].measures["from_referral"].rate
        if share is None or share.value == 0:
            return WAIT_BEGINS
        return "referral" if share.value == 1 else f"referral, or {WAIT_BEGINS} where no referral is recorded,"

    def table(self, name: str) -> AccessTable | None:
        """The table of a grouping by its name, None where the extract lacks it."""
        return next((table for table in self.tables if table.name == name), None)


def assess(listed: AccessData, *, policy: Policy, context: AccessContext) -> AccessAssessment:
    """Count a service's appointments group by group.

    The result holds no exact counts: numbers are rounded and small ones hidden by the policy's rule.
    """
    return assess_counts(count_service(listed), has_barriers=listed.has_barriers, policy=policy, context=context)


def assess_counts(
    service: ServiceCounts, *, has_barriers: bool, policy: Policy, context: AccessContext
) -> AccessAssessment:
    """The assessment from counts (`access_counts.count_service`)."""
    counted = service.groupings
    rule, z = policy.disclosure, z_of(policy.confidence)
    hidden = hidden_access_counts(counted, rule, before=context.before)
    first, *others = (access_table(one, hidden=hidden, rule=rule, z=z, has_barriers=has_barriers) for one in counted)
    found = {one.grouping.name for one in counted}
    absent = grouping_phrases(each for each in ASSESSED if each.name not in found and each in GROUPINGS)
    context = replace(context, not_protected=hidden.not_protected(context.not_protected))
    return AccessAssessment(first, tuple(others), absent, policy, context, hidden.publication)

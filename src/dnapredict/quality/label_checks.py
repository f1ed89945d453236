"""Checks of the outcomes of an extract, before a model learns from them; `check` and `train` share them.

A fault stops (exit code 10, as other data do) where training would learn something else than who misses: where there
is no label at all, where more than half are recorded as missed, where most outcomes are read as "in the future", or
where a fault that is certain concerns more of the labels than the faulty rows that a training takes
(`max_rejected_share`). Everything else is a warning, since a service can be unusual and its records right.
Columns that give the outcome away are in `leak_faults`. `tests/spec/test_label_checks.py` shows each fault in a table.
"""

import datetime
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure, Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.contract import codes
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.errors import DataError
from dnapredict.features.scoring_clock import LabelRule
from dnapredict.quality.extreme_shares import (
    MissedCounts,
    extreme_groups,
    is_surely_above,
    is_surely_below,
    runs_without_missed,
)
from dnapredict.quality.leak_faults import in_100, leak_fault, list_faults, shown_count
from dnapredict.quality.outcome_counts import DayCounts, LabelCounts, label_counts, outcome_leaks
from dnapredict.quality.report_figures import LabelFault

# In England 6 to 8 in 100 outpatient appointments are missed; single services have 2 to 30.
USUAL_SHARES: Final = (0.02, 0.30)
_TURNED_ROUND: Final = 0.5
# Appointments that have taken place and still have code 0, from which a wrong translation is likelier than a backlog.
_NOT_APPLICABLE: Final = 0.02
# After the last booking come a weekend and a bank holiday without one.
_DAYS_WITHOUT_BOOKINGS: Final = 4
# Probability, for an extract that holds no appointment after it was made, that the check below reports one.
_LAST_BOOKING_ERROR: Final = 1e-6
# Least intraclass correlation of days: with 7 in 100 missed, 95 of 100 days have a true share of 4 to 10 in 100. On the
# Vitória extract it is 0.002.
_DAY_CORRELATION: Final = 0.003
_MOST_DAYS: Final = 3
_ASK: Final = (
    "Ask what happened: a clinic that was called off, a default that nobody changed. Leave these days out of the "
    "extract, or have their outcomes corrected."
)
_TRANSLATE: Final = "under [columns.outcome_code.translate] in the mapping"


@dataclass(frozen=True)
class _Checks:
    """What the rules share: exact counts, the rule for small numbers, the largest share that is only a warning."""

    counts: LabelCounts
    rule: Disclosure
    limit: float

    def number(self, count: int) -> str:
        """A count as it may be printed."""
        return shown_count(count, self.rule)

    def in_100(self, part: int, whole: int) -> str:
        """A share in words."""
        return in_100(part, whole, self.rule)

    def stops(self, rows: int) -> bool:
        """Whether a certain fault in so many labels stops a training."""
        return rows > self.limit * self.counts.known


def label_faults(
    checked: CheckedExtract,
    workspace: SqlEngine,
    *,
    config: TrainingConfig,
    rule: Disclosure,
    now: datetime.datetime | None,
) -> tuple[LabelFault, ...]:
    """Everything about the outcomes of an extract that a person should see before they are believed.

    Parameters
    ----------
    rule
        The rule for small numbers: every count in a sentence is rounded, and small ones are not given.
    now
        The instant of the check; None for a simulated extract, whose calendar is made up.
    """
    labels = LabelRule(config.dna_codes)
    counts = label_counts(checked, workspace, labels=labels, now=now)
    checks = _Checks(counts, rule, config.max_rejected_share)
    if not counts.known:
        return tuple(_no_outcome(checks))
    leaks = outcome_leaks(checked, workspace, labels=labels, known=counts.known)
    return (
        *_implausible_share(checks),
        *_not_translated(checks),
        *_after_now(checks),
        *_after_last_booking(checks),
        *_extreme_days(checks),
        *(leak_fault(each, counts, rule=rule, limit=checks.limit) for each in leaks),
    )


def extract_label_faults(
    checked: CheckedExtract,
    workspace: SqlEngine,
    *,
    synthetic: bool,
    setting: Setting,
    lists: Sequence[CheckedExtract] = (),
) -> tuple[LabelFault, ...]:
    """Faults of the outcomes of an extract, with the policy's small-number rule and this machine's clock.

    The calendar of a `synthetic` extract is made up, so that the clock says nothing about it.
    `lists` were drawn before the appointments; columns that have changed since are looked for.
    """
    now = None if synthetic else datetime.datetime.now(datetime.UTC)
    rule, config = load(shipped("fairness/policy.toml"), Policy).disclosure, setting.training
    faults = label_faults(checked, workspace, config=config, rule=rule, now=now)
    changed = list_faults(checked, lists, workspace, config=config, rule=rule) if lists else ()
    return (*faults, *changed)


def require_labels(faults: Sequence[LabelFault], *, source: str) -> None:
    """Refuse an extract whose outcomes cannot be learned from.

    Raises
    ------
    DataError
        If a fault stops; its sentences are in the message.
    """
    stops = [f"{fault.found} {fault.action}" for fault in faults if fault.stops]
    if stops:
        raise DataError(f"{source}: the outcomes cannot be trained on. {' '.join(stops)}")


def _no_outcome(checks: _Checks) -> Iterator[LabelFault]:
    """Nothing to train on; a list of appointments to come is no fault, as it has no outcomes yet."""
    counts = checks.counts
    started, rows = sum(day.rows for day in counts.started), sum(day.rows for day in counts.days)
    if 2 * started <= rows:
        return
    zeros = sum(day.not_applicable for day in counts.started)
    if 2 * zeros > started:
        yield _zeros(checks, zeros, stops=True)
        return
    what = "No appointment was attended or missed" if counts.has_outcomes else "There is no outcome_code"
    yield LabelFault(
        "no_outcome",
        True,
        f"{what}, though {checks.number(started)} of {checks.number(rows)} appointments have taken place.",
        "Map the column that says whether the patient came to outcome_code, and translate its values "
        f"({', '.join(codes.ATTENDED)} attended; {', '.join(codes.MISSED)} missed) {_TRANSLATE}.",
    )


def _implausible_share(checks: _Checks) -> Iterator[LabelFault]:
    counts = checks.counts
    low, high = USUAL_SHARES
    is_turned = is_surely_above(counts.missed, counts.known, _TURNED_ROUND)
    if not (is_surely_below(counts.missed, counts.known, low) or is_surely_above(counts.missed, counts.known, high)):
        return
    known, share = checks.number(counts.known), checks.in_100(counts.missed, counts.known)
    if counts.missed == 0:
        found, action = f"None of {known} appointments with an outcome is recorded as missed.", "Translate"
    elif is_turned:
        found = f"{share} of {known} appointments with an outcome are recorded as missed: the flag may be turned round."
        action = "Correct"
    else:
        unusual = f"outpatient services have {low * 100:.0f} to {high * 100:.0f}"
        found = f"{share} of {known} appointments with an outcome are recorded as missed; {unusual}."
        action = "If that is not so, correct"
    yield LabelFault(
        "share_missed",
        counts.missed == 0 or is_turned,
        _upper(found),
        f"{action} the outcome {_TRANSLATE}: {codes.MISSED[0]} means missed, {codes.ATTENDED[0]} attended.",
    )


def _not_translated(checks: _Checks) -> Iterator[LabelFault]:
    started = sum(day.rows for day in checks.counts.started)
    zeros = sum(day.not_applicable for day in checks.counts.started)
    if is_surely_above(zeros, started, _NOT_APPLICABLE):
        yield _zeros(checks, zeros, stops=2 * zeros > started)


def _zeros(checks: _Checks, zeros: int, *, stops: bool) -> LabelFault:
    started = sum(day.rows for day in checks.counts.started)
    return LabelFault(
        "not_translated",
        stops,
        f"{checks.number(zeros)} of {checks.number(started)} appointments that have taken place have the outcome "
        f"{codes.NOT_APPLICABLE}, which means that an appointment is in the future.",
        f"If the extract has a flag of 0 and 1, translate both values {_TRANSLATE}.",
    )


def _after_now(checks: _Checks) -> Iterator[LabelFault]:
    days = [day for day in checks.counts.days if day.after_now]
    rows = sum(day.after_now for day in days)
    if rows:
        yield LabelFault(
            "outcome_in_future",
            checks.stops(rows),
            f"{_upper(checks.number(rows))} appointments have an outcome that lies in the future (by this machine's "
            f"clock): {_listed(days, lambda day: checks.number(day.after_now))}.",
            "An appointment that has not taken place has no outcome: leave outcome_code blank there, and see what "
            "starts_at and recorded_at are taken from.",
        )


def _after_last_booking(checks: _Checks) -> Iterator[LabelFault]:
    """Outcomes on days for which bookings would be expected, had the extract been made after them.

    If appointments of a day were all booked `lead` days ahead or earlier, where in the rest of the extract a share
    `s` is, the probability is `s ** n`. Appointments of a day are taken as independent, so the error is set low.
    """
    counts, last = checks.counts, checks.counts.last_booking
    if last is None:
        return
    grace = last + datetime.timedelta(days=_DAYS_WITHOUT_BOOKINGS)
    days = [day for day in counts.days if day.day > grace and day.known]
    logarithm = sum(day.known * _log_share(counts, (day.day - grace).days) for day in days)
    if days and logarithm < math.log(_LAST_BOOKING_ERROR):
        rows = sum(day.known for day in days)
        yield LabelFault(
            "outcome_after_extract",
            False,
            f"{_upper(checks.number(rows))} appointments have an outcome and take place after {_day(last)}, the last "
            f"day on which any was booked: {_listed(days, lambda day: checks.number(day.known))}.",
            "If the extract was made then, they had not taken place: see whether a blank or a default is translated as "
            "attended or missed. If it was selected by date of booking, nothing is wrong.",
        )


def _log_share(counts: LabelCounts, least: int) -> float:
    """Logarithm of the share of appointments that were booked at least so many days ahead."""
    ahead = sum(rows for lead, rows in counts.leads.items() if lead >= least)
    return math.log(ahead / counts.known) if ahead else -math.inf


def _extreme_days(checks: _Checks) -> Iterator[LabelFault]:
    days = [day for day in checks.counts.days if day.known]
    counts = MissedCounts(np.array([day.known for day in days]), np.array([day.missed for day in days]))
    usual = counts.usual_share
    above, below = extreme_groups(counts, usual_share=usual, tests=len(days), least_correlation=_DAY_CORRELATION)
    usually = f"usually {100 * usual:.0f} in 100 are"
    for fault, mask, words in (
        ("days_all_missed", above, "nearly all appointments are recorded as missed"),
        ("days_none_missed", below, "hardly any appointment is recorded as missed"),
    ):
        marked = [day for day, is_extreme in zip(days, mask, strict=True) if is_extreme]
        if marked:
            on = "On 1 day" if len(marked) == 1 else f"On {len(marked)} days"
            yield LabelFault(
                fault,
                checks.stops(sum(day.known for day in marked)),
                f"{on} {words}, where {usually}: {_listed(marked, lambda day: _missed_of(checks, day))}.",
                _ASK,
            )
    yield from _without_missed(checks, days, counts, told=below)


def _without_missed(
    checks: _Checks, days: Sequence[DayCounts], counts: MissedCounts, *, told: NDArray[np.bool_]
) -> Iterator[LabelFault]:
    """Weeks without one missed appointment, any day of which may be chance: a warning."""
    usual = counts.usual_share
    for run in runs_without_missed(counts, usual_share=usual, least_correlation=_DAY_CORRELATION):
        if not told[run].any():
            known = checks.number(sum(day.known for day in days[run]))
            yield LabelFault(
                "days_none_missed",
                False,
                f"From {_day(days[run.start].day)} to {_day(days[run.stop - 1].day)} none of {known} appointments is "
                f"recorded as missed, where usually {100 * usual:.0f} in 100 are.",
                _ASK,
            )


def _missed_of(checks: _Checks, day: DayCounts) -> str:
    """Missed of known appointments; a small count is not given, and does not follow from the other two."""
    small = range(1, checks.rule.suppress_below)
    if day.attended in small or day.missed in small:
        return f"{'nearly all' if day.missed > day.attended else 'hardly any'} of {checks.number(day.known)}"
    return f"{checks.number(day.missed)} of {checks.number(day.known)}"


def _listed(days: Sequence[DayCounts], words: Callable[[DayCounts], str]) -> str:
    shown = ", ".join(f"{_day(day.day)} ({words(day)})" for day in days[:_MOST_DAYS])
    more = len(days) - _MOST_DAYS
    return shown + (f" and {more} more day{'s' if more > 1 else ''}" if more > 0 else "")


def _day(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]

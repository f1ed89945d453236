"""The findings on page 1 of the access report, in numbers of people."""

from dataclasses import dataclass
from typing import Final

from dnapredict.fairness.access.assessment import AccessAssessment, AccessRow, AccessTable
from dnapredict.fairness.measure.intervals import Interval
from dnapredict.fairness.report.phrases import in_100, list_and, range_of

_ENGLAND_CORE20: Final = 20  # of 100 people in England, by what Core20 means
_NOTHING: Final = "Not enough data to say."
_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class AccessFinding:
    """A question of a board and its answer."""

    question: str
    answer: str


def findings(access: AccessAssessment) -> tuple[AccessFinding, ...]:
    """The questions of a board paper on health inequalities, each with an answer or "not enough data"."""
    core20 = access.table("core20")
    deprived, others = (core20.row("core20"), core20.row("rest")) if core20 else (None, None)
    return (
        AccessFinding("Who is on the list?", _listed(deprived)),
        AccessFinding("Who waits?", _waits(access, deprived, others)),
        AccessFinding("Who misses their appointment?", _misses(access, deprived, others)),
        AccessFinding("Whose appointments does the hospital cancel?", _cancelled(deprived, others)),
        AccessFinding("Who needs more help to come?", _inclusion(access)),
        AccessFinding("Whom can we not see?", _unseen(access)),
    )


def _listed(deprived: AccessRow | None) -> str:
    if deprived is None or deprived.share is None:
        return f"{_NOTHING} The extract holds no deprivation decile."
    sentence = (
        f"Of every 100 people with an appointment, {100 * deprived.share.value:.0f} live in the most "
        f"deprived fifth of England's areas (Core20). In England as a whole it is {_ENGLAND_CORE20}."
    )
    if deprived.waiting is not None:
        sentence += f" Of every 100 whose appointment lies ahead, it is {100 * deprived.waiting.value:.0f}."
    return sentence


def _waits(access: AccessAssessment, deprived: AccessRow | None, others: AccessRow | None) -> str:
    if deprived is None or others is None or deprived.median_wait is None or others.median_wait is None:
        return f"{_NOTHING} The extract does not say which appointments are first ones, and when booked."
    first, second = deprived.median_wait, others.median_wait
    sentence = (
        "Half of the first appointments of people in the most deprived areas took place within "
        f"{first.value:.0f} days of {access.wait_begins.removesuffix(',')}; of other people, within {second.value:.0f}."
    )
    over = [row.measures["wait_over_6_weeks"].rate for row in (deprived, others)]
    if over[0] and over[1]:
        sentence += f" Longer than six weeks: {in_100(over[0])} there, {in_100(over[1])} elsewhere."
    share = access.everyone.rows[0].measures["from_referral"].rate
    if share is None or share.value == 0:
        return f"{sentence} This is not the wait since referral, which the extract does not hold."
    if share.value == 1:
        return sentence
    return f"{sentence} The referral is recorded for {in_100(share)}; the others are counted from booking."


def _misses(access: AccessAssessment, deprived: AccessRow | None, others: AccessRow | None) -> str:
    rates = [row.measures["missed"].rate if row else None for row in (deprived, others)]
    if deprived is None or rates[0] is None or rates[1] is None:
        return _NOTHING
    sentence = (
        f"Of every 100 appointments of people in the most deprived areas {100 * rates[0].value:.0f} were "
        f"missed; of other people's {100 * rates[1].value:.0f}."
    )
    behind = _more_often(access.table("ethnicity"))
    if behind:
        sentence += f" More often than by everyone else, beyond chance: {list_and(behind)}."
    return f"{sentence} {_chance(deprived.more_missed)}".strip()


def _chance(more: Interval | None) -> str:
    if more is None:
        return ""
    if more.low > 0:
        return f"Chance does not explain the gap between areas (likely range: {range_of(more)} in 100)."
    return "The gap between areas could be chance."


def _more_often(table: AccessTable | None) -> list[str]:
    """Ethnic groups that miss more often, beyond chance; the largest differences first."""
    rows = [row for row in (table.rows if table else ()) if row.group.known and row.more_missed]
    clear = [row for row in rows if row.more_missed and row.more_missed.low > 0]
    clear.sort(key=lambda row: -(row.more_missed.value if row.more_missed else 0))
    names = [row.group.name for row in clear]
    if len(names) > _MOST_NAMED + 1:
        return [*names[:_MOST_NAMED], f"{len(names) - _MOST_NAMED} other groups"]
    return names


def _cancelled(deprived: AccessRow | None, others: AccessRow | None) -> str:
    rates = [row.measures["cancelled_by_provider"].rate if row else None for row in (deprived, others)]
    if rates[0] is None or rates[1] is None:
        return _NOTHING
    return (
        f"The hospital cancelled or moved {in_100(rates[0])} appointments of people in the most deprived "
        f"areas, and {in_100(rates[1])} of other people's."
    )


def _inclusion(access: AccessAssessment) -> str:
    """Rates of PLUS groups, interpreter users and people with a recorded disability."""
    told = []
    groupings = ("disability", "learning_disability", "interpreter")
    for name, codes in (("plus", None), *((name, ("yes",)) for name in groupings)):
        table = access.table(name)
        for row in table.rows if table else ():
            rate = row.measures["missed"].rate
            if row.group.known and rate and (codes is None or row.group.code in codes):
                told.append(f"{row.group.name} {in_100(rate)}")
    if not told:
        return "The extract does not say who is in a PLUS group, has a disability or needs an interpreter."
    everyone = access.everyone.rows[0].measures["missed"].rate
    return f"Missed appointments: {list_and(told)}. Everyone: {in_100(everyone)}."


def _unseen(access: AccessAssessment) -> str:
    everyone = access.everyone.rows[0].measures
    told = [
        f"{title} {in_100(everyone[name].rate)}"
        for name, title in (
            ("age_known", "age"),
            ("sex_known", "sex"),
            ("ethnicity_known", "ethnic group"),
            ("area_known", "deprivation of the area"),
        )
        if everyone[name].rate
    ]
    sentence = f"Recorded, of 100 appointments: {list_and(told).replace(' in 100', '')}." if told else _NOTHING
    table = access.table("ethnicity")
    rows = [row for row in table.rows if not row.group.known] if table else []
    why = [f"{row.group.name.lower()} {in_100(row.share)}" for row in rows if row.share and row.share.value]
    return f"{sentence} Ethnic group, of 100 people: {list_and(why)}." if why else sentence

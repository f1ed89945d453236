"""Findings for the data manager, from published figures, the most urgent first, and a remedy for each broken rule."""

import dataclasses
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from dnapredict.data.contract import codes
from dnapredict.quality.record_quality import BLANK
from dnapredict.quality.report_figures import MissedSigns, QualityFinding, Report, Urgency

_OF_RULE: Final = MappingProxyType(
    {
        "more_cells_than_columns": "Have every cell quoted that holds the separator, or export as XLSX or Parquet.",
        "summary_row": "Leave totals and notes out of the export, or let them be refused: nothing is lost.",
        "cell_too_long": "Look at the rows named: free text may have come into a column of codes.",
        "no_appointment_id": "Export the id of every appointment. Totals and blank rows at the end can go.",
        "duplicate_appointment_id": "See whether the export joins a table that holds several rows for an "
        "appointment. Keep one row each; the first was kept.",
        "patient_id_not_an_nhs_number": "Check that patient_id comes from the column of NHS numbers, and "
        "that no spreadsheet has rounded it.",
        "no_booked_at": "Export when the appointment was made. A referral date is not the same.",
        "no_starts_at": "Leave out referrals that have no appointment yet.",
        "date_out_of_range": "Leave out appointments without a date: 2999-12-31 means not yet known.",
        "starts_before_booked": "Check that booked_at and starts_at are not swapped, and that a date was not "
        "read with day and month in turn.",
        "outcome_before_start": "Check what recorded_at is taken from: it should be when the outcome was "
        "entered, not when the row was made.",
        "outcome_code_unknown": "Translate the trust's own codes in the mapping, under "
        "[columns.outcome_code.translate].",
        "administrative_event": "Nothing to do: clock stops are no appointments and are set aside.",
    }
)
_BY_ENDING: Final = MappingProxyType(
    {
        "_in_scientific_notation": "A spreadsheet has rounded the number. Export it again as text, without "
        "opening the file in between.",
        "_order_unclear": "Give the column's date format in the mapping, such as format = '%d/%m/%Y'.",
        "_unreadable": "Give the column's date format in the mapping, such as format = '%d/%m/%Y %H:%M'.",
        "_invalid": "Check that the mapping takes the right column, and its unit.",
    }
)


def remedy(rule: str) -> str:
    """What to do about rows that break `rule`, in a sentence or two.

    >>> remedy("booked_at_unreadable")
    "Give the column's date format in the mapping, such as format = '%d/%m/%Y %H:%M'."

    Raises
    ------
    KeyError
        If there is no such rule, or no action is listed for it: a new rule needs one here.
    """
    if rule in _OF_RULE:
        return _OF_RULE[rule]
    for ending, text in _BY_ENDING.items():
        if rule.endswith(ending):
            return text
    raise KeyError(rule)


# Thresholds from which a share becomes a finding; each is a judgement of the authors.
_ETHNICITY_KNOWN = 0.90  # the limit at which the audit's gate on records passes
_COMPLETE = 0.95
_FALL = 0.20
_NO_CLOCK = 0.05
_NIGHT = 0.02
_SAME_VISIT = 0.001
_NOT_RECORDED = 0.05
_SIGN_GAP = 0.05
_ENOUGH_MISSED = 100
_OF_USUAL = (0.5, 2.0)
# In months with fewer appointments the share missed is too uncertain.
_ENOUGH_IN_MONTH = 200


def findings(report: Report) -> Report:
    """The report with its findings filled in."""
    found = [*_contract(report), *_labels(report), *_codes(report), *_columns(report), *_outcomes(report)]
    found += [*_groups(report), *_times(report), *_twice(report)]
    order = list(Urgency)
    return dataclasses.replace(report, findings=tuple(sorted(found, key=lambda finding: order.index(finding.urgency))))


def _labels(report: Report) -> Iterator[QualityFinding]:
    for fault in report.labels:
        yield QualityFinding(Urgency.NOW if fault.stops else Urgency.SOON, fault.found, fault.action)


def _contract(report: Report) -> Iterator[QualityFinding]:
    if report.kept and report.rejected_share <= report.limit:
        return
    share = f"{report.rejected_share:.1%} of the rows break the contract; a training takes {report.limit:.1%}."
    if report.kept == 0:
        share = "No row keeps the contract."
    yield QualityFinding(Urgency.NOW, share, "Begin with the rule that most rows break: see the refused rows below.")


def _codes(report: Report) -> Iterator[QualityFinding]:
    if any(each.by == "description" for each in report.words):
        yield QualityFinding(
            Urgency.SOON,
            "Words of the extract were read as codes by the contract's list of descriptions.",
            "Have a person confirm each of them in the list of words below, and write them into the mapping with "
            "check --suggest.",
        )
    for cells in report.cells_not_known:
        yield QualityFinding(
            Urgency.SOON, f"{cells.sentence}.", "Translate them in the mapping, or correct the extract."
        )
    for each in report.codes_not_known:
        refused = each.column == "outcome_code"
        consequence = "Their rows are refused." if refused else "They count as not known."
        told = ", ".join(code.code for code in each.told[:8])
        yield QualityFinding(
            Urgency.NOW if refused else Urgency.SOON,
            f"{each.column} holds values that are not national codes"
            + (f": {told}" if told else "")
            + (", and more" if len(each.told) > 8 else "")
            + f". {consequence}",
            f"Translate them in the mapping, under [columns.{each.column}.translate]."
            if told
            else "What it holds does not look like codes: check that the mapping takes the right column.",
        )


def _columns(report: Report) -> Iterator[QualityFinding]:
    yield from _absent(report)
    for each in report.completeness:
        shares = {month: share for month, share in each.by_month.items() if share is not None}
        if each.share is None or not shares or each.column in ("outcome_code", "recorded_at", "rtt_status_code"):
            continue
        best = max(shares.values())
        fallen = [month for month, share in shares.items() if share < best - _FALL]
        if fallen:
            yield QualityFinding(
                Urgency.SOON,
                f"{each.column} is filled in {best:.0%} of the rows of its best month, and in "
                f"{shares[fallen[0]]:.0%} of {_few(fallen)}.",
                "Ask what changed then: a form, a system, or the export.",
            )
        elif each.column == "imd_decile" and each.share < _COMPLETE:
            yield QualityFinding(
                Urgency.SOON,
                f"imd_decile is filled in {each.share:.0%} of the rows.",
                "Look it up from the LSOA of residence, so that the audit can compare deprived areas.",
            )


def _absent(report: Report) -> Iterator[QualityFinding]:
    lacking = [factor for factor in report.factors if not factor.fed]
    columns = sorted({name for factor in lacking for name in factor.missing})
    if "patient_id" in columns:
        yield QualityFinding(
            Urgency.SOON,
            "There is no patient_id, so nobody has an attendance history.",
            "Export a pseudonym for each patient, the same in every row.",
        )
    if lacking:
        yield QualityFinding(
            Urgency.KNOW,
            f"{len(lacking)} of {len(report.factors)} agreed factors cannot be fed, for lack of {', '.join(columns)}.",
            "Add the columns where the system has them. A model is trained without those factors, "
            "and its card says so.",
        )
    for name, group in (("ethnic_category_code", "ethnic groups"), ("imd_decile", "deprived areas")):
        if name not in report.columns:
            yield QualityFinding(
                Urgency.SOON, f"There is no {name}.", f"Without it the audit cannot compare {group}: add it."
            )


def _outcomes(report: Report) -> Iterator[QualityFinding]:
    months = [month for month in report.outcomes_by_month if month.rows]
    with_outcome = [month.month for month in months if month.rows != month.outcomes[BLANK]]
    late = [
        month.month
        for month in months
        if with_outcome
        and month.month < with_outcome[-1]
        and (month.outcomes[BLANK] or 0) > _NOT_RECORDED * (month.rows or 0)
    ]
    if late:
        yield QualityFinding(
            Urgency.SOON,
            f"Over {_NOT_RECORDED:.0%} of appointments have no outcome in {_few(late)}, though later "
            "months have outcomes.",
            "Have the clinics' outcomes entered: appointments without one teach a model nothing.",
        )
    yield from _odd_months(report)
    gaps = _gaps([month.month for month in months])
    if gaps:
        yield QualityFinding(
            Urgency.SOON,
            f"There are no appointments in {_few(gaps)}.",
            "See whether the export was cut: history with a hole in it misleads.",
        )


def _gaps(months: list[str]) -> list[str]:
    """Months without rows between the first and the last.

    >>> _gaps(["2025-11", "2026-02"])
    ['2025-12', '2026-01']
    """
    if not months:
        return []
    first, last = (12 * int(month[:4]) + int(month[5:]) - 1 for month in (months[0], months[-1]))
    every = [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(first, last + 1)]
    return [month for month in every if month not in months]


def _odd_months(report: Report) -> Iterator[QualityFinding]:
    shares = {}
    for month in report.outcomes_by_month:
        missed = sum(month.outcomes[code] or 0 for code in codes.MISSED)
        known = missed + sum(month.outcomes[code] or 0 for code in codes.ATTENDED)
        if known >= _ENOUGH_IN_MONTH:
            shares[month.month] = missed / known
    if not shares:
        return
    usual = sorted(shares.values())[len(shares) // 2]
    odd = [m for m, share in shares.items() if not _OF_USUAL[0] * usual <= share <= _OF_USUAL[1] * usual]
    if odd:
        yield QualityFinding(
            Urgency.SOON,
            f"Usually {100 * usual:.0f} of 100 appointments are missed; {_few(odd)} "
            "has less than half or more than double of that.",
            "Ask whether outcomes were recorded in another way then, or a code was translated wrongly.",
        )


def _groups(report: Report) -> Iterator[QualityFinding]:
    sites = [site for site in report.ethnicity_by_site if site.rows and site.share_known is not None]
    rows = sum(site.rows or 0 for site in sites)
    known = sum(site.known or 0 for site in sites)
    if rows and known / rows < _ETHNICITY_KNOWN:
        named = [site for site in sites if site.site] or sites
        worst = min(named, key=lambda site: (site.share_known or 0, site.site))
        yield QualityFinding(
            Urgency.SOON,
            f"Ethnicity is known in {known / rows:.0%} of the rows; least at "
            f"{worst.site or 'no recorded site'}, {worst.share_known:.0%}.",
            "Have it asked where it is not (99 and blank). Z means that a patient declined: leave it.",
        )
    for grouping in ("deprivation", "ethnicity"):
        yield from _uneven([each for each in report.missed_by_group if each.grouping == grouping])


def _uneven(groups: list[MissedSigns]) -> Iterator[QualityFinding]:
    known = [
        (each.any_sign, each.group)
        for each in groups
        if each.group and each.any_sign is not None and (each.missed or 0) >= _ENOUGH_MISSED
    ]
    if len(known) < 2 or max(known)[0] - min(known)[0] < _SIGN_GAP:
        return
    (low, fewest), (high, most) = min(known), max(known)
    of = "fifth of deprivation " if groups[0].grouping == "deprivation" else ""
    yield QualityFinding(
        Urgency.SOON,
        f"Signs that a missed appointment is the trust's own doing are uneven: {high:.0%} in {of}{most}, "
        f"{low:.0%} in {of}{fewest}.",
        "Look at a sample of both with the clinics before a difference between groups is believed.",
    )


def _times(report: Report) -> Iterator[QualityFinding]:
    for each in report.times:
        filled = each.filled or 0
        if each.no_clock and each.no_clock > _NO_CLOCK * filled:
            yield QualityFinding(
                Urgency.KNOW,
                f"{each.column} has no clock time in {each.no_clock / filled:.0%} of the rows.",
                "Export date and time together, if the system has the time.",
            )
        if each.skipped != 0 and each.column != "recorded_at":
            yield QualityFinding(
                Urgency.KNOW,
                f"{each.column} holds times in the hour that the clock skips in spring.",
                "See whether the export writes UTC: then let it write an offset, such as 01:30Z.",
            )
        if each.column == "starts_at" and each.night and each.night > _NIGHT * filled:
            yield QualityFinding(
                Urgency.SOON,
                f"{each.night / filled:.0%} of appointments start between 22:00 and 06:00.",
                "See whether morning and afternoon are told apart, and in which time zone they are.",
            )


def _twice(report: Report) -> Iterator[QualityFinding]:
    if report.duplicates.same_visit and report.duplicates.same_visit > _SAME_VISIT * report.kept:
        yield QualityFinding(
            Urgency.SOON,
            f"About {report.duplicates.same_visit:,} rows share patient, time and clinic with another row.",
            "See whether a visit gets a second id when it is changed; keep its last state alone.",
        )


def _few(months: list[str]) -> str:
    return ", ".join(months[:3]) + (f" and {len(months) - 3} more months" if len(months) > 3 else "")

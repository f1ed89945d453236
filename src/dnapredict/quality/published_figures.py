"""Publish exact counts: small ones hidden, others rounded."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.contract.columns import COLUMNS
from dnapredict.data.contract.columns import column as contract_column
from dnapredict.data.small_numbers import publish_count, second_suppression
from dnapredict.data.validation.rules import NOT_A_FAULT, sentence_of
from dnapredict.quality.factor_availability import factor_availability
from dnapredict.quality.measures.quality_profile import Profile
from dnapredict.quality.measures.record_quality import ExtractMonth
from dnapredict.quality.measures.recording_by_group import MissedByGroup
from dnapredict.quality.measures.source_words import SourceWord
from dnapredict.quality.quality_findings import findings
from dnapredict.quality.remedies import remedy
from dnapredict.quality.report_figures import (
    SCHEMA,
    CellsNotKnown,
    CodesNotKnown,
    Completeness,
    Duplicates,
    Joined,
    LabelFault,
    MissedSigns,
    MonthOutcomes,
    RejectedRule,
    Report,
    SiteCompleteness,
    TimeColumn,
    WordRead,
)

_SIGNS = ("little_notice", "moved", "too_late", "any_sign")
_KINDS_OF_ETHNICITY = ("known", "declined", "not_asked", "blank", "not_national")


@dataclass(frozen=True)
class ReportSource:
    """Facts about the file that the report states besides its figures."""

    file: str
    synthetic: bool
    limit: float
    labels: tuple[LabelFault, ...] = ()


def publish_report(profile: Profile, *, source: ReportSource, rule: Disclosure, register: FactorRegister) -> Report:
    """The report of an extract: published figures, and findings."""
    report = Report(
        schema=SCHEMA,
        file=source.file,
        synthetic=source.synthetic,
        rows=profile.rows,
        kept=profile.kept,
        rejected_share=round(profile.rejected_share, 6),
        limit=source.limit,
        usable=profile.kept > 0
        and profile.rejected_share <= source.limit
        and not any(fault.stops for fault in source.labels),
        columns=tuple(sorted(profile.present)),
        imd_release=profile.entry.areas.release,
        areas=dict(profile.entry.areas.rows),
        joined=tuple(Joined(**asdict(each)) for each in profile.entry.matches),
        entry=profile.entry.sentences,
        findings=(),
        labels=source.labels,
        rejections=_refused(profile),
        completeness=_completeness(profile, rule),
        codes_not_known=published_codes(profile.unknown_codes, rule),
        duplicates=Duplicates(profile.duplicates.repeated_ids, _shown(profile.duplicates.same_visit, rule)),
        outcomes_by_month=tuple(_month(month, rule) for month in profile.months),
        ethnicity_by_site=_sites(profile, rule),
        missed_by_group=_missed(profile.missed, rule),
        times=tuple(
            TimeColumn(each.column, *(_shown(n, rule) for n in list(asdict(each).values())[1:]))
            for each in profile.times
        ),
        factors=factor_availability(profile.present, register),
        suppress_below=rule.suppress_below,
        round_to=rule.round_to,
        words=published_words(profile.words, rule),
        cells_not_known=tuple(
            CellsNotKnown(each.column, each.count, each.first_rows, str(each)) for each in profile.unreadable
        ),
    )
    return findings(report)


def _shown(count: int | None, rule: Disclosure) -> int | None:
    return None if count is None else publish_count(count, rule)


def _share(part: int, whole: int, rule: Disclosure) -> float | None:
    above, below = publish_count(part, rule), publish_count(whole, rule)
    return None if above is None or not below else round(min(above / below, 1.0), 4)


def _shown_with_total(counts: list[int], rule: Disclosure) -> list[int | None]:
    """Published counts whose total is published too: a single hidden one must not follow from the others."""
    shown = [publish_count(count, rule) for count in counts]
    second = second_suppression(counts, rule)
    if second is not None:
        shown[second] = None
    return shown


def _refused(profile: Profile) -> tuple[RejectedRule, ...]:
    return tuple(
        RejectedRule(
            each.rule,
            sentence_of(each.rule),
            remedy(each.rule),
            each.rule not in NOT_A_FAULT,
            each.count,
            each.first_rows,
        )
        for each in profile.rejections
    )


def _completeness(profile: Profile, rule: Disclosure) -> tuple[Completeness, ...]:
    kept = sum(month.rows for month in profile.months)
    found = []
    for column in COLUMNS:
        present = column.name in profile.present
        filled = [month.filled[column.name] if present else 0 for month in profile.months]
        by_month = {
            f"{month.first_day:%Y-%m}": _share(n, month.rows, rule) if present else None
            for month, n in zip(profile.months, filled, strict=True)
        }
        share = _share(sum(filled), kept, rule) if present else None
        found.append(Completeness(column.name, column.note, str(column.role), present, share, by_month))
    return tuple(found)


def published_codes(found: tuple[CodesNotKnown, ...], rule: Disclosure) -> tuple[CodesNotKnown, ...]:
    """Codes and words that are no national codes, small counts hidden and others rounded."""
    return tuple(
        replace(
            each,
            rows=_shown(each.rows, rule),
            told=tuple(
                replace(code, rows=rows) for code in each.told if (rows := publish_count(code.rows, rule)) is not None
            ),
        )
        for each in found
    )


def published_words(words: Iterable[SourceWord], rule: Disclosure) -> tuple[WordRead, ...]:
    """Words with their codes, small counts hidden and others rounded.

    A word that only the mapping knows is left out where its count is hidden: it may be a note about one patient.
    """
    shown = ((word, publish_count(word.rows, rule)) for word in words)
    return tuple(
        WordRead(word.column, word.word.strip(), word.code, _meaning(word), word.by, rows)
        for word, rows in shown
        if rows is not None or word.by == "description"
    )


def _meaning(word: SourceWord) -> str:
    return contract_column(word.column).codes.get(word.code, word.code)


def _month(month: ExtractMonth, rule: Disclosure) -> MonthOutcomes:
    shown = _shown_with_total(list(month.outcomes.values()), rule)
    return MonthOutcomes(
        f"{month.first_day:%Y-%m}",
        publish_count(month.rows, rule),
        dict(zip(month.outcomes, shown, strict=True)),
    )


def _sites(profile: Profile, rule: Disclosure) -> tuple[SiteCompleteness, ...]:
    found = []
    for site in profile.ethnicity:
        counts = _shown_with_total([getattr(site, kind) for kind in _KINDS_OF_ETHNICITY], rule)
        kinds = dict(zip(_KINDS_OF_ETHNICITY, counts, strict=True))
        share = None if kinds["known"] is None else _share(site.known, site.rows, rule)
        found.append(SiteCompleteness(site.site, _shown(site.rows, rule), share_known=share, **kinds))
    return tuple(found)


def _missed(groups: tuple[MissedByGroup, ...], rule: Disclosure) -> tuple[MissedSigns, ...]:
    return tuple(
        MissedSigns(
            each.grouping,
            each.group,
            _shown(each.missed, rule),
            *(_share(getattr(each, sign), each.missed, rule) for sign in _SIGNS),
        )
        for each in groups
    )

"""Publish exact counts, small ones hidden and others rounded, as figures of the report and as sentences of every verb.

Sentences tell which values no code list has, since nothing is recoded silently.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.contract.columns import COLUMNS
from dnapredict.data.contract.columns import column as contract_column
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.mapping.pseudonyms import TEMPORARY, UNLINKED
from dnapredict.data.small_numbers import publish_count, second_suppression
from dnapredict.data.validation.checked import CheckedExtract
from dnapredict.data.validation.rules import NOT_A_FAULT, sentence_of
from dnapredict.quality.factor_availability import factor_availability
from dnapredict.quality.quality_findings import findings, remedy
from dnapredict.quality.quality_profile import Profile, SourceWord
from dnapredict.quality.record_quality import ExtractMonth, MissedByGroup, unknown_codes
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


_MOST_TOLD: Final = 12


def unknown_value_sentences(checked: CheckedExtract, workspace: SqlEngine, *, rule: Disclosure) -> Iterator[str]:
    """One sentence for each column with unreadable cells, and for each coded column with values that are no codes.

    A value is told where it can be no patient's (`quality.record_quality`), with its count, small counts
    hidden and others rounded by `rule`; the other values are counted.
    """
    yield from map(str, checked.unreadable)
    for each in published_codes(unknown_codes(checked, workspace), rule):
        rows = "a few" if each.rows is None else f"about {each.rows:,}"
        told = [f'"{code.code}" {code.rows:,}' for code in each.told[:_MOST_TOLD]]
        others = each.values - len(told)
        if others:
            told.append(f"{others:,} other value{'s' if others > 1 else ''}")
        refused = each.column == "outcome_code"
        become = "refused" if refused else "counted as not known"
        yield (
            f"{each.column}: {rows} rows hold no national code and are {become} ({', '.join(told)}). "
            "Translate the values in a mapping."
        )


def word_sentences(words: Sequence[SourceWord], *, rule: Disclosure) -> Iterator[str]:
    """One sentence for each column in which words became codes, with the words, for a person to confirm."""
    by_column: dict[str, list[str]] = {}
    for each in published_words(words, rule):
        by_column.setdefault(each.column, []).append(f'"{each.word}" = {each.code}')
    for column, pairs in by_column.items():
        more = f", and {len(pairs) - _MOST_TOLD:,} more" if len(pairs) > _MOST_TOLD else ""
        yield f"{column}: words read as codes: {', '.join(pairs[:_MOST_TOLD])}{more}. Confirm them."


def patient_number_sentences(checked: CheckedExtract, workspace: SqlEngine, *, rule: Disclosure) -> Iterator[str]:
    """How many rows have a temporary number or none of a person, and how many numbers occur in two forms."""
    if "patient_id" not in checked.present:
        return
    rows = checked.all_rows.get_name()
    counted = workspace.fetch(_PATIENT_NUMBERS.format(rows=rows)).to_pylist()[0]
    two_forms = checked.ingest.numbers_in_two_forms
    if counted["with_zeros"]:
        two_forms += workspace.fetch(_TWO_FORMS.format(rows=rows))["n"][0].as_py()
    if counted["temporary"]:
        yield f"patient_id: {_rows(counted['temporary'], rule)} hold a temporary number, kept as that of a patient."
    if counted["unlinked"]:
        yield (
            f"patient_id: {_rows(counted['unlinked'], rule)} hold a placeholder such as TBC or 999, each kept as "
            "another patient without history."
        )
    if two_forms:
        yield (
            f"patient_id: {_count(two_forms, rule)} numbers occur with and without leading zeros. They are kept as "
            "different patients: export the numbers as text, with their zeros."
        )


def _count(number: int, rule: Disclosure) -> str:
    shown = publish_count(number, rule)
    return "a few" if shown is None else f"about {shown:,}"


def _rows(number: int, rule: Disclosure) -> str:
    return f"{_count(number, rule)} rows"


_PATIENT_NUMBERS: Final = f"""
SELECT count(*) FILTER (starts_with(patient_id, '{TEMPORARY}')) AS temporary,
       count(*) FILTER (starts_with(patient_id, '{UNLINKED}')) AS unlinked,
       count(*) FILTER (starts_with(patient_id, '0')) AS with_zeros
FROM {{rows}}
"""
_TWO_FORMS: Final = """
SELECT count(DISTINCT patient_id) AS n FROM {rows} WHERE patient_id IN (
    SELECT ltrim(patient_id, '0') FROM {rows}
    WHERE starts_with(patient_id, '0') AND regexp_matches(patient_id, '^0[0-9]+$'))
"""

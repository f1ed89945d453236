"""Gates about the data: G0 records, G7 evidence."""

from collections.abc import Sequence

from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.compare.comparisons import Evidence, published_rate
from dnapredict.fairness.measure.counts import CountedGrouping
from dnapredict.fairness.measure.coverage import Coverage, CoverageCell
from dnapredict.fairness.measure.group_metrics import rate
from dnapredict.fairness.measure.groupings import grouping_named, grouping_phrases
from dnapredict.fairness.measure.membership import Group
from dnapredict.fairness.verdicts import Check, Gate, Verdict, combine_checks

_EVERYONE = Group("all", "Everyone")
_UNKNOWN = "ethnicity_unknown"
_NAMED = 5


def records_gate(evidence: Evidence) -> Gate:
    """G0: is the ethnic group of enough patients known, and is every row counted?"""
    question = "Can we trust the records?"
    limits = evidence.policy.limits.records
    if evidence.rows_expected is not None and evidence.rows_expected != evidence.rows:
        missing = publish_count(abs(evidence.rows_expected - evidence.rows), evidence.policy.disclosure)
        few = "A few" if missing is None else f"About {missing:,}"
        sentence = f"{few} labelled appointments did not reach the audit; a dropped row fails it."
        return Gate("G0", "Records", question, Verdict.FAIL, sentence)
    if evidence.coverage is not None and (problems := coverage_problems(evidence.coverage, limits.least_coverage)):
        return Gate("G0", "Records", question, Verdict.FAIL, " ".join(problems))
    if "ethnicity" not in evidence.counted:
        sentence = "Ethnicity is not in this extract, so nothing can be said about it."
        return Gate("G0", "Records", question, Verdict.NOT_ENOUGH_DATA, sentence)
    unknown = rate(evidence.everyone, _UNKNOWN)
    known = 1 - (unknown.value or 0.0)
    verdict = Verdict.PASS if known >= limits.pass_known else Verdict.REVIEW
    verdict = Verdict.FAIL if known < limits.fail_known else verdict
    printed = published_rate(evidence.everyone, _UNKNOWN, at=("all", "all"), evidence=evidence)
    shown = f"{100 * (1 - printed.value):.0f} in 100" if printed else "a number that is hidden of"
    sentence = f"Ethnic group is known for {shown} appointments."
    checks = [Check("all", _EVERYONE, verdict, "ethnicity not known", sentence, printed)]
    for counted in evidence.counted.values():
        checks += _unevenly_missing(counted, evidence)
    uneven = len(checks) - 1
    where = "one group" if uneven == 1 else f"{uneven} groups"
    sentence += f" In {where} it is missing more than twice as often as on average." if uneven else ""
    return Gate("G0", "Records", question, combine_checks(checks), sentence, tuple(checks))


def coverage_problems(coverage: Coverage, least: float) -> list[str]:
    """Sentences on what an audit lacks of the appointments that the model was tested on, or holds too many of.

    Only the name of a group is printed, since a share of few would disclose counts.
    """
    problems = []
    if coverage.share < least:
        problems.append(
            f"Of every 100 appointments that this model was tested on, this audit holds {int(100 * coverage.share)} as "
            f"they were; at least {100 * least:g} are needed.{_why_lost(coverage)} Audit an extract that holds all of "
            "them."
        )
    if lacking := coverage.lacking(least):
        problems.append(f"Beyond chance, too few are left of {_named(lacking)}.")
    if enlarged := coverage.enlarged(least):
        problems.append(f"Beyond chance, too many of the same appointments are now of {_named(enlarged)}.")
    if exchanged := coverage.exchanged(least):
        problems.append(
            f"Beyond chance, too many of {_named(exchanged)} were moved to another group and replaced by others."
        )
    if coverage.foreign > (1 - least) * coverage.audited or (diluted := coverage.diluted(least)):
        whose = f" of {_named(diluted)}" if coverage.foreign <= (1 - least) * coverage.audited else ""
        problems.append(
            f"Too many appointments{whose} were cancelled, on another day or not there when the model was trained, or "
            "were trained on."
        )
    return problems


def _why_lost(coverage: Coverage) -> str:
    """The larger of the two edits, where it explains at least half of what is lost."""
    lost = coverage.tested - coverage.found
    count, what = max((coverage.changed, "another outcome"), (coverage.moved, "another day"))
    return f" Most of the others have {what} now." if 2 * count >= lost else ""


def _named(cells: Sequence[CoverageCell]) -> str:
    """The groups of the cells, missed and attended appointments apart, at most five of each."""
    parts = []
    for missed, word in ((True, "missed"), (False, "attended")):
        names = list(dict.fromkeys(cell.group.name for cell in cells if cell.missed is missed))
        if names:
            more = len(names) - _NAMED
            others = "" if more <= 0 else " and one more group" if more == 1 else f" and {more} more groups"
            parts.append(f"the {word} appointments of {'; '.join(names[:_NAMED])}{others}")
    return ", and of ".join(parts)


def _unevenly_missing(counted: CountedGrouping, evidence: Evidence) -> list[Check]:
    """Groups whose ethnicity is missing more often than `missing_ratio` times the average, beyond chance."""
    if counted.grouping.column == "ethnic_category_code" or counted.grouping.exploratory:
        return []
    ratio = evidence.policy.limits.records.missing_ratio
    mean = rate(counted.total, _UNKNOWN).value or 0.0
    checks = []
    for group, counts in zip(counted.groups, counted.counts, strict=True):
        unknown = rate(counts, _UNKNOWN)
        exact = unknown.interval(evidence.z)
        if exact is None or not group.known or exact.low <= ratio * mean:
            continue
        sentence = f"{group.name}: ethnicity is missing more than {ratio:g} times as often as on average."
        at = (counted.grouping.name, group.code)
        printed = published_rate(counts, _UNKNOWN, at=at, evidence=evidence)
        checks.append(Check(counted.grouping.name, group, Verdict.REVIEW, "ethnicity not known", sentence, printed))
    return checks


def evidence_gate(evidence: Evidence) -> Gate:
    """G7: can something be said about every group that the policy names?"""
    question = "Can we say something about every group that was named beforehand?"
    limits, policy = evidence.policy.limits.evidence, evidence.policy
    present = evidence.counted["plus"].groups if "plus" in evidence.counted else ()
    absent = sorted(set(limits.plus_groups) - {group.name for group in present})
    if absent:
        sentence = f"PLUS groups that the policy names are missing from the extract: {', '.join(absent)}."
        return Gate("G7", "Evidence", question, Verdict.FAIL, sentence)
    compared = evidence.compared
    unseen = [name for name in policy.compared if name not in evidence.counted and name != "plus"]
    thin = [comparison.group.name for comparison in compared if not comparison.enough(policy)]
    if not compared:
        lacking = [name for name in policy.compared if name not in evidence.counted]
        sentence = f"Nothing is known of {_listed(lacking or policy.compared)}: not in this extract."
        return Gate("G7", "Evidence", question, Verdict.NOT_ENOUGH_DATA, sentence)
    if not thin and not unseen:
        return Gate("G7", "Evidence", question, Verdict.PASS, "Every group has enough missed appointments.")
    sentences = [f"Nothing is known of {_listed(unseen)}: not in this extract."] if unseen else []
    if thin:
        few = f"fewer than {policy.smallest_group} each"
        sentences.append(f"{len(thin)} of {len(compared)} groups have too few missed appointments to say ({few}).")
    sentences.append(f"Plan: {limits.plan}" if limits.plan else "There is no plan yet how to learn about them.")
    return Gate("G7", "Evidence", question, Verdict.REVIEW, " ".join(sentences), notes=tuple(thin))


_MOST_LISTED = 4


def _listed(names: Sequence[str]) -> str:
    phrases = grouping_phrases(map(grouping_named, names))
    if len(phrases) > _MOST_LISTED:
        phrases = (*phrases[: _MOST_LISTED - 1], f"{len(phrases) - _MOST_LISTED + 1} more")
    *first, last = phrases
    return f"{', '.join(first)} and {last}" if first else last

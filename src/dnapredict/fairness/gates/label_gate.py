"""Gate G1: does a recorded missed appointment mean the same in every group?

Where a trust's own errors are recorded as DNAs more often in one group, a perfect model seems to under-predict for
that group. So the label is checked before a gap is believed.
"""

from collections.abc import Sequence

from dnapredict.fairness.compare.comparisons import (
    Evidence,
    GroupComparison,
    comparisons,
    published_pair,
)
from dnapredict.fairness.compare.multiple_testing import adjust_within_families
from dnapredict.fairness.disclosure.count_differences import counts_in_rate
from dnapredict.fairness.gates.group_verdicts import summary
from dnapredict.fairness.gates.reach_gates import reach_checks
from dnapredict.fairness.measure.intervals import Rate, gap, gap_p_value
from dnapredict.fairness.verdicts import Check, Gate, Verdict, combine_checks

_QUESTION = "Does a recorded missed appointment mean the same in every group?"
_TRUST_SIDE = "reasons on the trust's side"
_STRICT = "verdict on reach without reasons on the trust's side"
_SIDES = 2.0  # two-sided: a group with more, or with fewer, such reasons has uneven records


def label_gate(evidence: Evidence, reached: Sequence[Check]) -> Gate:
    """G1: are reasons on the trust's side equally common in every group, and do verdicts hold on the strict label?

    A reason on the trust's side is a patient who came and could not be seen (outcome code 7) or, where
    the extract holds them, a recorded reason such as a letter that was never sent. `reached` are the checks of G3.
    """
    if not evidence.has_trust_side:
        sentence = "The extract holds no outcome codes and no reasons, so the records cannot be checked."
        return Gate("G1", "Label", _QUESTION, Verdict.NOT_ENOUGH_DATA, sentence)
    checked = [one for one in evidence.compared if one.grouping in ("core20", "ethnicity", "ethnicity_5")]
    checks = (*_trust_side(checked, evidence), *_changed_verdicts(evidence, reached))
    return Gate("G1", "Label", _QUESTION, combine_checks(checks), _sentence(checks), checks)


def _sentence(checks: Sequence[Check]) -> str:
    shares = [check for check in checks if check.measure == _TRUST_SIDE]
    turned = len(checks) - len(shares)
    good = "alike: as many missed appointments have a reason on the trust's side as elsewhere"
    sentence = summary(shares, good=good, bad="Clearly more or fewer")
    return f"{sentence} Verdicts that turn without reasons on the trust's side: {turned}." if turned else sentence


def _trust_side(compared: Sequence[GroupComparison], evidence: Evidence) -> tuple[Check, ...]:
    """A verdict on the difference of each group from everyone else, corrected for multiple comparisons."""
    judged = [one for one in compared if one.enough(evidence.policy)]
    limit = evidence.policy.limits.label.fail_points
    pairs = [_printed(one, evidence) for one in judged]
    groupings = [one.grouping for one in judged]
    exact = adjust_within_families([_two_sided(*one.rates(_RATE), limit) for one in judged], groupings)
    shown = adjust_within_families([_two_sided(*pair, limit) if pair else 1.0 for pair in pairs], groupings)
    checks = {
        (one.grouping, one.group.code): _check(one, evidence, pair, p_exact=p, p_printed=q)
        for one, pair, p, q in zip(judged, pairs, exact, shown, strict=True)
    }
    return tuple(checks.get((one.grouping, one.group.code)) or _thin(one) for one in compared)


def _printed(comparison: GroupComparison, evidence: Evidence) -> tuple[Rate, Rate] | None:
    return published_pair(comparison, comparison.rates(_RATE), made_of=counts_in_rate(_RATE), evidence=evidence)


def _two_sided(rest: Rate, group: Rate, tolerance: float) -> float:
    first, second = (gap_p_value(*pair, tolerance=tolerance) for pair in ((group, rest), (rest, group)))
    return min(1.0, _SIDES * min(first or 0.0, second or 0.0))


_RATE = "trust_side"


def _thin(comparison: GroupComparison) -> Check:
    sentence = f"{comparison.group.name}: not enough data to say."
    return Check(comparison.grouping, comparison.group, Verdict.NOT_ENOUGH_DATA, _TRUST_SIDE, sentence)


def _check(
    comparison: GroupComparison,
    evidence: Evidence,
    printed: tuple[Rate, Rate] | None,
    *,
    p_exact: float,
    p_printed: float,
) -> Check:
    rest, group = comparison.rates(_RATE)
    difference = (group.value or 0.0) - (rest.value or 0.0)
    verdict = Verdict.REVIEW
    if p_exact < 1 - evidence.policy.confidence:
        verdict = Verdict.FAIL
    elif abs(difference) < evidence.policy.limits.label.pass_points:
        verdict = Verdict.PASS
    more = gap(printed[1], printed[0], z=evidence.z) if printed else None
    return Check(
        comparison.grouping,
        comparison.group,
        verdict,
        _TRUST_SIDE,
        _MEANING[verdict].format(name=comparison.group.name, more="more" if difference > 0 else "fewer"),
        more.rounded() if more else None,
        round(p_printed, 3) if printed else None,
    )


_MEANING = {
    Verdict.PASS: "{name}: about as many reasons on the trust's side as elsewhere.",
    Verdict.REVIEW: "{name}: {more} reasons on the trust's side than elsewhere; check how they are recorded.",
    Verdict.FAIL: "{name}: clearly {more} missed appointments have a reason on the trust's side. "
    "Put the records right before believing any other figure of this group.",
}


def _changed_verdicts(evidence: Evidence, usual: Sequence[Check]) -> tuple[Check, ...]:
    """Groups whose verdict on reach changes when reasons on the trust's side are left out."""
    if not evidence.strict:
        return ()
    strict = reach_checks(list(comparisons(evidence.strict, evidence.policy)), evidence)
    before = {(check.grouping, check.group.code): check.verdict for check in usual}
    pairs = ((check, before.get((check.grouping, check.group.code), check.verdict)) for check in strict)
    return tuple(_changed_verdict(check, was) for check, was in pairs if check.verdict != was)


def _changed_verdict(check: Check, was: Verdict) -> Check:
    sentence = (
        f"{check.group.name}: {was} on reach turns to {check.verdict} when missed appointments with "
        "a reason on the trust's side are left out."
    )
    return Check(check.grouping, check.group, Verdict.REVIEW, _STRICT, sentence)

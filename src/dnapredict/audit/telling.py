"""What a gate says of its groups, without saying the same thing of each in turn."""

from collections.abc import Iterator

from dnapredict.audit.verdicts import Gate, Verdict

__all__ = ["told"]


def told(gate: Gate, smallest_group: int) -> tuple[str, ...]:
    """Sentences on the groups that do not pass: those that fail first, then what may be chance.

    Groups about whom the same is to be said share a sentence.
    """
    return (*_alike(gate, Verdict.FAIL), *_alike(gate, Verdict.REVIEW), *_thin(gate, smallest_group))


def _alike(gate: Gate, verdict: Verdict) -> Iterator[str]:
    found: dict[tuple[str, bool], list[str]] = {}
    for check in gate.checks:
        if check.verdict is verdict and check.grouping != "all":  # of everyone the gate's sentence tells
            rest = check.sentence.removeprefix(f"{check.group.name}: ")
            found.setdefault((rest, rest != check.sentence), []).append(check.group.name)
    for (rest, begins_with_name), names in found.items():
        yield f"{'; '.join(names)}: {rest}" if begins_with_name else rest


def _thin(gate: Gate, smallest_group: int) -> Iterator[str]:
    names = [check.group.name for check in gate.checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    if names:
        fewer = f"fewer than {smallest_group} missed appointments"
        yield f"Not enough data to say ({fewer}): {'; '.join(names)}."

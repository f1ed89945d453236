"""What a gate says of its groups, without saying the same thing of each in turn."""

from collections.abc import Iterator

from dnapredict.audit.verdicts import Check, Gate, Verdict

__all__ = ["told"]


def told(gate: Gate, smallest_group: int) -> tuple[str, ...]:
    """Sentences on the groups that do not pass: those that fail first, then what may be chance.

    Groups about whom the same is to be said share a sentence.
    """
    return (*_alike(gate, Verdict.FAIL), *_alike(gate, Verdict.REVIEW), *_thin(gate, smallest_group))


def _alike(gate: Gate, verdict: Verdict) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    for check in gate.checks:
        if check.verdict is verdict and check.grouping != "all":  # of everyone the gate's sentence tells
            found.setdefault(_without_name(check), []).append(check.group.name)
    for rest, names in found.items():
        yield f"{'; '.join(names)}: {rest}" if rest[:1].islower() else rest


def _without_name(check: Check) -> str:
    """The sentence after the group's name, where it starts with it; otherwise the whole."""
    return check.sentence.removeprefix(f"{check.group.name}: ")


def _thin(gate: Gate, smallest_group: int) -> Iterator[str]:
    names = [check.group.name for check in gate.checks if check.verdict is Verdict.NOT_ENOUGH_DATA]
    if names:
        fewer = f"fewer than {smallest_group} missed appointments"
        yield f"Not enough data to say ({fewer}): {'; '.join(names)}."

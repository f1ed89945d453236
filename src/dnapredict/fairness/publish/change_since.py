"""Changes since the last audit: verdicts, reach, and limits of the policy."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dnapredict.config.fairness_policy import Policy
from dnapredict.errors import ConfigurationError, UsageError
from dnapredict.fairness.publish.group_tables import GroupTable
from dnapredict.fairness.verdicts import Gate, Verdict

# Settings besides `limits` that decide a verdict: a change must be recorded as well.
_ALSO_LIMITS = ("use", "smallest_group", "confidence", "compared", "may_be_absent", "judge_unknown")
# A FAIL must hold on rounded counts too, and groups with fewer missed appointments than are printed are not tested.
_DISCLOSURE = ("suppress_below", "round_to")
_SMALLEST_CHANGE = 0.02  # a change of reach in a group, as a share
_COMPARED = ("core20", "ethnicity", "interpreter", "plus")


def refuse_silent_changes(policy: Policy, previous: Mapping[str, Any]) -> None:
    """Refuse a limit that differs from the last audit's and is not recorded under `[[changes]]`.

    Raises
    ------
    ConfigurationError
        Names the limit: a change after a result was seen needs two names.
    """
    refuse_changed_settings(policy, deciding_settings(previous.get("policy", {})))


def refuse_changed_settings(policy: Policy, before: Mapping[str, Any]) -> None:
    """Refuse a setting that differs from `before` (`deciding_settings`) and is not recorded under `[[changes]]`.

    Raises
    ------
    ConfigurationError
        Names the setting.
    """
    now = deciding_settings(policy.model_dump(mode="json"))
    recorded = {change.limit: change.model_dump(mode="json")["now"] for change in policy.changes}
    moved = [name for name in before if name in now and not _asks_as_much(name, before, now)]
    silent = [name for name in moved if recorded.get(name) != now[name]]
    if silent:
        name = silent[0]
        raise ConfigurationError(
            f"fairness policy: '{name}' was {before[name]!r} at the last audit and is {now[name]!r} now. "
            "A limit that changes after a result was seen needs an entry under [[changes]] with two names."
        )


def _asks_as_much(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a setting is as it was, or further groups are judged, which takes nothing away.

    Each grouping is a family of its own, so that one more changes no verdict on another. With less rounding, and fewer
    counts hidden, no FAIL becomes another verdict.
    """
    was, is_now = before[name], now[name]
    if name.startswith("disclosure."):
        return bool(is_now <= was)
    if name == "compared":
        return set(was) <= set(is_now)
    if name == "may_be_absent":
        return not (set(is_now) - set(was)) & set(before.get("compared", ()))
    return bool(was == is_now or (name == "judge_unknown" and is_now))


def previous_audit(path: Path) -> dict[str, Any]:
    """The figures of an earlier audit: `path` is its folder or its `audit.json`.

    Raises
    ------
    UsageError
        If there is no such file, or it is not an audit's.
    """
    file = path / "audit.json" if path.is_dir() else path
    try:
        # Reading a pipe that nobody writes to would wait for ever.
        figures = json.loads(file.read_bytes()) if file.is_file() else None
    except (OSError, ValueError):
        figures = None
    if not isinstance(figures, dict) or not {"verdict", "gates", "policy"} <= figures.keys():
        raise UsageError(f"{file}: is not the audit.json of an earlier audit.")
    return figures


def deciding_settings(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a policy that decides a verdict, by its key in the file."""
    also = {name: policy[name] for name in _ALSO_LIMITS if name in policy}
    rule = policy.get("disclosure", {})
    small = {f"disclosure.{name}": rule[name] for name in _DISCLOSURE if name in rule}
    return _flat(policy.get("limits", {}), "limits") | also | small


def _flat(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            settings |= _flat(value, f"{prefix}.{key}")
        elif key != "why":
            settings[f"{prefix}.{key}"] = value
    return settings


def what_changed(
    verdict: Verdict, gates: Sequence[Gate], tables: Sequence[GroupTable], previous: Mapping[str, Any]
) -> tuple[str, ...]:
    """Sentences on what is different from the last audit's published figures."""
    changes = [*_verdicts(verdict, gates, previous), *_reach(tables, previous)]
    return tuple(changes) or ("Verdicts are the same and no group's reach moved by more than 2 in 100.",)


def _verdicts(verdict: Verdict, gates: Sequence[Gate], previous: Mapping[str, Any]) -> Iterator[str]:
    if previous.get("verdict") != verdict:
        yield f"The verdict was {previous.get('verdict')} and is {verdict}."
    before = {gate["code"]: gate["verdict"] for gate in previous.get("gates", ())}
    for gate in gates:
        if gate.code in before and before[gate.code] != gate.verdict:
            yield f"{gate.title}: {before[gate.code]} became {gate.verdict}."


def _reach(tables: Sequence[GroupTable], previous: Mapping[str, Any]) -> Iterator[str]:
    groupings = previous.get("groupings", {})
    for table in tables:
        if table.name not in _COMPARED or table.name not in groupings:
            continue
        before = {row["group"]["code"]: row["rates"]["reach"] for row in groupings[table.name]["rows"]}
        for row in table.rows:
            was, now = before.get(row.group.code), row.rates["reach"]
            if was and now and row.group.known and abs(now.value - was["value"]) > _SMALLEST_CHANGE:
                moved = f"was {100 * was['value']:.0f} in 100 and is {100 * now.value:.0f}"
                yield f"{row.group.name}: reach {moved}."

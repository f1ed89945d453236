"""The result of watching a model: its figures by week, its alarms, and `monitor.json`."""

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Disclosure
from dnapredict.data.engine import running_step
from dnapredict.data.small_numbers import publish_count
from dnapredict.fairness.measure.audited_appointments import AuditData
from dnapredict.fairness.measure.uncalled_outcomes import UncalledOutcomes, uncalled_outcomes
from dnapredict.model.evaluate.logistic import CalibrationLine, calibration_line, log_odds
from dnapredict.monitoring.alarms import Alarm, AuditedLevels, day_words, outcome_alarms
from dnapredict.monitoring.estimated_performance import EstimatedPerformance, estimated_by_week
from dnapredict.monitoring.input_drift import InputReference, InputWeeks, input_alarms, input_weeks
from dnapredict.monitoring.monitor_state import LastingAlarm, MonitorState
from dnapredict.monitoring.weekly_counts import GroupWeeks, WeeklyCounts, weekly_counts, weeks_of

Floats = NDArray[np.float64]
Weeks = NDArray[np.datetime64]

FIGURES: Final = "monitor.json"
WEEKS_TOGETHER: Final = 4
"""Figures of groups are printed for so many weeks together."""

_SCHEMA: Final = 1
_DECIMALS: Final = 3


@dataclass(frozen=True)
class Watched:
    """What is watched.

    Attributes
    ----------
    outcomes
        Appointments with a known outcome.
    scored
        Every scored appointment, with or without an outcome: `starts_at` and `probability`.
    inputs
        Factors or columns of the appointments in `scored`, in that order; of some of them with `has_inputs`.
    references
        The shares of each input that are in control; empty without inputs.
    audited
        Observed over expected of each group in the audit, by grouping and code.
    has_inputs
        The rows of `scored` that `inputs` are of; None if all.
    """

    outcomes: AuditData
    scored: pa.Table
    inputs: pa.Table
    references: Mapping[str, InputReference]
    audited: AuditedLevels = field(default_factory=AuditedLevels)
    has_inputs: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class MonitorContext:
    """Where the figures come from, for the report.

    Attributes
    ----------
    model
        The version, or the name of the file of scores.
    reference
        A phrase that says what the inputs are compared with; "" without inputs.
    """

    model: str
    source: str
    reference: str
    created_at: datetime.datetime
    synthetic: bool
    rule: Disclosure


@dataclass(frozen=True)
class MonitorResult:
    """Figures by week, and alarms in the order in which they were raised.

    Attributes
    ----------
    weeks
        The Monday of each week with a scored appointment, ascending.
    estimated
        Expected performance of each of `weeks`, from the risks alone.
    slopes
        The calibration slope of each week of `counts.weeks`; None where it cannot be estimated.
    """

    context: MonitorContext
    weeks: Weeks
    counts: WeeklyCounts
    uncalled: UncalledOutcomes
    slopes: tuple[CalibrationLine | None, ...]
    estimated: tuple[EstimatedPerformance, ...]
    inputs: tuple[InputWeeks, ...]
    alarms: tuple[Alarm, ...]

    @property
    def lasting(self) -> tuple[Alarm, ...]:
        """The alarms that hold in the last week."""
        return tuple(alarm for alarm in self.alarms if alarm.lasts)

    @property
    def summary(self) -> str:
        """The state of the model in one sentence."""
        number, last = len(self.lasting), f"up to the week of {day_words(self.weeks[-1].item())}"
        if not number:
            return f"No alarm holds, {last}."
        return f"1 alarm holds, {last}." if number == 1 else f"{number} alarms hold, {last}."

    def figures(self) -> dict[str, Any]:
        """The content of `monitor.json`: figures by week, without counts of patients."""
        shown = [_alarm_figures(alarm) for alarm in self.alarms]
        return {
            "schema": _SCHEMA,
            "model": self.context.model,
            "source": self.context.source,
            "synthetic": self.context.synthetic,
            "created_at": self.context.created_at.isoformat(timespec="seconds"),
            "outcomes_of_uncalled_only": self.uncalled.are_weighted,
            "alarms": shown,
            "level": self._by_week("level"),
            "slope": [
                {"week": _day(week), "slope": None if line is None or few else _rounded(line.slope)}
                for week, line, few in zip(self.counts.weeks, self.slopes, self._are_few(), strict=True)
            ],
            "log_loss": self._by_week("log_loss"),
            "reach": self._by_week("reach"),
            "share_missed": self._by_week("share_missed"),
            "groups": [self._group_figures(group) for group in self.counts.groups[1:]],
            "factors": [self._input_figures(each) for each in self.inputs],
            "estimated_performance": [
                {
                    "week": week.isoformat(),
                    "share_missed": _rounded(each.share_missed),
                    "log_loss": _rounded(each.log_loss),
                    "brier": _rounded(each.brier),
                    "auroc": _rounded(each.auroc),
                    "outcomes_known": bool(np.datetime64(week) in self.counts.weeks),
                }
                for week, each in self.estimates()
            ],
        }

    def state(self, *, model_version: str, page_sha256: str) -> MonitorState:
        """What the home keeps of this run: the state and the figures of everyone, as the page prints them."""
        printed = ratios(self.counts.everyone, together=WEEKS_TOGETHER, rule=self.context.rule)
        return MonitorState(
            model_version=model_version,
            created_at=self.context.created_at,
            synthetic=self.context.synthetic,
            last_week=self.weeks[-1].item(),
            last_outcome_week=self.counts.weeks[-1].item(),
            figures_from=self.counts.weeks[::WEEKS_TOGETHER][-1].item(),
            level=_rounded(printed["level"][-1]),
            reach=_rounded(printed["reach"][-1]),
            alarms=tuple(
                LastingAlarm(**{n: getattr(each, n) for n in LastingAlarm.model_fields}) for each in self.lasting
            ),
            summary=self.summary,
            page_sha256=page_sha256,
        )

    def estimates(self) -> Iterator[tuple[datetime.date, EstimatedPerformance]]:
        """The expected performance of each week with enough appointments for it to be printed."""
        for week, each in zip(self.weeks, self.estimated, strict=True):
            if publish_count(each.rows, self.context.rule) is not None:
                yield week.item(), each

    def _are_few(self) -> NDArray[np.bool_]:
        """The weeks in which too few appointments were missed for a figure to be printed."""
        return _too_few(self.counts.everyone.missed, self.context.rule)

    def _by_week(self, name: str) -> list[dict[str, Any]]:
        values = ratios(self.counts.everyone, together=1, rule=self.context.rule)[name]
        return [
            {"week": _day(week), name: _rounded(value)} for week, value in zip(self.counts.weeks, values, strict=True)
        ]

    def _group_figures(self, group: GroupWeeks) -> dict[str, Any]:
        values = ratios(group, together=WEEKS_TOGETHER, rule=self.context.rule)
        starts = self.counts.weeks[::WEEKS_TOGETHER]
        return {
            "grouping": group.grouping.name,
            "group": group.group.code,
            "by_week": [
                {"week": _day(week), **{name: _rounded(values[name][at]) for name in ("level", "reach")}}
                for at, week in enumerate(starts)
            ],
        }

    def _input_figures(self, inputs: InputWeeks) -> dict[str, Any]:
        return {
            "factor": inputs.column,
            "by_week": [
                {"week": _day(week), "psi": _rounded(psi)} for week, psi in zip(self.weeks, inputs.psi, strict=True)
            ],
        }


def watch(watched: Watched, context: MonitorContext) -> MonitorResult:
    """Count by week, estimate, and look for alarms."""
    running_step.begin("Counting by week")
    weighted, uncalled = uncalled_outcomes(watched.outcomes)
    counts = weekly_counts(weighted)
    weeks, position = weeks_of(watched.scored["starts_at"])
    probability = np.asarray(watched.scored["probability"].to_numpy(), dtype=np.float64)
    estimated = estimated_by_week(probability, position)
    of_inputs = position if watched.has_inputs is None else position[watched.has_inputs]
    inputs = input_weeks(watched.inputs, of_inputs, watched.references, weeks=len(weeks))
    alarms = (*outcome_alarms(counts, watched.audited), *input_alarms(inputs, weeks))
    return MonitorResult(
        context,
        weeks,
        counts,
        uncalled,
        slopes=_slopes(weighted),
        estimated=tuple(estimated[at] for at in range(len(weeks))),
        inputs=inputs,
        alarms=tuple(sorted(alarms, key=lambda alarm: (alarm.raised, alarm.what, alarm.grouping, alarm.group))),
    )


def ratios(group: GroupWeeks, *, together: int, rule: Disclosure) -> dict[str, Floats]:
    """Figures of a group for so many weeks together; NaN where too few missed for them to be printed.

    `level` is observed over expected, `reach` the share of the missed appointments that were on the list. It is
    printed only where there are enough both on the list and off it.
    """
    starts = np.arange(0, len(group.missed), together)

    def of(values: Floats) -> Floats:
        return np.asarray(np.add.reduceat(values, starts)) if len(values) else values

    missed, rows, on_list = of(group.missed), of(group.rows), of(group.missed_on_list)
    few = _too_few(missed, rule)
    few_of_reach = few | _is_small(on_list, rule) | _is_small(missed - on_list, rule)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "level": missed / of(group.expected),
            "reach": np.where(few_of_reach, np.nan, on_list / missed),
            "share_missed": missed / rows,
            "log_loss": of(group.log_loss) / rows,
        }
    return {name: np.where(few | ~np.isfinite(values), np.nan, values) for name, values in found.items()}


def _too_few(missed: Floats, rule: Disclosure) -> NDArray[np.bool_]:
    return np.asarray(_is_small(missed, rule) | (np.round(missed) == 0))


def _is_small(counts: Floats, rule: Disclosure) -> NDArray[np.bool_]:
    """Which counts may not be printed."""
    return np.array([publish_count(round(count), rule) is None for count in counts], dtype=bool)


def _slopes(outcomes: AuditData) -> tuple[CalibrationLine | None, ...]:
    """The calibration slope of each week, from the appointments whose outcome counts."""
    weight = outcomes.weight
    weeks, position = weeks_of(outcomes.table["starts_at"])
    order = np.argsort(position, kind="stable")
    starts = np.searchsorted(position[order], np.arange(1, len(weeks)))
    missed = np.asarray(outcomes.table["dna"].to_numpy(zero_copy_only=False)).astype(np.float64)
    margin = log_odds(np.asarray(outcomes.table["probability"].to_numpy()))
    parts = np.split(order, starts)
    return tuple(
        calibration_line(missed[part] * weight[part], margin[part], trials=weight[part])
        for part in (part[weight[part] > 0] for part in parts)
    )


def _alarm_figures(alarm: Alarm) -> dict[str, Any]:
    return {
        "what": alarm.what,
        "grouping": alarm.grouping,
        "group": alarm.group,
        "raised": alarm.raised.isoformat(),
        "since": alarm.since.isoformat(),
        "lasts": alarm.lasts,
        "message": alarm.message,
    }


def _day(week: np.datetime64) -> str:
    return str(week.astype("datetime64[D]"))


def _rounded(value: float) -> float | None:
    return None if not math.isfinite(value) else round(float(value), _DECIMALS)

"""The cut in time: learn from the past, calibrate on its latest slice, test on what came after."""

import datetime
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training import TrainingConfig
from dnapredict.errors import NoEventsError
from dnapredict.risk.cohort import Cohort

__all__ = ["Split", "Window", "Windows", "cut"]

_DAY = datetime.timedelta(days=1)
_WEEK = 7
# The level of a slice with so many missed appointments is known to about 3 in 100 of itself.
_ENOUGH_DNA = 1_000


@dataclass(frozen=True)
class Window:
    """Appointments from `first` to `last`, local dates, both included, and what they hold."""

    first: datetime.date
    last: datetime.date
    rows: int
    dna: int

    def __str__(self) -> str:
        """The days as a person would write them."""
        return f"{self.first.day} {self.first:%B %Y} to {self.last.day} {self.last:%B %Y}"


@dataclass(frozen=True)
class Split:
    """The three windows of a training, for the model card: no row lies in two of them."""

    fit: Window
    calibrate: Window
    test: Window

    @property
    def train(self) -> Window:
        """All that training saw: the days to fit and the days to calibrate."""
        earlier, later = self.fit, self.calibrate
        return Window(earlier.first, later.last, earlier.rows + later.rows, earlier.dna + later.dna)

    @property
    def test_from(self) -> datetime.date:
        """First day of the test; a model is audited on no earlier one."""
        return self.test.first


@dataclass(frozen=True)
class Windows:
    """The split, and the mask of each window over the cohort."""

    split: Split
    fit: NDArray[np.bool_]
    calibrate: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @property
    def train(self) -> NDArray[np.bool_]:
        """All that training may see: fit and calibrate."""
        return self.fit | self.calibrate

    def only(self, cohort: Cohort, rows: NDArray[np.bool_]) -> "Windows":
        """The same days without the other rows.

        Raises
        ------
        NoEventsError
            If a window then lacks missed or attended appointments.
        """
        masks = {name: getattr(self, name) & rows for name in ("fit", "calibrate", "test")}
        counted = {
            name: replace(getattr(self.split, name), rows=int(mask.sum()), dna=int(cohort.dna[mask].sum()))
            for name, mask in masks.items()
        }
        return Windows(_sound(Split(**counted)), **masks)


def cut(cohort: Cohort, *, config: TrainingConfig) -> Windows:
    """Cut the cohort by `starts_at` at local midnights.

    `test_from` (or the last `test_share` of the days) starts the test; the gap before it is left
    out; the `calibration_days` before those calibrate (where they are not set: the latest whole weeks
    that hold `_ENOUGH_DNA` missed appointments, at most a quarter of the time), and everything
    earlier is fitted.

    Raises
    ------
    NoEventsError
        If a window lacks missed or attended appointments.
    """
    if not len(cohort):
        raise NoEventsError("The extract holds no appointment with an outcome to train on.")
    first, last = (local_date(cohort.starts_at[end], cohort.zone) for end in (0, -1))
    test_from = config.split.test_from or _share_of_time(first, last, config.split.test_share)
    train_end = test_from - config.gap_days * _DAY
    calibrate_from = train_end - _calibration_days(cohort, first, train_end, config=config) * _DAY
    fit, fit_mask = _window(cohort, first, calibrate_from)
    calibrate, calibrate_mask = _window(cohort, calibrate_from, train_end)
    test, test_mask = _window(cohort, test_from, max(last + _DAY, test_from))
    return Windows(_sound(Split(fit, calibrate, test)), fit_mask, calibrate_mask, test_mask)


def local_date(instant: np.datetime64, zone: str) -> datetime.date:
    """Date of a UTC instant on the clinic's calendar.

    >>> local_date(np.datetime64("2025-06-30T23:30"), "Europe/London")
    datetime.date(2025, 7, 1)
    """
    utc: datetime.datetime = instant.astype("datetime64[us]").item()
    return utc.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone)).date()


def midnight(day: datetime.date, zone: str) -> np.datetime64:
    """UTC instant at which the clinic's day begins.

    >>> str(midnight(datetime.date(2025, 7, 1), "Europe/London"))
    '2025-06-30T23:00:00.000000'
    """
    begins = datetime.datetime.combine(day, datetime.time(), ZoneInfo(zone)).astimezone(datetime.UTC)
    return np.datetime64(begins.replace(tzinfo=None), "us")


def _window(cohort: Cohort, start: datetime.date, end: datetime.date) -> tuple[Window, NDArray[np.bool_]]:
    begins, ends = midnight(start, cohort.zone), midnight(end, cohort.zone)
    mask = (cohort.starts_at >= begins) & (cohort.starts_at < ends)
    return Window(start, end - _DAY, rows=int(mask.sum()), dna=int(cohort.dna[mask].sum())), mask


def _share_of_time(first: datetime.date, last: datetime.date, share: float) -> datetime.date:
    days = (last - first).days + 1
    return first + round(days * (1 - share)) * _DAY


def _calibration_days(
    cohort: Cohort, first: datetime.date, train_end: datetime.date, *, config: TrainingConfig
) -> int:
    """Days of the calibration slice: as configured, else as many whole weeks as it takes."""
    if config.split.calibration_days is not None:
        return config.split.calibration_days
    most = max((train_end - first).days // 4, 1)
    for days in range(_WEEK, most, _WEEK):
        window, _ = _window(cohort, train_end - days * _DAY, train_end)
        if window.dna >= _ENOUGH_DNA:
            return days
    return most


def _sound(split: Split) -> Split:
    _refuse_without_events(split.fit, "training")
    _refuse_without_events(split.calibrate, "calibration")
    _refuse_without_events(split.test, "test")
    return split


def _refuse_without_events(window: Window, name: str) -> None:
    if 0 < window.dna < window.rows:
        return
    held = f"{window.rows:,} appointments with an outcome, {window.dna:,} of them missed"
    raise NoEventsError(
        f"The {name} window, {window}, holds {held}; both missed and attended are needed. "
        "Give a longer extract, or change 'test_from', 'gap_days' or 'calibration_days' under [split] "
        "in training/config.toml."
    )

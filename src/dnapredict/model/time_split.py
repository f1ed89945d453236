"""The split in time: fit, calibrate and test windows, and rolling folds for tuning."""

import datetime
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dnapredict.config.training_config import TrainingConfig
from dnapredict.errors import NoEventsError
from dnapredict.model.cohort import Cohort

_DAY = datetime.timedelta(days=1)
_WEEK = 7
# With 1,000 missed appointments the standard error of the share missed is about 3% of that share.
_ENOUGH_DNA = 1_000


@dataclass(frozen=True)
class Window:
    """Local dates `first` to `last`, both included, with their appointments (`rows`) and missed ones (`dna`)."""

    first: datetime.date
    last: datetime.date
    rows: int
    dna: int

    def __str__(self) -> str:
        """The dates in words."""
        return f"{self.first.day} {self.first:%B %Y} to {self.last.day} {self.last:%B %Y}"


@dataclass(frozen=True)
class TimeWindows:
    """The three windows of a training; no row is in two of them."""

    fit: Window
    calibrate: Window
    test: Window

    @property
    def train(self) -> Window:
        """The window that training used: fit and calibrate."""
        earlier, later = self.fit, self.calibrate
        return Window(earlier.first, later.last, earlier.rows + later.rows, earlier.dna + later.dna)

    @property
    def test_from(self) -> datetime.date:
        """First day of the test window; a model is not audited on earlier days."""
        return self.test.first


@dataclass(frozen=True)
class Windows:
    """The windows, and the mask of each over the cohort."""

    split: TimeWindows
    fit: NDArray[np.bool_]
    calibrate: NDArray[np.bool_]
    test: NDArray[np.bool_]

    @property
    def train(self) -> NDArray[np.bool_]:
        """Rows that training may use: fit and calibrate."""
        return self.fit | self.calibrate

    def restrict(self, cohort: Cohort, rows: NDArray[np.bool_]) -> "Windows":
        """The same windows with only some of the rows.

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
        return Windows(_require_events_in_all(TimeWindows(**counted)), **masks)


def split_by_time(cohort: Cohort, *, config: TrainingConfig) -> Windows:
    """Split the cohort by `starts_at` at local midnights.

    The test window begins at `test_from`, or is the last `test_share` of the days. The gap before it is left out.
    The `calibration_days` before the gap calibrate; where they are not set, the latest whole weeks that hold
    `_ENOUGH_DNA` missed appointments, at most a quarter of the time. Everything earlier is the fit window.

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
    return Windows(_require_events_in_all(TimeWindows(fit, calibrate, test)), fit_mask, calibrate_mask, test_mask)


def local_date(instant: np.datetime64, zone: str) -> datetime.date:
    """Local date of a UTC instant in the clinic's time zone.

    >>> local_date(np.datetime64("2025-06-30T23:30"), "Europe/London")
    datetime.date(2025, 7, 1)
    """
    utc: datetime.datetime = instant.astype("datetime64[us]").item()
    return utc.replace(tzinfo=datetime.UTC).astimezone(ZoneInfo(zone)).date()


def midnight(day: datetime.date, zone: str) -> np.datetime64:
    """UTC instant at which a local day begins.

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


def _calibration_days(cohort: Cohort, first: datetime.date, train_end: datetime.date, *, config: TrainingConfig) -> int:
    """Days of the calibration window: as configured, otherwise as many whole weeks as are needed."""
    if config.split.calibration_days is not None:
        return config.split.calibration_days
    most = max((train_end - first).days // 4, 1)
    for days in range(_WEEK, most, _WEEK):
        window, _ = _window(cohort, train_end - days * _DAY, train_end)
        if window.dna >= _ENOUGH_DNA:
            return days
    return most


def _require_events_in_all(split: TimeWindows) -> TimeWindows:
    _require_events(split.fit, "training")
    _require_events(split.calibrate, "calibration")
    _require_events(split.test, "test")
    return split


def _require_events(window: Window, name: str) -> None:
    if 0 < window.dna < window.rows:
        return
    held = f"{window.rows:,} appointments with an outcome, {window.dna:,} of them missed"
    raise NoEventsError(
        f"The {name} window, {window}, holds {held}; both missed and attended are needed. "
        "Give a longer extract, or change 'test_from', 'gap_days' or 'calibration_days' under [split] "
        "in training/config.toml."
    )


_ONE_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Fold:
    """One fold of the training window, as masks over the cohort.

    Trees are fitted on `fit`, stopped early and calibrated on `later`, and evaluated on `held`. Between the last
    two is the gap that a model in use has. No row of the test window is in a fold.
    """

    fit: NDArray[np.bool_]
    later: NDArray[np.bool_]
    held: NDArray[np.bool_]


def rolling_folds(cohort: Cohort, *, windows: Windows, most: int, gap_days: int) -> tuple[Fold, ...]:
    """Up to `most` folds, the latest first, each as long as the calibration slice and one slice apart.

    A fold whose `fit` part would be shorter than a slice, or a part of which lacks missed or attended
    appointments, is left out; a short extract may have none.
    """
    split = windows.split
    ends = midnight(split.train.last, cohort.zone) + _ONE_DAY
    slice_ = ((split.calibrate.last - split.calibrate.first).days + 1) * _ONE_DAY
    begins = midnight(split.train.first, cohort.zone)
    folds = []
    for number in range(most):
        held = ends - (number + 1) * slice_
        later = held - gap_days * _ONE_DAY - slice_
        if later - slice_ < begins:
            break
        folds.append(
            Fold(
                fit=windows.train & (cohort.starts_at < later),
                later=windows.train & _within(cohort, later, later + slice_),
                held=windows.train & _within(cohort, held, held + slice_),
            )
        )
    return tuple(fold for fold in folds if all(_both(cohort, rows) for rows in vars(fold).values()))


def _within(cohort: Cohort, begins: np.datetime64, ends: np.datetime64) -> NDArray[np.bool_]:
    return (cohort.starts_at >= begins) & (cohort.starts_at < ends)


def _both(cohort: Cohort, rows: NDArray[np.bool_]) -> bool:
    dna = cohort.dna[rows]
    return bool(dna.any() and not dna.all())

"""The three times of every appointment, and who counts as having missed one.

`booked_at`: it was made. `starts_at`: it takes place. `scored_at`: the cut-off between them,
at which a booking team would ask for the risk. Nothing known later may reach a factor.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from dnapredict.config.training_config import ATTENDANCE_CODES, TrainingConfig


@dataclass(frozen=True)
class Clock:
    """When an appointment is scored, and from when its outcome is known.

    Attributes
    ----------
    horizon_days
        A list is scored this many days ahead; an appointment booked later, when it is booked.
    recording_delay_days
        Days until an outcome is taken as known where the extract does not say (`recorded_at`).
    """

    horizon_days: int
    recording_delay_days: int

    @classmethod
    def of(cls, config: TrainingConfig) -> "Clock":
        """The clock that a training configuration sets."""
        return cls(config.horizon_days, config.recording_delay_days)

    def scored_at(self, rows: ir.Table) -> ir.TimestampValue:
        """`max(booked_at, starts_at - horizon)`."""
        ahead = rows.starts_at - ibis.interval(days=self.horizon_days)
        return ibis.greatest(rows.booked_at, ahead)

    def known_at(self, rows: ir.Table) -> ir.TimestampValue:
        """From when the row's outcome is known to others.

        Never before the row's own `scored_at`: an appointment that was cancelled early must not
        find its own cancellation in its own history.
        """
        delayed = rows.starts_at + ibis.interval(days=self.recording_delay_days)
        return ibis.greatest(ibis.coalesce(rows.recorded_at, delayed), self.scored_at(rows))


@dataclass(frozen=True)
class LabelRule:
    """Which outcome codes are a DNA; the other codes of attendance mean that the patient came."""

    dna_codes: tuple[str, ...]

    @property
    def came_codes(self) -> tuple[str, ...]:
        """Codes of an appointment that the patient came to."""
        return tuple(code for code in ATTENDANCE_CODES if code not in self.dna_codes)

    def missed(self, rows: ir.Table) -> ir.BooleanValue:
        """Whether the appointment was missed; False also where the outcome is not known."""
        return rows.outcome_code.isin(self.dna_codes).fill_null(False)

    def came(self, rows: ir.Table) -> ir.BooleanValue:
        """Whether the patient came; False also where the outcome is not known."""
        return rows.outcome_code.isin(self.came_codes).fill_null(False)

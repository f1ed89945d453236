"""The table `[trial]` of `serving/worklist.toml`: a randomised trial of the calls of the lists."""

import datetime
from fractions import Fraction
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from dnapredict.config.loading import Settings

Stratum = Literal["risk_band", "deprivation_fifth", "specialty", "mode"]

AMENDABLE: Final = ("end", "approved_by", "why_ethical")
"""Settings that an amendment may change; any other change makes another trial, under another name."""

_LONGEST_DAYS: Final = 2 * 366
_FEWEST_WORDS: Final = 5
# Shares are drawn in steps of a small fraction, so that strata of a few dozen patients can be balanced.
_LARGEST_DENOMINATOR: Final = 20


class TrialConfig(Settings):
    """A trial in which a share of the patients who would be called gets the usual reminder only.

    Attributes
    ----------
    name
        Name of the trial in the ledger, the outcome store and reports. A new name is a new trial.
    share_held_out
        Share of the patients whom the plan would call who are held out; see `share`.
    strata
        What the arms are balanced within: the band of risk, the fifth of deprivation (IMD), the specialty, the mode
        (in person, telephone, video).
    unit
        Arms are drawn by patient: a patient keeps one arm for the whole trial.
    start, end
        First and last day on which lists allocate patients.
    approved_by
        Who approved the trial.
    why_ethical
        Why it is right to hold out a part of these patients.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
    share_held_out: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    strata: tuple[Stratum, ...] = ("risk_band", "deprivation_fifth")
    unit: Literal["patient"] = "patient"
    start: datetime.date
    end: datetime.date
    approved_by: str
    why_ethical: str

    @field_validator("name")
    @classmethod
    def _is_no_other_file(cls, value: str) -> str:
        # The folder `trial` of a home has `benefit.json` of its own beside a file for each trial.
        if value.casefold() == "benefit":
            raise ValueError("this name is taken; give the trial another one")
        return value

    @field_validator("approved_by")
    @classmethod
    def _somebody_approved(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("name the committee or person who approved the trial")
        return value

    @field_validator("why_ethical")
    @classmethod
    def _a_reason_is_given(cls, value: str) -> str:
        if len(value.split()) < _FEWEST_WORDS:
            raise ValueError("say in a sentence why it is right that a part of these patients is not called")
        return value

    @field_validator("strata")
    @classmethod
    def _each_stratum_once(cls, value: tuple[Stratum, ...]) -> tuple[Stratum, ...]:
        if len(set(value)) != len(value):
            raise ValueError("each of the strata is named once")
        return value

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "TrialConfig":
        if not self.start < self.end:
            raise ValueError(f"end ({self.end}) must be after start ({self.start})")
        if (self.end - self.start).days > _LONGEST_DAYS:
            raise ValueError(f"a trial from {self.start} to {self.end} is longer than two years; end it earlier")
        return self

    @property
    def share(self) -> Fraction:
        """The share held out as the nearest fraction with a denominator of at most 20, which is what is drawn."""
        return Fraction(self.share_held_out).limit_denominator(_LARGEST_DENOMINATOR)

    def runs_on(self, day: datetime.date) -> bool:
        """Whether lists of that day allocate patients."""
        return self.start <= day <= self.end

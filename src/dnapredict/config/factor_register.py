"""`training/factors.toml`: the register of agreed factors."""

import datetime
import math
import string
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from dnapredict.config.loading import Settings

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class FactorClass(StrEnum):
    """The kinds of factor that a trust agrees on."""

    SOCIO_ECONOMIC = "socio-economic"
    GEOGRAPHIC = "geographic"
    OPERATIONAL = "operational"
    ATTENDANCE_HISTORY = "attendance history"
    PERSONAL = "personal"


class Status(StrEnum):
    """The status of a factor; only an agreed one is used by a model."""

    AGREED = "agreed"
    PROPOSED = "proposed"
    WITHDRAWN = "withdrawn"


_DAYS_A_YEAR: Final = 365.25
_MILES_A_KM: Final = 0.621371


class ReasonNumber(float):
    """A number in a reason, with formats in everyday words.

    The format follows a colon: "{lead_days:rounded}". By default a whole number has no decimals and any other number
    has one. Python's own formats, such as ".0f" or ".0%", also work.

    >>> f"Booked {ReasonNumber(91):rounded} ahead", f"Last came more than {ReasonNumber(400):completed} ago"
    ('Booked 13 weeks ahead', 'Last came more than a year ago')
    >>> f"{ReasonNumber(8):clock}", f"{ReasonNumber(11):clock}", f"{ReasonNumber(16):clock}"
    ('between 8 and 9 am', 'between 11 am and noon', 'between 4 and 5 pm')
    >>> f"{ReasonNumber(1):times}", f"{ReasonNumber(2):times}", f"{ReasonNumber(3):times}"
    ('once', 'twice', '3 times')
    >>> f"{ReasonNumber(1):one_of}", f"{ReasonNumber(5):one_of}", f"{ReasonNumber(0.17):one_in}"
    ('the only past appointment on record', 'one of 5 past appointments', '1 in 6')
    >>> f"{ReasonNumber(40):miles} miles", f"{ReasonNumber(3)}", f"{ReasonNumber(7.26)}", f"{ReasonNumber(0.8):.0%}"
    ('25 miles', '3', '7.3', '80%')
    """

    def __format__(self, form: str) -> str:
        """The number in one of the forms above, or in one of Python's own."""
        if form in _FORMS:
            return _FORMS[form](float(self))
        if self.is_integer():
            return int(self).__format__(form)
        return float(self).__format__(form or ".1f")


def _rounded(days: float) -> str:
    """A time in days, weeks, months or years, to the nearest one."""
    unit, length = _unit(days, years_from=2)
    return _counted(round(days / length), unit)


def _completed(days: float) -> str:
    """The number of completed units of a time, so that "more than" is true."""
    unit, length = _unit(days, years_from=1)
    count = max(math.ceil(days / length) - 1, 1)
    return f"a {unit}" if count == 1 and unit != "day" else _counted(count, unit)


def _unit(days: float, *, years_from: int) -> tuple[str, float]:
    """The unit in which a person would say a time, and its length in days."""
    if days < 14:
        return "day", 1.0
    if days < 182:
        return "week", 7.0
    return ("month", _DAYS_A_YEAR / 12) if days <= years_from * _DAYS_A_YEAR else ("year", _DAYS_A_YEAR)


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _clock(hour: float) -> str:
    """An hour of the day by its beginning and end."""
    begins, ends = _hour(int(hour)), _hour(int(hour) + 1)
    if begins.endswith(ends[-3:]):
        begins = begins.removesuffix(ends[-3:])
    return f"between {begins} and {ends}"


def _hour(hour: int) -> str:
    hour %= 24
    if hour in (0, 12):
        return "noon" if hour else "midnight"
    return f"{hour % 12} {'am' if hour < 12 else 'pm'}"


_FORMS: Final[Mapping[str, Callable[[float], str]]] = MappingProxyType(
    {
        "rounded": _rounded,
        "completed": _completed,
        "clock": _clock,
        "times": lambda n: {1: "once", 2: "twice"}.get(int(n), f"{n:.0f} times"),
        "one_of": lambda n: f"one of {n:.0f} past appointments" if n > 1 else "the only past appointment on record",
        "one_in": lambda share: f"1 in {round(1 / share) if share > 0 else 0}",
        "miles": lambda km: f"{km * _MILES_A_KM:.0f}",
    }
)


def quoted_names(sentence: str) -> tuple[str, ...]:
    """Names in braces in a sentence, in their order.

    Raises
    ------
    ValueError
        If the braces do not pair.
    """
    return tuple(name for _, name, _, _ in string.Formatter().parse(sentence) if name)


class Factor(Settings):
    """One factor: its meaning, who agreed to it, and the sentence that a clerk reads.

    `reason` is the sentence shown when the factor raises a patient's risk and is above the usual range; `{value}` and
    the other names in braces are filled with the patient's own numbers, in the formats of `ReasonNumber`. A factor
    without a reason is used and never shown. `says` is a name shared by factors that express the same thing, so that
    past DNAs by count, rate and recency are shown as one reason. A withdrawn factor stays in the register, with
    who withdrew it, when and why, so that nobody proposes it again without knowing.

    Attributes
    ----------
    reason_once
        The sentence that replaces `reason` if its first number is 1, about a single event.
    reason_below
        The sentence if the factor raises the risk and is below the usual range.
    unusual
        The factor whose value must be outside the usual range, by default the factor itself. "Missed 1 of 13" is not
        a reason if that share is usual, although most people have missed none.
    times_usual, least
        The value must be at least `times_usual` times the upper end of the usual range, and at least `least`: shares
        are so close together that a value in the upper quarter can still be average to a person.
    unless
        A yes-or-no factor; if it is yes, the sentences are not used, such as a distance for a telephone appointment.
    """

    name: Name
    title: str
    factor_class: FactorClass = Field(alias="class")
    columns: tuple[Name, ...]
    direction: Literal[-1, 0, 1] = 0
    status: Status = Status.AGREED
    why: str
    agreed_by: str = ""
    agreed_on: datetime.date | None = None
    reason: str = ""
    reason_once: str = ""
    reason_below: str = ""
    unusual: str = ""
    times_usual: Annotated[float, Field(ge=1)] = 1.0
    least: float | None = None
    unless: str = ""
    says: str = ""
    withdrawn_by: str = ""
    withdrawn_on: datetime.date | None = None
    withdrawn_why: str = ""

    @model_validator(mode="after")
    def _agreement_is_on_record(self) -> "Factor":
        if self.status is Status.AGREED and not (self.agreed_by and self.agreed_on):
            raise ValueError(f"factor '{self.name}' is agreed but lacks 'agreed_by' or 'agreed_on'")
        if self.status is Status.WITHDRAWN and not (self.withdrawn_by and self.withdrawn_on and self.withdrawn_why):
            wanted = "'withdrawn_by', 'withdrawn_on' or 'withdrawn_why'"
            raise ValueError(f"factor '{self.name}' is withdrawn but lacks {wanted}")
        return self

    @model_validator(mode="after")
    def _the_reason_can_be_filled(self) -> "Factor":
        for sentence in self.sentences:
            try:
                sentence.format_map(dict.fromkeys(quoted_names(sentence), ReasonNumber(1)))
            except ValueError:
                message = "the braces in 'reason' do not pair, or have a form that is not known"
                raise ValueError(f"factor '{self.name}': {message}") from None
        return self

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every sentence that a clerk may read."""
        return tuple(text for text in (self.reason, self.reason_once, self.reason_below) if text)

    @property
    def placeholders(self) -> frozenset[str]:
        """Names in braces in the sentences."""
        return frozenset(name for sentence in self.sentences for name in quoted_names(sentence))


class FactorRegister(Settings):
    """The whole of `training/factors.toml`."""

    version: str
    factors: tuple[Factor, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> "FactorRegister":
        names = [factor.name for factor in self.factors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"factors named more than once: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _reasons_quote_factors(self) -> "FactorRegister":
        names = {"value", *(factor.name for factor in self.factors)}
        for factor in self.factors:
            mentioned = factor.placeholders | {name for name in (factor.unusual, factor.unless) if name}
            strange = sorted(mentioned - names)
            if strange:
                where = f"factor '{factor.name}': 'reason' quotes '{strange[0]}'"
                raise ValueError(f"{where}, which is no factor of the register")
        return self

    @property
    def agreed(self) -> tuple[Factor, ...]:
        """Factors that a model may use, in the order of the register."""
        return tuple(factor for factor in self.factors if factor.status is Status.AGREED)

    def factor(self, name: str) -> Factor:
        """The factor of that name; KeyError if there is none."""
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise KeyError(name)

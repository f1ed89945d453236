"""`training/factors.toml`: the register of agreed factors."""

import datetime
import string
from enum import StrEnum
from typing import Annotated, Literal

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


class Factor(Settings):
    """One factor: its meaning, who agreed to it, and the sentence that a clerk reads.

    `reason` is the sentence shown when the factor raises a patient's risk; `{value}` and the
    other names in braces are filled with the patient's own numbers. A factor without a reason
    is used and never shown. `says` is a name shared by factors that express the same thing, so that past
    DNAs by count, rate and recency are shown as one reason. A withdrawn factor stays in the register, with
    who withdrew it, when and why, so that nobody proposes it again without knowing.
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
        try:
            self.placeholders  # noqa: B018 - parsing them finds unpaired braces
        except ValueError:
            raise ValueError(f"factor '{self.name}': the braces in 'reason' do not pair") from None
        return self

    @property
    def placeholders(self) -> frozenset[str]:
        """Names in braces in the reason sentence."""
        return frozenset(name for _, name, _, _ in string.Formatter().parse(self.reason) if name)


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
            strange = sorted(factor.placeholders - names)
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

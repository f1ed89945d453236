"""`training/mappings/NAME.toml`: how a foreign extract becomes the contract's columns."""

import zoneinfo
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from dnapredict.config.loading import Settings

__all__ = ["IDENTITY", "Mapping", "Source"]


class Source(Settings):
    """Where one contract column comes from: a source column or a constant.

    `format` is a strptime pattern for times; several are tried in turn. `translate` turns source
    values into contract values; a value it does not name passes unchanged, so that the contract
    refuses it under its own rule.
    """

    source: Annotated[str | None, Field(alias="from")] = None
    constant: str | None = None
    format: str | tuple[str, ...] = ()
    translate: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_origin(self) -> "Source":
        if (self.source is None) == (self.constant is None):
            raise ValueError("needs either 'from' (a column of the extract) or 'constant'")
        return self

    @property
    def formats(self) -> tuple[str, ...]:
        """The time patterns as a tuple, possibly empty."""
        return (self.format,) if isinstance(self.format, str) else self.format


class Mapping(Settings):
    """The whole of a mapping file. An empty one means that the extract has the contract's own names."""

    description: str = ""
    timezone: str = "Europe/London"
    columns: dict[str, Source] = {}

    def __hash__(self) -> int:
        """Equal mappings share what is compiled from them."""
        return hash(self.model_dump_json())

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, name: str) -> str:
        if name not in zoneinfo.available_timezones():
            raise ValueError("is not a time zone of the IANA database, such as 'Europe/London'")
        return name


IDENTITY = Mapping()

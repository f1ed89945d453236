"""The numbers of one report as the memory of a home keeps them: ranges and the sums that link them, no exact count."""

import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

Kind = Literal["audit", "access", "counts", "trial"]  # counts: a file of counts for a pooled audit, with exact numbers
Row = tuple[tuple[int, float], ...]


class PublishedNumber(NamedTuple):
    """One number of a report.

    `name` is the hashed name of the count, `low` and `high` what a reader knows of it (`high` is None where nothing
    bounds it), `month` the month that it is of, "" for the whole window. `adds_up` says whether counts of two
    windows add up, which those of people and of appointments without an outcome do not.
    """

    name: str
    low: float
    high: float | None
    of_a_list: bool
    adds_up: bool
    month: str


class Publication(BaseModel):
    """The numbers of one report, and the sums that link them.

    `data` and `listed` are digests of the extract and of the list (model, capacity and rule); the sums are rows of
    positions in `numbers` with weights, which add up to 0 or to at most 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    first: datetime.date
    last: datetime.date
    data: str
    listed: str
    numbers: tuple[PublishedNumber, ...]
    equal: tuple[Row, ...]
    at_most: tuple[Row, ...]

    def overlaps(self, first: datetime.date, last: datetime.date) -> bool:
        """Whether the report is of any of these days."""
        return self.first <= last and first <= self.last

"""Response bodies of the HTTP interface, and the permitted use in the words of every page and answer."""

import datetime
from typing import Annotated, Any, Final

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from dnapredict.service.call_outcomes import Outcome

USE: Final = "supportive contact"
NEVER_FOR: Final = (
    "book two patients into one appointment",
    "discharge a patient or take them off a waiting list",
    "delay, move back or withhold anyone's care",
    "judge a patient, or note on their record that they are likely to miss appointments",
)


FILE_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""File formats of a list besides JSON, and their content types."""

_REASONS: Final = (1, 2, 3)


class _Answer(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        validate_by_name=True,
        serialize_by_alias=True,
    )


class ReasonAnswer(_Answer):
    """Why a risk is raised: the factor's name in the register, and the sentence a clerk reads."""

    factor: str
    text: str


class ScoredAppointment(_Answer):
    """One appointment with its rank on the worklist.

    `rank` counts from 1 within this request; `selected` says whether it lies within the capacity. While a trial of the
    calls runs, `probability` and `band` are null and `reasons` empty for an appointment without a call.
    """

    appointment_id: str
    probability: Annotated[float, Field(ge=0, le=1)] | None
    band: str | None
    rank: Annotated[int, Field(ge=1)]
    selected: bool
    action: str
    reasons: list[ReasonAnswer]


class NotScored(_Answer):
    """One appointment that could not be scored, and the rule that it breaks."""

    appointment_id: str | None
    error: str


class ScoreAnswer(_Answer):
    """Every row of the request once, in rank order; rows that could not be scored come last."""

    model_version: str
    # The JSON key is fixed; in the code `scored_at` is the cut-off of an appointment.
    created_at: datetime.datetime = Field(validation_alias="scored_at", serialization_alias="scored_at")
    results: list[ScoredAppointment | NotScored]
    notices: list[str] = Field(
        default=[],
        exclude_if=lambda notices: not notices,
        description=(
            "What could not be known as the list was made, such as who asked not to be called. Left out "
            "where there is nothing to say; show it to the people who call."
        ),
    )


class ListAnswer(ScoreAnswer):
    """A list that was scored and kept; `list_id` identifies it until it is deleted."""

    list_id: str


class Recorded(_Answer):
    """An outcome that was recorded."""

    outcome: Outcome
    recorded_at: datetime.datetime


class ActionAnswer(_Answer):
    """The outcome recorded for one appointment of a list, and the outcome that it replaced."""

    list_id: str
    appointment_id: str
    outcome: Outcome
    recorded_at: datetime.datetime
    replaced: Recorded | None = None


class ReturnedRowAnswer(_Answer):
    """The result for one row of a filled worklist; `sheet` is empty for a CSV file."""

    sheet: str
    row: int
    appointment_id: str | None
    fate: str
    outcome: Outcome | None
    advice: str = Field(description="What to do about it; empty if nothing has to be done.")


class ReturnedAnswer(_Answer):
    """A filled worklist that was given back: how many outcomes were recorded, and every row with an outcome."""

    list_id: str
    recorded: int
    attention: int = Field(description="Rows that need attention.")
    empty: int = Field(description="Appointments of the list without an outcome in the file.")
    rows: list[ReturnedRowAnswer]


class ModelAnswer(_Answer):
    """The model that answers now."""

    model_version: str
    synthetic: bool = Field(description="Whether it was trained on made-up patients.")
    use: str = Field(description="The permitted use of the scores.")
    never_for: list[str]


class Refusal(_Answer):
    """Why a request was refused: a sentence without any content of the request."""

    error: str


class Conflict(Refusal):
    """The outcome has changed since the caller saw it: send its `recorded_at` as `after` to replace it."""

    outcome: Outcome
    recorded_at: datetime.datetime


def results(worklist: pa.Table) -> list[ScoredAppointment | NotScored]:
    """Rows of a worklist as response models, in the order of the worklist."""
    return [_result(line) for line in worklist.to_pylist()]


def _result(line: dict[str, Any]) -> ScoredAppointment | NotScored:
    if line["error"] is not None:
        return NotScored(appointment_id=line["appointment_id"], error=line["error"])
    return ScoredAppointment(
        appointment_id=line["appointment_id"],
        probability=line["probability"],
        band=line["band"],
        rank=line["rank"],
        selected=line["selected"],
        action=line["action"],
        reasons=[
            ReasonAnswer(factor=line[f"reason_factor_{number}"], text=line[f"reason_{number}"])
            for number in _REASONS
            if line[f"reason_{number}"]
        ],
    )

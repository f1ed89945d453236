"""`serving/worklist.toml`: how many calls can be made, and what the bands and actions are called."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dnapredict.config.loading import Settings

__all__ = ["Band", "WorklistConfig"]


class Band(Settings):
    """A range of risk with a name that a clerk reads; it starts at `from_probability`."""

    name: str
    from_probability: Annotated[float, Field(ge=0, le=1)]


class WorklistConfig(Settings):
    """The whole of `serving/worklist.toml`.

    `carry_through` names columns of the list, such as the patient's name and telephone number, that the
    written worklist shows to those who call; they go nowhere else.
    """

    use: Literal["supportive contact"]
    capacity_share: Annotated[float, Field(gt=0, le=1)] = 0.10
    capacity: Annotated[int, Field(ge=1)] | None = None
    allocation: Literal["global", "proportionate", "floor"] = "global"
    floor_share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    bands: tuple[Band, ...]
    default_action: str
    unselected_action: str = ""
    actions: dict[str, str] = {}
    carry_through: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _bands_cover_every_risk(self) -> "WorklistConfig":
        starts = [band.from_probability for band in self.bands]
        if not starts or starts != sorted(set(starts), reverse=True) or starts[-1] != 0:
            raise ValueError("bands must go from the highest risk down, and the last must start at 0")
        return self

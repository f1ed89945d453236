"""The expected benefit of a call as plain numbers: by how much it lowers the risk of missing, by risk and mode.

Risk is not benefit: in published trials calls helped people of middle risk most, and did nothing for remote
appointments. A benefit model is learned from the arms of a randomised trial (`dnapredict.trial.benefit_learner`) and
uses nothing about a patient but the risk and the mode, so that a clerk can explain why a patient is called.
"""

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_MOST_KNOTS: Final = 20

Risk = Annotated[float, Field(gt=0, lt=1)]


class BenefitModel(BaseModel):
    """Benefit as a broken line over the risk, on the scale of its log odds.

    Attributes
    ----------
    trial
        The trial that it was learned from.
    appointments
        Appointments with an outcome that it was learned from, rounded.
    knots
        Risks at which the line bends, rising; the lowest and the highest are those of the trial.
    in_person, remote
        The benefit at each knot: how many missed appointments one call prevents.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    form: Literal[1] = 1
    trial: str
    appointments: Annotated[int, Field(ge=0)]
    knots: Annotated[tuple[Risk, ...], Field(min_length=1, max_length=_MOST_KNOTS)]
    in_person: tuple[float, ...]
    remote: tuple[float, ...]

    @model_validator(mode="after")
    def _a_value_at_each_knot(self) -> "BenefitModel":
        if not len(self.knots) == len(self.in_person) == len(self.remote):
            raise ValueError("each knot needs a value in person and a remote one")
        if list(self.knots) != sorted(set(self.knots)):
            raise ValueError("knots must rise")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

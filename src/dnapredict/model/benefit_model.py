"""Expected benefit of a call: by how much it lowers the risk of missing, from the predicted risk and the mode.

Risk is not benefit: in published trials calls helped people of middle risk most, and did nothing for remote
appointments. A benefit model is learned from the arms of a randomised trial (`dnapredict.trial.benefit_learner`) and
holds a few numbers, as text: a broken line over the log odds of the risk for each mode.

It uses nothing else about a patient, so that whoever asks why somebody is called can be told.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.special import expit

from dnapredict.data.files.atomic_write import write_private
from dnapredict.errors import ModelError
from dnapredict.model.evaluate.logistic import log_odds

FILE: Final = "benefit.json"
_MOST_KNOTS: Final = 20

Floats = NDArray[np.float64]


class BenefitModel(BaseModel):
    """Benefit as a broken line over the log odds of the risk.

    Attributes
    ----------
    knots
        Log odds at which the line bends, rising.
    in_person, remote
        The benefit at each knot: how many missed appointments one call prevents. Constant above the last knot; below
        the first, where the trial called nobody, in proportion to the risk. Never more than the risk itself.
    trial
        The trial that it was learned from.
    appointments
        Appointments with an outcome that it was learned from, rounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    schema_version: Literal[1] = 1
    trial: str
    appointments: Annotated[int, Field(ge=0)]
    knots: Annotated[tuple[float, ...], Field(min_length=1, max_length=_MOST_KNOTS)]
    in_person: tuple[float, ...]
    remote: tuple[float, ...]

    @model_validator(mode="after")
    def _a_value_at_each_knot(self) -> "BenefitModel":
        if not len(self.knots) == len(self.in_person) == len(self.remote):
            raise ValueError("each knot needs a value in person and a remote one")
        if list(self.knots) != sorted(set(self.knots)):
            raise ValueError("knots must rise")
        return self

    def predict(self, probability: Floats, is_remote: NDArray[np.bool_]) -> Floats:
        """The expected benefit of a call to each patient.

        >>> model = BenefitModel(trial="t", appointments=0, knots=(-3, 0), in_person=(0.0, 0.1), remote=(0.0, 0.0))
        >>> model.predict(np.array([0.5, 0.5]), np.array([False, True])).tolist()
        [0.1, 0.0]
        """
        odds = log_odds(probability)
        lines = (np.interp(odds, self.knots, line) for line in (self.remote, self.in_person))
        lowest = float(expit(self.knots[0]))
        known = np.where(is_remote, *lines) * np.minimum(probability / lowest, 1.0)
        return np.asarray(np.minimum(known, probability), dtype=np.float64)

    @property
    def digest(self) -> str:
        """SHA-256 of the model's numbers."""
        return _digest(self.model_dump(mode="json"))


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_benefit_model(model: BenefitModel, path: Path) -> None:
    """Write the model as text with its hash, whole or not at all."""
    content = {"model": model.model_dump(mode="json"), "sha256": model.digest}
    write_private(path, json.dumps(content, indent=1) + "\n")


def read_benefit_model(path: Path) -> BenefitModel:
    """The model at `path`.

    Raises
    ------
    ModelError
        If it does not exist, is not as it was written, or is not a benefit model.
    """
    try:
        content = json.loads(path.read_bytes())
        model = BenefitModel.model_validate(content["model"])
        expected = content["sha256"]
    except FileNotFoundError:
        raise ModelError(
            f"{path}: there is no benefit model. `dnapredict trial report` writes one where a trial has shown that "
            'ranking by benefit keeps more appointments; until then set rank_by = "risk" in serving/worklist.toml.'
        ) from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise ModelError(f"{path}: is not a benefit model. Make it again with `dnapredict trial report`.") from None
    if model.digest != expected:
        raise ModelError(
            f"{path}: its hash differs from what it says, so that it was changed. Make it again with "
            "`dnapredict trial report`."
        )
    return model

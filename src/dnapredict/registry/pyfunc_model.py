"""The script that MLflow keeps with a registered model and runs when it loads one, without pickle.

`mlflow.pyfunc.load_model("models:/dna-risk@champion").predict(frame)` gives the risk of each row
of a frame with one column for each factor, and `site_code` where the model has levels of risk by site;
any other column is ignored. MLflow uses its own alias and does not know the ledger of decisions: this is
for an analyst who looks at risks, never for a list that patients are called from.
"""

from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

from dnapredict.errors import ModelError
from dnapredict.model.artefact import load

SITE = "site_code"


class ServedModel(PythonModel):
    """The stored model as MLflow knows one."""

    def load_context(self, context: Any) -> None:
        """Load the stored model, whose hashes are checked first."""
        self._model = load(Path(context.artifacts["model"])).model

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Risk of each row.

        Raises
        ------
        ModelError
            If a factor has no column; MLflow's own check would print the patients' rows.
        """
        missing = [name for name in self._model.factors if name not in model_input.columns]
        if missing:
            raise ModelError(f"The frame lacks the factors {', '.join(missing)}.")
        matrix = model_input[list(self._model.factors)].to_numpy(dtype=np.float64, na_value=np.nan)
        sites = model_input[SITE].tolist() if SITE in model_input.columns else None
        return self._model.probability(matrix, sites=sites)


mlflow.models.set_model(ServedModel())

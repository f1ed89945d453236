"""The script that MLflow keeps with a registered model and runs when it loads one, without pickle.

`mlflow.pyfunc.load_model("models:/dna-risk@champion").predict(frame)` gives the risk of each row of a frame: of
contract rows (`training/DATA.md`), or of rows with one column for each factor. Copies of this script lie with models
that were registered before, so the names that it imports must stay. MLflow uses its own alias and does not know the
ledger of decisions: this is for an analyst who looks at risks, never for a list that patients are called from.
"""

import os
from pathlib import Path
from typing import Any

import mlflow.models
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel
from numpy.typing import NDArray

from dnapredict.registry.served.row_risks import RowRisks

# Otherwise MLflow's message about an input that is no frame quotes it, and with it patients.
os.environ["MLFLOW_DISABLE_SCHEMA_DETAILS"] = "true"


class ServedModel(PythonModel):
    """The stored model as MLflow knows one."""

    def load_context(self, context: Any) -> None:
        """Load the stored model, whose hashes are checked first, and open the history if one is configured."""
        history = str((context.model_config or {}).get("history") or "")
        self._risks = RowRisks.open(Path(context.artifacts["model"]), history=history)

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> NDArray[np.float64]:
        """Risk of each row, in the order given; NaN for a row that breaks the contract.

        Raises
        ------
        DataError
            If neither the contract's required columns nor all factors have a column.
        """
        return self._risks.of(model_input)


mlflow.models.set_model(ServedModel())

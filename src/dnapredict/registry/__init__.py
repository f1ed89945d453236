"""The registry of models and the record of every training, kept by MLflow in the home."""

import os

# MLflow reads these when it is imported, which modules of this package do: no telemetry leaves this machine, and no
# progress bar or log line of MLflow is mixed with our messages.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")

from dnapredict.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME
from dnapredict.registry.model_registry import Registered, Registry

__all__ = ["CHALLENGER", "CHAMPION", "MODEL_NAME", "Registered", "Registry"]

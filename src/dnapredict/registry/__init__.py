"""The registry of models and the record of every training, kept by MLflow in the home."""

from dnapredict.registry.mlflow_store import CHALLENGER, CHAMPION, MODEL_NAME
from dnapredict.registry.model_registry import Registered, Registry

__all__ = ["CHALLENGER", "CHAMPION", "MODEL_NAME", "Registered", "Registry"]

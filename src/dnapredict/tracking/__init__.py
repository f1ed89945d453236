"""The registry of models and the record of every training, kept by MLflow in the home."""

from dnapredict.tracking.registry import CHALLENGER, CHAMPION, MODEL_NAME, Registered, Registry

__all__ = ["CHALLENGER", "CHAMPION", "MODEL_NAME", "Registered", "Registry"]

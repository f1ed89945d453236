"""Predict missed hospital appointments fairly.

>>> import dnapredict
>>> dnapredict.simulate("extract.parquet", appointments=20_000)  # doctest: +SKIP
>>> trained = dnapredict.train("extract.parquet")  # doctest: +SKIP
>>> dnapredict.audit("extract.parquet", model=trained.version, out="report").verdict  # doctest: +SKIP
'PASS'

Importing the package loads nothing else: each function loads its libraries when it is first used.
docs/tutorial.ipynb walks through all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dnapredict.public_api.loaded_model import LoadedModel, load_model, promote
    from dnapredict.public_api.results import AuditReport, CheckResult, ScoreResult, TrainingResult
    from dnapredict.public_api.verbs import audit, check, score, score_on_spark, simulate, train

__version__ = "0.1.0"

__all__ = [
    "AuditReport",
    "CheckResult",
    "LoadedModel",
    "ScoreResult",
    "TrainingResult",
    "__version__",
    "audit",
    "check",
    "load_model",
    "promote",
    "score",
    "score_on_spark",
    "simulate",
    "train",
]

_MODULE_OF: Final = {
    **dict.fromkeys(("LoadedModel", "load_model", "promote"), "loaded_model"),
    **dict.fromkeys(("AuditReport", "CheckResult", "ScoreResult", "TrainingResult"), "results"),
    **dict.fromkeys(("audit", "check", "score", "score_on_spark", "simulate", "train"), "verbs"),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.public_api.{_MODULE_OF[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})

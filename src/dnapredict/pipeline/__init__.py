"""One function for each verb that reads an extract, a list or a home, such as `train` and `score`.

extract -> contract -> history -> features -> risk -> worklist and reasons -> page | file | report

A module is imported when one of its names is first used: `check` needs neither model nor registry, whose
libraries take longer to import than most extracts to check.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dnapredict.pipeline.auditing import (
        Assessment,
        Audit,
        Signed,
        access,
        access_on_spark,
        audit,
        audit_on_spark,
        consent,
        sign,
    )
    from dnapredict.pipeline.comparison.product_comparison import ProductComparison, compare_products
    from dnapredict.pipeline.in_use.outcome_linkage import OutcomeSummary, outcomes
    from dnapredict.pipeline.model_building import Trained, features, train
    from dnapredict.pipeline.on_spark.spark_training import train_on_spark
    from dnapredict.pipeline.pooling import CountsWritten, audit_counts, audit_counts_on_spark, audit_pool
    from dnapredict.pipeline.routine.model_monitoring import Monitored, monitor
    from dnapredict.pipeline.routine.spark_monitoring import monitor_on_spark
    from dnapredict.pipeline.scoring import ScoredList, history_in_use, open_scorer, refresh, score_list
    from dnapredict.pipeline.watching import watch

__all__ = [
    "Assessment",
    "Audit",
    "CountsWritten",
    "Monitored",
    "OutcomeSummary",
    "ProductComparison",
    "ScoredList",
    "Signed",
    "Trained",
    "access",
    "access_on_spark",
    "audit",
    "audit_counts",
    "audit_counts_on_spark",
    "audit_on_spark",
    "audit_pool",
    "compare_products",
    "consent",
    "features",
    "history_in_use",
    "monitor",
    "monitor_on_spark",
    "open_scorer",
    "outcomes",
    "refresh",
    "score_list",
    "sign",
    "train",
    "train_on_spark",
    "watch",
]

_MODULES: Final = {
    "auditing": (
        "Assessment",
        "Audit",
        "Signed",
        "access",
        "access_on_spark",
        "audit",
        "audit_on_spark",
        "consent",
        "sign",
    ),
    "model_building": ("Trained", "features", "train"),
    "routine.model_monitoring": ("Monitored", "monitor"),
    "in_use.outcome_linkage": ("OutcomeSummary", "outcomes"),
    "routine.spark_monitoring": ("monitor_on_spark",),
    "on_spark.spark_training": ("train_on_spark",),
    "pooling": ("CountsWritten", "audit_counts", "audit_counts_on_spark", "audit_pool"),
    "comparison.product_comparison": ("ProductComparison", "compare_products"),
    "scoring": ("ScoredList", "history_in_use", "open_scorer", "refresh", "score_list"),
    "watching": ("watch",),
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

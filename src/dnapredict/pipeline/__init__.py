"""What dnapredict does, a verb at a time: features, train, audit, access, sign, refresh, score, watch.

extract -> contract -> history -> features -> risk -> worklist and reasons -> page | file | report
"""

from dnapredict.pipeline.auditing import Assessment, Audit, Signed, access, audit, sign
from dnapredict.pipeline.making import FeatureEngine, Trained, features, train
from dnapredict.pipeline.scoring import HISTORY, ScoredList, history_in_use, open_scorer, refresh, score_list
from dnapredict.pipeline.watching import watch

__all__ = [
    "HISTORY",
    "Assessment",
    "Audit",
    "FeatureEngine",
    "ScoredList",
    "Signed",
    "Trained",
    "access",
    "audit",
    "features",
    "history_in_use",
    "open_scorer",
    "refresh",
    "score_list",
    "sign",
    "train",
    "watch",
]

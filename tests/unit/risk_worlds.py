"""Small made-up cohorts with a known truth, for the tests of the risk model."""

import datetime
from typing import Any

import numpy as np

from dnapredict.config.factor_register import FactorRegister
from dnapredict.config.training_config import ModelSettings, SplitConfig, TrainingConfig
from dnapredict.model.cohort import Cohort, CohortGroups

FACTORS = ("lead_days", "past_dnas", "age_years")
FIRST_DAY = np.datetime64("2025-01-01", "us")
QUICK = ModelSettings(
    learning_rate=0.2, max_rounds=60, patience=10, min_child_samples=20, feature_fraction=1, lambda_l2=1
)
# In a made-up world two factors tell nearly all: no alarm is due there.
CONFIG = TrainingConfig(
    seed=1, leak_alarm_auroc=0.9, model=QUICK, split=SplitConfig(test_from=datetime.date(2025, 3, 1))
)


def world(n: int = 3_000, *, seed: int = 0, together: float = 3.0, **columns: Any) -> Cohort:
    """A hundred days of appointments, where lead time and past DNAs raise the risk and age does not.

    `together` is what a long wait and a past DNA add beyond either: with 0 the truth is a sum of
    curves, and trees have nothing to find that logistic regression does not.
    """
    draw = np.random.default_rng(seed)
    lead = draw.integers(0, 60, n)
    past = draw.poisson(0.7, n)
    truth = 1 / (1 + np.exp(2.8 - 0.02 * lead - 0.5 * past - together * (lead > 30) * (past > 0)))
    values = {
        "factors": FACTORS,
        "matrix": np.column_stack([lead, past, draw.uniform(0, 95, n)]).astype(float),
        "dna": draw.random(n) < truth,
        "patient": draw.integers(0, n // 3, n),
        "starts_at": FIRST_DAY + np.sort(draw.integers(0, 100 * 86_400, n)) * np.timedelta64(1, "s"),
        "lead_days": lead,
        "first_time": past == 0,
        "appointment": np.arange(n, dtype=np.uint64),
        "groupings": {"site": CohortGroups(("A", "B"), np.arange(n) % 2)},
    }
    return Cohort(**{**values, **columns})


def register(**reasons: str) -> FactorRegister:
    """A register of the three factors with the given reason sentences."""
    return FactorRegister.model_validate(
        {
            "version": "test",
            "factors": [
                {
                    "name": name,
                    "title": name,
                    "class": "personal" if name == "age_years" else "operational",
                    "columns": ["starts_at"],
                    "why": "a test",
                    "agreed_by": "a test",
                    "agreed_on": "2025-01-01",
                    "reason": reasons.get(name, ""),
                }
                for name in FACTORS
            ],
        }
    )

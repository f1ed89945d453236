"""Made-up appointments whose unfairness is known, to show what the audit finds and what it leaves alone.

For tests and benchmarks; everything here is synthetic. A world starts fair: the score is the true risk
and every group has the same need. Each setting plants one thing that can go wrong, so that it can be
asked whether the audit names it.
"""

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.audit.ethnic_groups import ETHNICITY

__all__ = ["World"]

# Rough shares of an English population by the 16 national codes, made up for tests.
_ETHNIC_SHARES = (62, 1, 5, 1, 1, 1, 1, 4, 5, 2, 2, 2, 5, 1, 1, 3)


@dataclass(frozen=True)
class World:
    """Settings of a made-up world; `table()` draws it.

    Parameters
    ----------
    under_scored : code of an ethnic group whose risk the model states too low
    thin_history : code of a group about whom the score says nearly nothing
    lower_need : code of a group that misses much less often
    deprivation : how much higher the log-odds are in the most deprived tenth than on average
    mislabelled : share of Core20 attendances that are wrongly recorded as missed, for the trust's reasons
    """

    appointments: int = 50_000
    seed: int = 1
    base_rate: float = 0.09
    per_patient: float = 2.0
    capacity: float = 0.10
    under_scored: str = ""
    thin_history: str = ""
    lower_need: str = ""
    mislabelled: float = 0.0
    spread: float = 1.2
    deprivation: float = 0.0

    def table(self) -> pa.Table:
        """The labelled appointments as the audit reads them."""
        random = np.random.default_rng(self.seed)
        patients = max(1, round(self.appointments / self.per_patient))
        patient = np.sort(random.integers(0, patients, self.appointments))
        ethnicity = self._ethnicity(random, patients)[patient]
        decile = random.integers(1, 11, patients)[patient]
        risk = self._risk(random, patient, ethnicity, decile)
        missed = random.random(self.appointments) < risk
        late = ~missed & (decile <= 2) & (random.random(self.appointments) < self.mislabelled)
        score = self._score(random, risk, ethnicity)
        start = np.datetime64("2025-01-01T09:00", "us")
        days = random.integers(0, 364, self.appointments).astype("timedelta64[D]")
        return pa.table(
            {
                "patient": patient,
                "dna": missed | late,
                "probability": score,
                "selected": self._selected(score),
                "starts_at": start + days,
                "outcome_code": np.where(missed, "3", np.where(late, "7", "5")),
                "imd_decile": pa.array(decile, mask=random.random(patients)[patient] < 0.01),
                "ethnic_category_code": pa.array(ethnicity, mask=random.random(patients)[patient] < 0.005),
                "gender_code": np.where(random.random(patients)[patient] < 0.55, "2", "1"),
                "age_years": random.integers(0, 95, patients)[patient].astype(float),
                "interpreter_needed": random.random(patients)[patient] < 0.05,
            }
        )

    @staticmethod
    def window() -> tuple[datetime.date, datetime.date]:
        """First and last day that appointments can fall on."""
        return datetime.date(2025, 1, 1), datetime.date(2025, 12, 31)

    def _ethnicity(self, random: np.random.Generator, patients: int) -> NDArray[np.str_]:
        codes = np.array([*ETHNICITY, "Z", "99"])
        shares = np.array([*_ETHNIC_SHARES, 3, 2], dtype=float)
        return random.choice(codes, patients, p=shares / shares.sum())

    def _risk(
        self,
        random: np.random.Generator,
        patient: NDArray[np.int64],
        ethnicity: NDArray[np.str_],
        decile: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Log-odds of a lasting tendency of the patient and of what is particular to the appointment."""
        lasting = random.normal(0, self.spread * 0.6, int(patient.max()) + 1)[patient]
        odds = lasting + random.normal(0, self.spread * 0.8, self.appointments)
        odds += np.log(self.base_rate / (1 - self.base_rate)) - self.spread**2 / 2 + 0.25
        odds -= np.where(ethnicity == self.lower_need, 1.0, 0.0)
        odds += self.deprivation * (5.5 - decile) / 4.5
        return _probability(odds)

    def _score(
        self, random: np.random.Generator, risk: NDArray[np.float64], ethnicity: NDArray[np.str_]
    ) -> NDArray[np.float64]:
        odds = np.log(risk / (1 - risk))
        odds = odds - np.where(ethnicity == self.under_scored, 0.8, 0.0)
        vague = ethnicity == self.thin_history
        if vague.any():
            # Mostly noise about the mean risk of the group: right on average, in no useful order.
            odds = np.where(vague, 0.1 * odds + random.normal(0, 0.8, len(odds)), odds)
            odds[vague] += _probability_gap(risk[vague], odds[vague])
        return _probability(odds)

    def _selected(self, score: NDArray[np.float64]) -> NDArray[np.bool_]:
        calls = round(self.capacity * self.appointments)
        chosen = np.zeros(self.appointments, dtype=bool)
        chosen[np.argsort(-score, kind="stable")[:calls]] = True
        return chosen


def _probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
    return found


def _probability_gap(risk: NDArray[np.float64], odds: NDArray[np.float64]) -> float:
    """Shift of the log-odds that makes their mean probability the mean risk, by halving."""
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability(odds + middle).mean() < risk.mean() else (low, middle)
    return low

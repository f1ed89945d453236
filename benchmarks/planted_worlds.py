"""Made-up services in which one known thing is wrong, for the table of worlds that the audit must judge.

Groups are correlated as they are in England: ethnic groups differ in age and in how deprived their areas are, clinics
differ in whom they see, and a patient comes more than once. Risks are true expectations of a model that does not see
everything of a patient, so that a patient's outcomes stay correlated. Everything here is synthetic.

    python -m benchmarks.audit_worlds --table --runs 20
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit, logit

from dnapredict.fairness.measure.groupings import ETHNICITY

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Planted = Literal[
    "fair",
    "fair with unequal need",
    "uniform drift",
    "under-scored",
    "weak information",
    "squeezed risks",
    "false DNAs flagged",
    "false DNAs with code 7",
    "false DNAs not flagged",
    "over-65s under-scored",
    "disabled under-scored",
    "not asked cut from calls",
    "one site",
    "one intersection",
    "one group at one site",
    "over-called",
    "two groups under-scored",
    "women under-scored",
    "most deprived tenth under-scored",
    "most deprived site under-scored",
    "lower need",
    "mix of clinics",
    "calls help one group",
    "calls help all but one",
]

# Shares of the 16 national codes; 12 in 100 patients have no known ethnic group.
_CODES: Final = np.array([*ETHNICITY, "Z", "99", ""])
_SHARES: Final = np.array([55, 1, 5, 1, 1, 1, 1, 5, 5, 2, 2, 3, 5, 1, 1, 3, 4, 6, 2], dtype=float)
_SITES: Final = np.array(["RXA01", "RXA02", "RXA03", "RXA04", "RXA05"])
_SPECIALTIES: Final = np.array(["110", "120", "130", "301", "320", "330", "420", "502"])
_SPECIALTY_ODDS: Final = np.array([0.0, 0.1, -0.3, 0.1, -0.1, 0.2, 0.15, -0.05])
_SITE_ODDS: Final = np.array([0.1, 0.0, -0.1, 0.05, -0.05])
_HIDDEN: Final = 0.4  # standard deviation of what the model does not see of a patient
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class PlantedWorld:
    """A service with one planted fault, drawn by `table()`.

    Parameters
    ----------
    planted : what is wrong in it
    group : the ethnic code that it is about, in worlds about one ethnic group
    strength : how strong it is, in the unit of the fault (log-odds, a share, a slope); 0 takes the usual strength
    unequal : whether groups differ in need; only "fair" and worlds that say so need equal groups
    """

    planted: Planted = "fair"
    seed: int = 1
    appointments: int = 120_000
    group: str = "J"
    strength: float = 0.0
    base_rate: float = 0.09
    per_patient: float = 2.0
    capacity: float = 0.10
    spread: float = 1.2
    unequal: bool = True

    def table(self) -> pa.Table:
        """The labelled appointments as the audit reads them."""
        random = np.random.default_rng(self.seed)
        people = self._people(random)
        risk, hidden = self._risk(random, people)
        outcome = expit(logit(risk) + hidden)
        score = self._score(random, people, _seen(risk))
        selected = self._selected(random, people, score)
        contacted = None
        if self.planted.startswith("calls help"):
            contacted = self._earlier_calls(random, score)
            outcome = np.where(contacted & self._helped(people), 0.25 * outcome, outcome)
        missed = random.random(len(risk)) < outcome
        late, reason, wrong = self._wrongly_recorded(random, people, missed)
        days = random.integers(0, 364, len(risk)).astype("timedelta64[D]")
        start = np.datetime64("2025-01-01T09:00", "us") + days
        columns: dict[str, Any] = {
            "patient": people["patient"],
            "dna": missed | late | reason | wrong,
            "probability": score,
            "selected": selected,
            "starts_at": start,
            "outcome_code": np.where(late, "7", np.where(missed | reason | wrong, "3", "5")),
            "trust_side_reason": reason,
            "imd_decile": pa.array(people["decile"], mask=people["no_decile"]),
            "ethnic_category_code": pa.array(people["ethnicity"], mask=people["ethnicity"] == ""),
            "gender_code": np.where(people["woman"], "2", "1"),
            "age_years": people["age"].astype(float),
            "interpreter_needed": people["interpreter"],
            "disability_flag": np.where(people["disabled"], "Y", "N"),
            "has_mobile": people["mobile"],
            "n_past": people["n_past"],
            "site_code": _SITES[people["site"]],
            "treatment_function_code": _SPECIALTIES[people["specialty"]],
            "lead_days": people["lead"],
        }
        if contacted is not None:
            columns["contacted"] = contacted
        return pa.table(columns)

    def affected(self, people: dict[str, NDArray[Any]]) -> Flags:
        """Rows of the group that the fault is about."""
        ethnic = people["ethnicity"] == self.group
        groups: dict[str, Callable[[], Flags]] = {
            "fair": lambda: np.zeros(len(ethnic), dtype=bool),
            "fair with unequal need": lambda: np.zeros(len(ethnic), dtype=bool),
            "uniform drift": lambda: np.ones(len(ethnic), dtype=bool),
            "over-65s under-scored": lambda: people["age"] >= 65,
            "disabled under-scored": lambda: people["disabled"],
            "not asked cut from calls": lambda: people["ethnicity"] == "99",
            "one site": lambda: people["site"] == 2,
            "one intersection": lambda: ethnic & people["woman"] & (people["decile"] <= 2),
            "one group at one site": lambda: ethnic & (people["site"] == 0),
            "two groups under-scored": lambda: ethnic | (people["ethnicity"] == "N"),
            "women under-scored": lambda: people["woman"],
            "most deprived tenth under-scored": lambda: people["decile"] == 1,
            "most deprived site under-scored": lambda: people["site"] == 4,
        }
        return groups.get(self.planted, lambda: ethnic)()

    def _people(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """Attributes of each appointment: of the patient, and of the clinic."""
        patients = max(1, round(self.appointments / self.per_patient))
        ethnicity = random.choice(_CODES, patients, p=_SHARES / _SHARES.sum())
        british = np.isin(ethnicity, ["A", "B", "C", "Z", "99", ""])
        decile = np.clip(np.ceil(10 * random.beta(1.1, np.where(british, 1.0, 1.7))), 1, 10).astype(int)
        age = np.clip(random.normal(np.where(british, 54, 43) + 0.8 * (decile - 5), 21), 0, 99)
        woman = random.random(patients) < 0.55
        disabled = random.random(patients) < 0.05 + 0.12 * (age >= 65) + 0.04 * (decile <= 2)
        interpreter = random.random(patients) < np.where(british, 0.01, 0.12)
        mobile = random.random(patients) < np.where(age >= 80, 0.70, np.where(age >= 65, 0.88, 0.97))
        patient = np.sort(random.integers(0, patients, self.appointments))
        rows = {
            "patient": patient,
            "ethnicity": ethnicity[patient],
            "decile": decile[patient],
            "no_decile": (random.random(patients) < 0.01)[patient],
            "age": age[patient],
            "woman": woman[patient],
            "disabled": disabled[patient],
            "interpreter": interpreter[patient],
            "mobile": mobile[patient],
        }
        return rows | self._clinics(random, rows)

    def _clinics(self, random: np.random.Generator, rows: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Site, specialty, days of notice and known past appointments; who goes where differs."""
        number = self.appointments
        near = np.where(rows["decile"][:, None] <= 4, [0.35, 0.3, 0.15, 0.1, 0.1], [0.12, 0.18, 0.2, 0.25, 0.25])
        site = _drawn(random, near)
        if self.planted == "most deprived site under-scored":
            # Most people of the two most deprived tenths go to one site, which is then nearly theirs.
            site = np.where((rows["decile"] <= 2) & (random.random(number) < 0.7), 4, site)
        old, young = rows["age"] >= 65, rows["age"] < 16
        kinds = np.ones((number, len(_SPECIALTIES)))
        kinds[:, 2] += 2.0 * old
        kinds[:, 4] += 1.5 * old
        kinds[:, 6] += 4.0 * young
        kinds[:, 7] = np.where(rows["woman"] & ~young, 1.5, 0.0)
        if self.planted == "mix of clinics":
            # The group goes to clinics where few miss and no model finds them; within a clinic nothing is different.
            kinds[:, 3] = np.where(rows["ethnicity"] == self.group, 25.0, kinds[:, 3])
        specialty = _drawn(random, kinds / kinds.sum(axis=1, keepdims=True))
        lead = np.ceil(random.gamma(1.4, 28.0 + 4.0 * (specialty % 3), number))
        past = random.poisson(random.gamma(0.9, 2.2, int(rows["patient"].max()) + 1)[rows["patient"]])
        return {"site": site, "specialty": specialty, "lead": lead, "n_past": past}

    def _risk(self, random: np.random.Generator, people: dict[str, NDArray[Any]]) -> tuple[Floats, Floats]:
        """True risk before what nobody sees of a patient, and that part (log odds)."""
        patients = int(people["patient"].max()) + 1
        odds = random.normal(0, 0.6 * self.spread, patients)[people["patient"]]
        odds += random.normal(0, 0.8 * self.spread, self.appointments)
        odds += _SPECIALTY_ODDS[people["specialty"]] + _SITE_ODDS[people["site"]]
        odds += 0.15 * (np.log1p(people["lead"]) - 3.4)
        if self.unequal and self.planted != "fair":
            odds += self._need(people)
        if self.planted == "lower need":
            odds -= np.where(people["ethnicity"] == self.group, self.strength or 1.0, 0.0)
        if self.planted == "mix of clinics":
            odds -= np.where(people["specialty"] == 3, self.strength or 1.6, 0.0)
        shift = np.log(self.base_rate / (1 - self.base_rate)) - self.spread**2 / 2 + 0.25
        hidden = random.normal(0, _HIDDEN, patients)[people["patient"]]
        return expit(odds + shift), hidden

    @staticmethod
    def _need(people: dict[str, NDArray[Any]]) -> Floats:
        """How groups differ in need: young people and deprived areas miss more, people over 65 less."""
        age = people["age"]
        need: Floats = np.where((age >= 16) & (age < 35), 0.25, np.where(age >= 65, -0.3, 0.0))
        return need + 0.25 * (5.5 - people["decile"]) / 4.5 + 0.15 * people["disabled"]

    def _score(self, random: np.random.Generator, people: dict[str, NDArray[Any]], risk: Floats) -> Floats:
        odds, affected = logit(risk), self.affected(people)
        under = ("one site", "one intersection", "one group at one site")
        if self.planted == "uniform drift":
            return np.clip((self.strength or 1.25) * risk, 0, 0.999)
        if self.planted in under or self.planted.endswith("under-scored"):
            odds = odds - np.where(affected, self.strength or 0.8, 0.0)
        elif self.planted == "over-called":
            odds = odds + np.where(affected, self.strength or 0.8, 0.0)
        elif self.planted in ("weak information", "squeezed risks"):
            odds = odds.copy()
            inside = odds[affected]
            if self.planted == "weak information":
                # Hardly anything is known of each: a risk near the group's mean, right on average.
                inside = 0.1 * inside + random.normal(0, self.strength or 0.8, len(inside))
            else:
                inside = (self.strength or 0.3) * inside
            odds[affected] = inside + _shift_to_mean(inside, float(risk[affected].mean()))
        return expit(odds)

    def _selected(self, random: np.random.Generator, people: dict[str, NDArray[Any]], score: Floats) -> Flags:
        """The highest risks, as many as there is capacity for."""
        order = score.copy()
        if self.planted == "not asked cut from calls":
            order[self.affected(people) & (random.random(len(score)) < (self.strength or 0.7))] = -1.0
        return _top(order, round(self.capacity * len(score)))

    def _earlier_calls(self, random: np.random.Generator, score: Floats) -> Flags:
        """Who was called before the outcome: nine in ten of the highest risks."""
        return _top(score, round(self.capacity * len(score))) & (random.random(len(score)) < 0.9)

    def _helped(self, people: dict[str, NDArray[Any]]) -> Flags:
        one = people["ethnicity"] == self.group
        return one if self.planted == "calls help one group" else ~one

    def _wrongly_recorded(
        self, random: np.random.Generator, people: dict[str, NDArray[Any]], missed: Flags
    ) -> tuple[Flags, Flags, Flags]:
        """Attendances recorded as missed: as came late, with a reason of the trust, or with nothing to tell them."""
        none = np.zeros(len(missed), dtype=bool)
        if not self.planted.startswith("false DNAs"):
            return none, none, none
        wrong = ~missed & self.affected(people) & (random.random(len(missed)) < (self.strength or 0.06))
        kinds = {"false DNAs with code 7": 0, "false DNAs flagged": 1, "false DNAs not flagged": 2}
        found = [none, none, none]
        found[kinds[self.planted]] = wrong
        return found[0], found[1], found[2]


def _drawn(random: np.random.Generator, shares: Floats) -> NDArray[np.int64]:
    """A column by lot for each row of shares."""
    places: NDArray[np.int64] = (random.random(len(shares))[:, None] > np.cumsum(shares, axis=1)).sum(axis=1)
    return np.minimum(places, shares.shape[1] - 1)


def _seen(risk: Floats) -> Floats:
    """The mean risk over what the model does not see of a patient, by Gauss-Hermite quadrature."""
    odds = logit(risk)
    total = sum(w * expit(odds + _HIDDEN * x) for x, w in zip(_NODES, _WEIGHTS, strict=True))
    return np.asarray(total / _WEIGHTS.sum())


def _top(order: Floats, calls: int) -> Flags:
    chosen = np.zeros(len(order), dtype=bool)
    chosen[np.argsort(-order, kind="stable")[:calls]] = True
    return chosen


def _shift_to_mean(odds: Floats, mean: float) -> float:
    """Shift of the log odds that makes their mean probability `mean`, by halving."""
    low, high = -10.0, 10.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(odds + middle).mean() < mean else (low, middle)
    return low

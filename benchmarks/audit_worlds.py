"""Made-up appointments whose unfairness is known, to show what the audit finds and what it leaves alone.

For tests and benchmarks; everything here is synthetic. A world starts fair: the score is the true risk
and every group has the same need. Each setting plants one thing that can go wrong, so that it can be
asked whether the audit names it. `OddWorld` is a small or odd service instead:

    python -m benchmarks.audit_worlds --worlds 200

audits so many of them and counts reports, refusals and crashes.

    python -m benchmarks.audit_worlds --table --runs 20

audits every planted world of `benchmarks.planted_worlds` so often, and prints verdicts, groups and causes.
"""

import argparse
import collections
import datetime
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from benchmarks.audit_table import print_table
from numpy.typing import NDArray

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.errors import DnapredictError
from dnapredict.fairness import AuditData, ReportContext, run, write
from dnapredict.fairness.measure.audited_appointments import CALLED_BY, GROUP_COLUMNS
from dnapredict.fairness.measure.groupings import ETHNICITY
from dnapredict.model.cohort import patient_codes
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.worklist.plan.allocation import RULES
from dnapredict.worklist.plan.ranking import RankingInputs
from dnapredict.worklist.plan.replay import replay

__all__ = ["OddWorld", "World"]

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


Risks = Literal["true", "constant", "zero", "one", "outcome", "reversed", "separating", "ties", "extremes"]
Groups = Literal["many", "one", "each", "unknown", "absent"]


@dataclass(frozen=True)
class OddWorld:
    """A small or odd service, as trusts and vendors really have them: every field can be as thin as it gets.

    Parameters
    ----------
    missed : how many of the appointments are missed, exactly
    late : how many of the missed carry outcome code 7 (arrived late, not seen)
    patients : 0 where the extract has no patient_id
    risks : `outcome` is the outcome itself (0 or 1), `separating` ranks every missed appointment first
    ethnicity, areas, flags, places : how many groups there are; `each` gives every patient the next one,
        `unknown` is a column of values that say nothing, `absent` is no column
    days : length of the period; 1 puts all appointments on one day
    calls : calls each week; 0 for a tenth
    """

    appointments: int
    missed: int
    seed: int = 1
    late: int = 0
    patients: int = 1_000_000
    risks: Risks = "true"
    ethnicity: Groups = "many"
    areas: Groups = "many"
    flags: Groups = "many"
    places: Groups = "many"
    days: int = 42
    calls: int = 0

    @classmethod
    def drawn(cls, seed: int) -> "OddWorld":
        """A world drawn by lot; the same seed gives the same world."""
        random = np.random.default_rng(seed)
        sizes = (1, 2, 3, 5, 8, 9, 13, 20, 40, 80, 150, 200, 400, 900, 2_500)
        appointments = int(random.choice(sizes))
        few = int(random.integers(0, min(appointments, 12) + 1))
        missed = int(random.choice([few, appointments, appointments // 8, appointments - few, 1]))
        groups: tuple[Groups, ...] = get_args(Groups)
        kinds = [groups[place] for place in random.choice(len(groups), 4, p=[0.4, 0.15, 0.25, 0.1, 0.1])]
        return cls(
            appointments,
            missed,
            seed,
            late=int(random.choice([0, 0, missed, missed // 2, 1])),
            patients=int(random.choice([0, 1, 2, appointments // 2 + 1, 1_000_000])),
            risks=get_args(Risks)[int(random.integers(len(get_args(Risks))))],
            ethnicity=kinds[0],
            areas=kinds[1],
            flags=kinds[2],
            places=kinds[3],
            days=int(random.choice([1, 6, 42, 400])),
            calls=int(random.choice([0, 0, 1, 5, 100_000])),
        )

    def extract(self) -> pa.Table:
        """The appointments with an outcome by the data contract."""
        random, rows = np.random.default_rng(self.seed), self.appointments
        start = np.datetime64("2025-03-03T09:00", "us") + random.integers(0, self.days, rows).astype("timedelta64[D]")
        person = random.integers(0, max(1, self.patients), rows)
        codes = np.array(["5"] * rows)
        missed = random.permutation(rows)[: self.missed]
        codes[missed] = "3"
        codes[missed[: self.late]] = "7"
        columns: dict[str, Any] = {
            "appointment_id": [f"a{number}" for number in range(rows)],
            "patient_id": [f"p{number}" for number in person] if self.patients else None,
            "booked_at": start - random.integers(1, 90, rows).astype("timedelta64[D]"),
            "starts_at": start,
            "outcome_code": codes,
            "ethnic_category_code": self._drawn(random, self.ethnicity, [*ETHNICITY, "Z", "99", None], "99"),
            "imd_decile": self._drawn(random, self.areas, [*range(1, 11), None], None),
            "gender_code": self._drawn(random, self.flags, ["1", "2", "9", None], "X"),
            "age_years": self._drawn(random, self.flags, [3.0, 20.0, 33.0, 47.0, 60.0, 71.0, 90.0], None),
            "interpreter_needed": self._drawn(random, self.flags, [True, False, False, None], None),
            "disability_flag": self._drawn(random, self.flags, ["Y", "N", "N", None], "Z"),
            "plus_group": self._drawn(random, self.flags, ["homelessness", "travellers", None], None),
            "site_code": self._drawn(random, self.places, ["RXA01", "RXB01", "RXC01"], None),
            "treatment_function_code": self._drawn(random, self.places, ["110", "120", "130"], None),
        }
        return pa.table({name: values for name, values in columns.items() if values is not None})

    def _drawn(self, random: np.random.Generator, kind: Groups, values: list[Any], nothing: Any) -> pa.Array | None:
        """A column: values by lot, one alone, each in turn, or nothing known."""
        rows, known = self.appointments, [value for value in values if value is not None]
        drawn = random.integers(0, len(values), rows)
        kinds: dict[str, list[Any]] = {
            "many": [values[place] for place in drawn],
            "one": [known[0]] * rows,
            "each": [known[place % len(known)] for place in range(rows)],
            "unknown": [nothing] * rows,
        }
        return None if kind == "absent" else pa.array(kinds[kind], pa.array(known).type)

    def scores(self, missed: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The risk that a vendor gives each appointment."""
        random, rows = np.random.default_rng(self.seed + 1), self.appointments
        noise = random.random(rows)
        vague = np.clip(0.1 + 0.15 * missed + 0.2 * noise, 0, 1)
        kinds: dict[str, NDArray[np.float64]] = {
            "true": vague,
            "constant": np.full(rows, 0.1),
            "zero": np.zeros(rows),
            "one": np.ones(rows),
            "outcome": missed.astype(float),
            "reversed": 1.0 - missed,
            "separating": np.where(missed, 0.6 + 0.3 * noise, 0.1 + 0.3 * noise),
            "ties": np.round(vague, 1),
            "extremes": np.where(noise < 0.3, 0.0, np.where(noise > 0.7, 1.0, vague)),
        }
        return kinds[self.risks]

    def table(self) -> pa.Table:
        """The labelled appointments as the audit reads them."""
        table = self.extract()
        missed = np.isin(table["outcome_code"].to_numpy(zero_copy_only=False), ["3", "7"])
        risk = self.scores(missed)
        decile = (
            table["imd_decile"].cast("float64").to_numpy()
            if "imd_decile" in table.column_names
            else np.full(self.appointments, np.nan)
        )
        config = worklist_config().model_copy(update={"capacity": self.calls or None})
        people = (
            table["patient_id"]
            if "patient_id" in table.column_names
            else pa.chunked_array([[None] * self.appointments], pa.string())
        )
        made = {
            "patient": pa.array(patient_codes(people)),
            "dna": pa.array(missed),
            "probability": pa.array(risk),
            "n_past": pa.array(np.arange(self.appointments) % 5),
        }
        day = table["starts_at"].to_numpy().astype("datetime64[D]")
        listed = replace(RankingInputs.of_risks(risk, decile), day=day, call_by=day)
        for rule in RULES if np.isfinite(decile).any() else ("global",):
            called = replay(listed, config=config.model_copy(update={"allocation": rule})).covered
            made[f"{CALLED_BY}{rule}"] = pa.array(called)
        made["selected"] = made[f"{CALLED_BY}global"]
        kept = {name: table[name] for name in ("starts_at", *GROUP_COLUMNS) if name in table.column_names}
        return pa.table(made | kept)


def outcome_of(world: OddWorld, policy: Policy) -> str:
    """What an audit of the world comes to: a verdict, a refusal, or a crash."""
    context = ReportContext("1", "", "", World.window(), "a tenth", "unknown", synthetic=True)
    try:
        result = run(AuditData.of(world.table()), policy=policy, context=context)
        with tempfile.TemporaryDirectory() as folder:
            figures = write(result, Path(folder) / "report").parent / "audit.json"
            if any(word in figures.read_text() for word in (": NaN", ": Infinity", ": -Infinity")):
                return "crash: audit.json is not JSON"
    except DnapredictError as error:
        return f"refused: {type(error).__name__}"
    except Exception as error:  # noqa: BLE001 - a crash is what is counted here
        return f"crash: {type(error).__name__}"
    return f"report: {result.verdict}"


def main() -> None:
    """Audit odd worlds drawn by lot and count what came of them, warnings counting as crashes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="the table of planted worlds instead")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--appointments", type=int, default=120_000)
    parser.add_argument("--only", action="append", default=[], help="one planted world; can be repeated")
    asked = parser.parse_args()
    warnings.simplefilter("error")
    if asked.table:
        print_table(runs=asked.runs, first_seed=asked.first_seed, appointments=asked.appointments, names=asked.only)
        return
    policy = load(shipped("fairness/policy.toml"), Policy)
    loose = policy.model_dump()
    for name, limit in (("reach", "max_harm_gap"), ("ranking", "max_harm_gap"), ("change", "max_fall")):
        loose["limits"][name][limit] = 0.9
    policies = (policy, Policy.model_validate(loose | {"smallest_group": 30}))
    seeds = range(asked.first_seed, asked.first_seed + asked.worlds)
    found = collections.Counter(outcome_of(OddWorld.drawn(seed), policies[seed % 2]) for seed in seeds)
    for outcome, number in found.most_common():
        print(f"{number:5}  {outcome}")


if __name__ == "__main__":
    main()

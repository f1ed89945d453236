"""The product beside other programs on the real Vitória extract: paired differences, patients drawn again.

The others are run elsewhere, by whoever has them: each gives a CSV file with `appointment_id` and
`probability` (of a missed appointment) for every appointment from 30 May 2016, by what was known HORIZON
days ahead (1 or 7). docs/results.md tells how the two files that are shown there were made.
`python -m benchmarks.peers EXTRACT.csv.gz --scores NAME:HORIZON=FILE [NAME:HORIZON=FILE ...]`.
"""

import argparse
import datetime
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from dnapredict import pipeline
from dnapredict.config.loading import load
from dnapredict.config.mapping_config import Mapping
from dnapredict.config.training_config import Setting, SplitConfig, TrainingConfig
from dnapredict.model.cohort import appointment_keys
from dnapredict.model.evaluate.metric_intervals import HoldoutRisks, ModelComparison, PairedDifference, compare_models

ROOT = Path(__file__).resolve().parents[1]
MAPPING = ROOT / "training" / "mappings" / "vitoria.toml"
TEST_FROM = datetime.date(2016, 5, 30)
# What is compared a day, and a week, before the appointment; and the figures that decide.
POPULATIONS = {1: ("all", "booked_1_day"), 7: ("weekly",)}
FIGURES = ("auroc", "log_loss")


@dataclass(frozen=True)
class Scores:
    """Where the risks of one program lie, and how many days ahead they were known."""

    name: str
    days: int
    path: Path

    @classmethod
    def parse(cls, words: str) -> "Scores":
        """From `NAME:HORIZON=FILE`."""
        said, _, path = words.partition("=")
        name, _, days = said.rpartition(":")
        if not name or not path or days not in {str(known) for known in POPULATIONS}:
            raise argparse.ArgumentTypeError(f"{words}: not NAME:HORIZON=FILE with a horizon of 1 or 7")
        return cls(name, int(days), Path(path))


def ours(extract: Path, *, days: int) -> HoldoutRisks:
    """The product's risks of the test weeks, trained as `dnapredict train` does."""
    config = TrainingConfig(horizon_days=days, split=SplitConfig(test_from=TEST_FROM))
    setting = Setting(load(MAPPING, Mapping), config)
    with tempfile.TemporaryDirectory() as home:
        trained = pipeline.train(extract, home=Path(home), setting=setting, say=lambda _: None)
    return HoldoutRisks(trained.training.tested, trained.training.test_probability)


def theirs(scores: Scores, mine: HoldoutRisks) -> HoldoutRisks:
    """The other program's risks of the same appointments; refused where one is missing, twice or no risk."""
    read = pd.read_csv(scores.path, dtype={"appointment_id": str})
    given = pd.Series(
        read["probability"].to_numpy(float),
        index=appointment_keys(pa.chunked_array([read["appointment_id"].tolist()])),
    )
    if given.index.has_duplicates:
        sys.exit(f"{scores.path}: an appointment stands there twice.")
    risk = given.reindex(mine.cohort.appointment).to_numpy()
    wrong = int((~((risk >= 0) & (risk <= 1))).sum())
    if wrong:
        sys.exit(f"{scores.path}: {wrong:,} of {len(risk):,} tested appointments have no risk from 0 to 1.")
    return HoldoutRisks(mine.cohort, risk)


def verdict(figure: str, found: PairedDifference) -> str:
    """Who is better by that figure, if the interval leaves out 0."""
    if not found.is_certain:
        return "no"
    return "yes, better" if (found.value > 0) == (figure == "auroc") else "yes, worse"


def rows(name: str, days: int, compared: ModelComparison) -> list[dict]:
    """A row for each population and figure: both figures, and ours less theirs with its interval."""
    found = []
    for population in POPULATIONS[days]:
        for figure in FIGURES:
            less = compared.differences[population][figure]
            found.append(
                {
                    "peer": name,
                    "population": population,
                    "days_ahead": days,
                    "n": compared.one[population].n,
                    "figure": figure,
                    "ours": getattr(compared.one[population], figure),
                    "theirs": getattr(compared.other[population], figure),
                    **less._asdict(),
                    "verdict": verdict(figure, less),
                }
            )
    return found


def main() -> None:
    """Print a line for each comparison, and write benchmarks/out/peers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extract", type=Path)
    parser.add_argument("--scores", type=Scores.parse, nargs="+", required=True, metavar="NAME:HORIZON=FILE")
    asked = parser.parse_args()
    seed, found = TrainingConfig().seed, []
    for days in sorted({scores.days for scores in asked.scores}):
        mine = ours(asked.extract, days=days)
        for scores in (each for each in asked.scores if each.days == days):
            found += rows(scores.name, days, compare_models(mine, theirs(scores, mine), seed=seed))
    print("| population | n | peer | figure | ours | theirs | ours less theirs (95%) | beyond chance |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found:
        figures = f"{row['ours']:.4f} | {row['theirs']:.4f}"
        less = f"{row['value']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
        print(
            f"| {row['population']}, {row['days_ahead']} day(s) ahead | {row['n']:,} | {row['peer']} "
            f"| {row['figure']} | {figures} | {less} | {row['verdict']} |"
        )
    short = [
        f"{row['peer']} by {row['figure']} of {row['population']}" for row in found if row["verdict"] != "yes, better"
    ]
    print(f"not better beyond chance: {', '.join(short) or 'nothing'}")
    out = Path(__file__).parent / "out"
    out.mkdir(exist_ok=True)
    (out / "peers.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

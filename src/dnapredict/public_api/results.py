"""What the functions of the Python interface return: frozen, typed, and safe to show in a notebook."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.pipeline import Audit, ScoredList, Trained
from dnapredict.pipeline.checking import ExtractCheck
from dnapredict.public_api.html_summary import count, figure, summary
from dnapredict.quality.report_figures import Report

Metrics = Mapping[str, float | int | None]

POPULATIONS = {
    "all": "all appointments",
    "booked_1_day": "booked at least a day ahead",
    "weekly": "booked at least a week ahead",
    "first_time": "first-time patients",
}
"""The populations that a model is tested on, by their names in files and in words."""

_SYNTHETIC = "SYNTHETIC: made-up patients, for demonstration only."
_SHOWN = ("n", "base_rate", "auroc", "log_loss", "calibration_slope", "sensitivity_at_10", "ppv_at_10")


@dataclass(frozen=True)
class CheckResult:
    """An extract compared with the data contract.

    Attributes
    ----------
    rows, kept
        Rows read, and those that keep the contract.
    rejected_share, usable
        Share of faulty rows, and whether `train` would take the extract: few faulty rows (`max_rejected_share`), and
        no fault of the outcomes that stops it (`report.labels`).
    report
        The figures of the check report, with small counts hidden.
    rejections : DataFrame
        `rule`, `count` and `first_rows` (row numbers) of each broken rule, most frequent first.
    rejected : DataFrame
        `row_number`, `appointment_id`, `rule` of each rejected row. It holds ids: keep it private.
    files
        The report's JSON file and page, where `report=` named them.
    messages
        What the command prints: sentences without any patient's value.
    """

    rows: int
    kept: int
    rejected_share: float
    usable: bool
    report: Report = field(repr=False)
    rejections: pd.DataFrame = field(repr=False, compare=False)
    rejected: pd.DataFrame = field(repr=False, compare=False)
    files: tuple[Path, ...] = ()
    messages: tuple[str, ...] = field(default=(), repr=False)
    _check: ExtractCheck | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, check: ExtractCheck, report: Report, messages: tuple[str, ...]) -> "CheckResult":
        """The result of a check whose report was made."""
        return cls(
            rows=report.rows,
            kept=report.kept,
            rejected_share=report.rejected_share,
            usable=report.usable,
            report=report,
            rejections=pd.DataFrame(
                [(each.rule, each.count, each.first_rows) for each in check.rejections],
                columns=["rule", "count", "first_rows"],
            ),
            rejected=check.rejected.to_pandas(),
            files=check.files,
            messages=messages,
            _check=check,
        )

    def require(self) -> None:
        """Raise DataError where `train` would not take the extract."""
        if self._check is not None:
            self._check.require()

    def _repr_html_(self) -> str:
        report = self.report
        facts = {
            "Rows": f"{report.rows:,}",
            "Rows that keep the contract": f"{report.kept:,}",
            "Faulty rows": f"{report.rejected_share:.1%} (limit {report.limit:.1%})",
            "Ready for training": "yes" if report.usable else "no",
            "Factors that it can feed": f"{sum(each.fed for each in report.factors)} of {len(report.factors)}",
        }
        return summary(
            "Check against the data contract",
            facts,
            head=("When", "Finding", "What to do"),
            rows=[(each.urgency, each.found, each.action) for each in report.findings],
            notes=[*_synthetic(report.synthetic), *(f"Written: {path}" for path in self.files)],
        )


@dataclass(frozen=True)
class TrainingResult:
    """A model that was trained, tested on the latest part of the extract, and registered as challenger.

    Attributes
    ----------
    version, run_id
        Of the model registry and of the MLflow run.
    rows, rows_kept
        Rows read, and those that keep the contract.
    factors, factors_dropped
        Factors of the model, and agreed ones that the extract cannot feed.
    tested_on
        The test window, in words.
    figures, baseline_figures
        Metrics by population; for each baseline, the same. `test` and `baselines` are these as tables.
    leak_alarm
        A sentence where the metrics are too good to be true, else "".
    messages
        What the command prints.
    """

    version: str
    run_id: str
    home: Path
    rows: int
    rows_kept: int
    synthetic: bool
    factors: tuple[str, ...]
    factors_dropped: tuple[str, ...]
    tested_on: str
    figures: Mapping[str, Metrics] = field(repr=False)
    baseline_figures: Mapping[str, Mapping[str, Metrics]] = field(repr=False)
    leak_alarm: str = ""
    messages: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, trained: Trained, home: Path, messages: tuple[str, ...] = ()) -> "TrainingResult":
        """The result of a training."""
        training = trained.training
        return cls(
            version=trained.registered.version,
            run_id=trained.registered.run_id,
            home=home,
            rows=trained.checked.total,
            rows_kept=trained.checked.kept,
            synthetic=trained.stored.manifest.provenance.synthetic,
            factors=tuple(training.model.factors),
            factors_dropped=trained.dropped,
            tested_on=str(training.split.test),
            figures={name: metrics.as_dict() for name, metrics in training.test.items()},
            baseline_figures={
                baseline: {name: metrics.as_dict() for name, metrics in populations.items()}
                for baseline, populations in training.baselines.items()
            },
            leak_alarm=training.leakage_warning,
            messages=messages,
        )

    @property
    def test(self) -> pd.DataFrame:
        """One row a population, one column a metric."""
        return _frame(self.figures)

    @property
    def baselines(self) -> pd.DataFrame:
        """The same for each baseline: `baseline` and `population` are the index."""
        return pd.concat({name: _frame(each) for name, each in self.baseline_figures.items()}, names=["baseline"])

    def as_dict(self) -> dict[str, Any]:
        """What `dnapredict train --json` prints."""
        return {
            "version": self.version,
            "run_id": self.run_id,
            "rows": self.rows,
            "rows_kept": self.rows_kept,
            "synthetic": self.synthetic,
            "factors": list(self.factors),
            "factors_dropped": list(self.factors_dropped),
            "test": self.figures,
            "baselines": self.baseline_figures,
        }

    def _repr_html_(self) -> str:
        facts = {
            "Version": f"{self.version} (challenger)",
            "Rows that keep the contract": f"{self.rows_kept:,} of {self.rows:,}",
            "Factors": len(self.factors),
            "Factors that the extract cannot feed": ", ".join(self.factors_dropped) or "none",
            "Tested on": self.tested_on,
        }
        notes = [*_synthetic(self.synthetic), *((self.leak_alarm,) if self.leak_alarm else ())]
        return summary(
            "Training",
            facts,
            head=("Population", *_SHOWN),
            rows=[(POPULATIONS[name], *_cells(metrics)) for name, metrics in self.figures.items()],
            notes=[*notes, *(each for each in self.messages if each.startswith("WARNING"))],
        )


@dataclass(frozen=True)
class AuditReport:
    """A fairness audit: the verdict, the gates, and the report that a reviewer signs.

    Every figure is published: rounded, small counts hidden.

    Attributes
    ----------
    verdict
        PASS, REVIEW, FAIL or NOT ENOUGH DATA.
    gates : DataFrame
        `code`, `title`, `verdict` and `sentence` of each gate.
    report
        The page `report.html`; its folder holds `audit.json` and the tables.
    figures
        The content of `audit.json`.
    messages
        What the command prints.
    """

    verdict: str
    report: Path
    synthetic: bool
    gates: pd.DataFrame = field(repr=False, compare=False)
    figures: Mapping[str, Any] = field(repr=False)
    messages: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, audit: Audit, figures: Mapping[str, Any], messages: tuple[str, ...]) -> "AuditReport":
        """The result of an audit whose report was written."""
        gates = [(gate.code, gate.title, str(gate.verdict), gate.sentence) for gate in audit.result.gates]
        return cls(
            verdict=str(audit.result.verdict),
            report=audit.report,
            synthetic=audit.result.context.synthetic,
            gates=pd.DataFrame(gates, columns=["code", "title", "verdict", "sentence"]),
            figures=figures,
            messages=messages,
        )

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables of the report by name, such as `figures_ethnicity`; a hidden number is NaN."""
        return {
            path.stem: pd.read_csv(path, na_values=["*", ""], keep_default_na=False)
            for path in sorted(self.report.parent.glob("*.csv"))
        }

    def _repr_html_(self) -> str:
        return summary(
            f"Fairness audit: {self.verdict}",
            {"Report": self.report},
            head=("Gate", "Question", "Verdict", "Why"),
            rows=list(self.gates.itertuples(index=False, name=None)),
            notes=[*_synthetic(self.synthetic), *self.messages],
        )


@dataclass(frozen=True)
class ScoreResult:
    """A weekly list that was scored.

    Attributes
    ----------
    worklist : DataFrame
        One row for each row of the list, in rank order, with the columns of `dnapredict score`. It holds
        patients' rows: show and keep it only where the list itself may be.
    rows, selected, rejected
        Rows of the list, those to call, those that could not be scored (see their `error`).
    unknown_factors
        Factors for which the list has no column.
    has_history
        Whether past appointments were known; without them all patients count as new.
    path
        The worklist that was written; None where no `out` was given.
    messages
        What the command prints.
    """

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]
    has_history: bool
    worklist: pd.DataFrame = field(repr=False, compare=False)
    path: Path | None = None
    messages: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls, scored: ScoredList, worklist: pd.DataFrame, *, path: Path | None, messages: tuple[str, ...]
    ) -> "ScoreResult":
        """The result of a scoring and the rows of its worklist."""
        return cls(
            rows=scored.rows,
            selected=scored.selected,
            rejected=scored.rejected,
            model_version=scored.model_version,
            unknown_factors=scored.unknown_factors,
            has_history=scored.has_history,
            worklist=worklist,
            path=path,
            messages=(*messages, *scored.notices),
        )

    def _repr_html_(self) -> str:
        facts = {
            "Appointments": count(self.rows),
            "To call": count(self.selected),
            "Not scored": count(self.rejected),
            "Model version": self.model_version,
            "Past appointments known": "yes" if self.has_history else "no: all patients count as new",
            "Factors not in the list": ", ".join(self.unknown_factors) or "none",
        }
        written = () if self.path is None else (f"Written: {self.path}",)
        return summary("Scored list", facts, notes=["The rows are in .worklist.", *written, *self.messages])


def read_worklist(path: Path) -> pd.DataFrame:
    """A worklist file, whatever its form, with numbers as numbers."""
    with Workspace() as workspace:
        table = workspace.fetch(f"FROM {table_file.read(path, workspace).get_name()} ORDER BY {ROW_NUMBER}")
    frame: pd.DataFrame = table.drop_columns([ROW_NUMBER]).to_pandas()
    text = frame["selected"].astype("string").str.lower()
    return frame.assign(
        probability=pd.to_numeric(frame["probability"]).astype("float64"),
        rank=pd.to_numeric(frame["rank"]).astype("Int64"),
        selected=text.isin(["true", "yes", "1"]),
    )


def _frame(figures: Mapping[str, Metrics]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(dict(figures), orient="index").rename_axis("population")


def _cells(metrics: Metrics) -> Iterator[str]:
    """The metrics of one population; of too few appointments none is shown."""
    n = count(int(metrics["n"] or 0))
    yield n
    for name in _SHOWN[1:]:
        yield n if n == "hidden" else figure(metrics[name])


def _synthetic(is_synthetic: bool) -> tuple[str, ...]:
    return (_SYNTHETIC,) if is_synthetic else ()

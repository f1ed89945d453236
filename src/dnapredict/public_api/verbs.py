"""The verbs of the command line as functions: `check`, `train`, `audit`, `score`, `simulate`."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from dnapredict import pipeline
from dnapredict.config.fairness_policy import Policy
from dnapredict.config.home import home_folder
from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import load_mapping
from dnapredict.config.service_config import served_config
from dnapredict.config.training_config import Setting, TrainingConfig
from dnapredict.data.engine.spark_engine import is_spark_frame
from dnapredict.data.files.atomic_write import require_apart
from dnapredict.data.files.temporary_folder import temporary_folder
from dnapredict.errors import UsageError
from dnapredict.pipeline import checking
from dnapredict.pipeline.run_inputs import contract_sentences
from dnapredict.public_api.results import AuditReport, CheckResult, ScoreResult, TrainingResult, read_worklist
from dnapredict.public_api.table_input import TableInput, as_file
from dnapredict.service.logged_contacts import logged_contacts
from dnapredict.synthetic import simulation
from dnapredict.synthetic.worlds import World

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame
    from dnapredict.pipeline.on_spark.spark_verbs import ScoredTable, WriteTable

PathInput = str | os.PathLike[str]
Say = Callable[[str], None]

_DEFAULT_APPOINTMENTS: Final = 200_000


@dataclass
class _Messages:
    """Collects the messages of a run, and passes each on to the caller's `say`."""

    follow: Say | None
    said: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> None:
        self.said.append(text)
        if self.follow is not None:
            self.follow(text)

    @property
    def all(self) -> tuple[str, ...]:
        return tuple(self.said)


def check(
    extract: "TableInput | SparkFrame",
    *,
    report: PathInput | None = None,
    mapping: PathInput | None = None,
    config: PathInput | TrainingConfig | None = None,
    files: Mapping[str, PathInput] | None = None,
    key_file: PathInput | None = None,
    lists: Sequence[PathInput] = (),
    say: Say | None = None,
) -> CheckResult:
    """Check an extract against the data contract, as `dnapredict check` does.

    Too many faulty rows, or outcomes that cannot be trained on, are no error: see `CheckResult.usable`, and
    `CheckResult.require`, which raises.

    Parameters
    ----------
    extract
        A path, or a table of pandas, Arrow or Polars with one row an appointment. Codes must be texts: read
        a CSV with `dtype="string"`, or give its path. A data frame of Spark is checked by its cluster; its rejected
        rows stay there, so that `CheckResult.rejected` is empty.
    report
        Where to write the report: JSON, and a page with the same name.
    mapping
        TOML that maps the extract's columns to the contract.
    config
        TOML like training/config.toml, which is the default, or a `TrainingConfig`.
    files, key_file
        As `--file` and `--key-file`: the files that the mapping joins, by name, and the key for pseudonyms.
    lists
        Lists as they were before the appointments, to find columns that have changed with the outcome.
    say
        Receives each message as it comes, such as `print`.

    Raises
    ------
    DataError, ConfigurationError, UsageError, StoreError
        As the command, with the same message.
    """
    setting, messages, out = _setting(mapping, config, files, key_file), _Messages(say), _path(report)
    if is_spark_frame(extract):
        _refuse_lists(lists)
        _require_apart(setting, {"report": out}, {"mapping": _path(mapping)})
        frame = cast("SparkFrame", extract)
        result = checking.check_on_spark(frame, setting=setting, say=messages, out=out, with_report=True)
    else:
        with as_file(extract, name="extract") as path:
            _require_apart(setting, {"report": out}, {"extract": path, "mapping": _path(mapping)})
            result = checking.check(path, setting=setting, say=messages, out=out, with_report=True, lists=_paths(lists))
    if result.report is None:  # pragma: no cover - it was asked for
        raise AssertionError
    return CheckResult.of(result, result.report, messages.all)


def train(
    extract: "TableInput | SparkFrame",
    *,
    home: PathInput | None = None,
    mapping: PathInput | None = None,
    config: PathInput | TrainingConfig | None = None,
    files: Mapping[str, PathInput] | None = None,
    key_file: PathInput | None = None,
    lists: Sequence[PathInput] = (),
    say: Say | None = None,
) -> TrainingResult:
    """Train a model on the past, test it on what came after, register it as challenger: `dnapredict train`.

    Parameters
    ----------
    home
        Folder of models, runs and lists; otherwise `DNAPREDICT_HOME`, or `.dnapredict` here.
    extract
        As for `check`. The factors of a data frame of Spark are made by its cluster, and trained on here; `home` must
        be on a disk that the cluster's machines have too.
    mapping, config, files, key_file, lists, say
        As for `check`.

    Raises
    ------
    DataError, ConfigurationError, UsageError, ModelError, StoreError
        As the command, with the same message.
    """
    setting, messages, folder = _setting(mapping, config, files, key_file), _Messages(say), home_folder(_path(home))
    if is_spark_frame(extract):
        _refuse_lists(lists)
        frame, name = cast("SparkFrame", extract), "extract"
        trained = pipeline.train_on_spark(frame, home=folder, setting=setting, say=messages)
    else:
        with as_file(extract, name="extract") as path:
            name = path.name
            trained = pipeline.train(path, home=folder, setting=setting, say=messages, lists=_paths(lists))
    for sentence in contract_sentences(trained.checked, source=name):
        messages(sentence)
    return TrainingResult.of(trained, folder, messages.all)


def audit(
    extract: "TableInput | SparkFrame",
    *,
    out: PathInput,
    model: str | int | None = None,
    scores: TableInput | None = None,
    home: PathInput | None = None,
    policy: PathInput | None = None,
    previous: PathInput | None = None,
    extras: frozenset[str] | set[str] = frozenset(),
    mapping: PathInput | None = None,
    config: PathInput | TrainingConfig | None = None,
    files: Mapping[str, PathInput] | None = None,
    key_file: PathInput | None = None,
    say: Say | None = None,
) -> AuditReport:
    """Compare how well patients of different groups are reached: `dnapredict audit`.

    A failed gate is no error here: see `AuditReport.verdict`. `dnapredict.promote` refuses such a version.

    Parameters
    ----------
    out
        Folder for the report.
    model
        Version or alias in the registry; or else
    scores
        any product's scores, a path or a table with `appointment_id` and `probability`.
    policy
        TOML like fairness/policy.toml, which is the default.
    previous
        Folder of the last report; otherwise the last audit that the home holds.
    extras
        More outputs: "monthly", "easy-read", "study", "pdf".
    extract, home, mapping, config, files, key_file, say
        As for `train`. A data frame of Spark is checked and scored by its cluster, and needs `model`.

    Raises
    ------
    DataError, ConfigurationError, UsageError, ModelError, StoreError
        As the command, with the same message.
    """
    if (model is None) == (scores is None):
        raise UsageError("Give either model= or scores=.")
    setting, messages, folder = _setting(mapping, config, files, key_file), _Messages(say), Path(out)
    shared: dict[str, Any] = {
        "out": folder,
        "setting": setting,
        "policy": load(_path(policy) or shipped("fairness/policy.toml"), Policy),
        "home": home_folder(_path(home)),
        "previous": _path(previous),
        "extras": frozenset(extras),
        "say": messages,
    }
    inputs = {"mapping": _path(mapping), "policy": _path(policy)}
    if is_spark_frame(extract):
        if model is None:
            raise UsageError("scores= are joined to an extract on one machine: give model=, or extract.toArrow().")
        _require_apart(setting, {"out": folder}, inputs)
        result = pipeline.audit_on_spark(cast("SparkFrame", extract), model=str(model), **shared)
    else:
        version = None if model is None else str(model)
        with as_file(extract, name="extract") as path, _optional_file(scores, name="scores") as scored:
            _require_apart(setting, {"out": folder}, {**inputs, "extract": path, "scores": scored})
            result = pipeline.audit(path, model=version, scores=scored, **shared)
    figures = json.loads((result.report.parent / "audit.json").read_text(encoding="utf-8"))
    return AuditReport.of(result, figures, messages.all)


def score(
    weekly_list: TableInput,
    *,
    out: PathInput | None = None,
    history: TableInput | None = None,
    model: str | int = "champion",
    capacity: int | None = None,
    home: PathInput | None = None,
    mapping: PathInput | None = None,
    files: Mapping[str, PathInput] | None = None,
    key_file: PathInput | None = None,
    say: Say | None = None,
) -> ScoreResult:
    """Rank a weekly list by risk, with reasons in words: `dnapredict score`.

    As with the command, only a version that `promote` put in use scores a list, and the list is then the one
    that the home's page shows.

    Parameters
    ----------
    weekly_list
        A path, or a table of pandas, Arrow or Polars.
    out
        Worklist to write (.csv, .xlsx, .parquet); without it the rows are only in the result.
    history
        Extract with past appointments; otherwise that of `dnapredict refresh`.
    model
        Version or alias in the registry.
    capacity
        Calls that can be made; otherwise as serving/worklist.toml says.
    home, mapping, files, key_file, say
        As for `train`.

    Raises
    ------
    DataError, ConfigurationError, UsageError, ModelError, GateFailedError, StoreError
        As the command, with the same message.
    """
    setting, messages, folder = _setting(mapping, None, files, key_file), _Messages(say), home_folder(_path(home))
    with (
        as_file(weekly_list, name="list") as path,
        _optional_file(history, name="history") as past,
        temporary_folder() as temporary,
    ):
        worklist = _path(out) or temporary / "worklist.parquet"
        inputs = {"list": path, "history": past, "mapping": _path(mapping)}
        _require_apart(setting, {"out": worklist}, inputs)
        scored = pipeline.score_list(
            path,
            out=worklist,
            home=folder,
            mapping=setting.mapping,
            history=past,
            model=str(model),
            capacity=capacity,
            say=messages,
            recorded=logged_contacts(folder, served_config().database),
        )
        rows = read_worklist(worklist)
    return ScoreResult.of(scored, rows, path=_path(out), messages=messages.all)


def score_on_spark(
    weekly_list: "PathInput | SparkFrame",
    *,
    out: "PathInput | WriteTable",
    history: "PathInput | SparkFrame | None" = None,
    model: str | int = "champion",
    capacity: int | None = None,
    risks_only: bool = False,
    home: PathInput | None = None,
    mapping: PathInput | None = None,
) -> "ScoredTable":
    """Risk, reasons, rank and call of every row of a list, by a cluster: `dnapredict score --engine spark`.

    The session that is active is used, and its settings are left as they were. No row comes to this process.

    Parameters
    ----------
    weekly_list, history
        A data frame of Spark, a table of the catalogue, a Parquet file or a folder of them. `history` holds past
        appointments.
    out
        Folder of Parquet files to write, or a function that gets the scored rows as a data frame and writes them, such
        as `lambda rows: rows.write.mode("overwrite").saveAsTable(NAME)`. The data frame can be read only until the
        function returns.
    risks_only
        Whether to leave out the plan of calls: for a home that knows of calls or opt-outs, which executors cannot read.
    model, capacity, home, mapping
        As for `score`.

    Raises
    ------
    DataError, ConfigurationError, UsageError, ModelError, GateFailedError, StoreError
        As the command, with the same message.
    """
    from dnapredict.pipeline.on_spark import spark_verbs

    setting, folder = _setting(mapping, None, None, None), home_folder(_path(home))
    frames: list[Any] = [
        table if table is None or is_spark_frame(table) else str(table) for table in (weekly_list, history)
    ]
    return spark_verbs.score_on_spark(
        frames[0],
        out if callable(out) else str(out),
        home=folder,
        mapping=setting.mapping,
        history=frames[1],
        model=str(model),
        capacity=capacity,
        risks_only=risks_only,
        recorded=logged_contacts(folder, served_config().database),
    )


def simulate(
    out: PathInput, *, appointments: int = _DEFAULT_APPOINTMENTS, seed: int = 1, world: str = "standard"
) -> simulation.Simulated:
    """Make up the appointments of a synthetic care board, in which nobody is real: `dnapredict simulate`.

    Parameters
    ----------
    out
        Parquet file to write.
    seed
        The same seed gives the same file.
    world
        What is true of the patients; see docs/synthetic-icb.md.

    Raises
    ------
    UsageError, StoreError
        As the command, with the same message.
    """
    return simulation.simulate(Path(out), appointments=appointments, seed=seed, world=World.parse(world))


def _refuse_lists(lists: Sequence[PathInput]) -> None:
    if lists:
        raise UsageError("lists= are files of this machine, which a cluster cannot compare: leave them out.")


def _path(path: PathInput | None) -> Path | None:
    return None if path is None else Path(path)


def _paths(paths: Sequence[PathInput]) -> tuple[Path, ...]:
    return tuple(map(Path, paths))


@contextlib.contextmanager
def _optional_file(table: TableInput | None, *, name: str) -> Iterator[Path | None]:
    if table is None:
        yield None
        return
    with as_file(table, name=name) as path:
        yield path


def _setting(
    mapping: PathInput | None,
    config: PathInput | TrainingConfig | None,
    files: Mapping[str, PathInput] | None,
    key_file: PathInput | None,
) -> Setting:
    if config is not None and not isinstance(config, TrainingConfig):
        config = load(Path(config), TrainingConfig)
    named = {name: Path(path) for name, path in (files or {}).items()}
    return Setting(load_mapping(_path(mapping), files=named, key_file=_path(key_file)), config)


def _require_apart(setting: Setting, outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]) -> None:
    joined = {f"the file '{name}' of the mapping": path for name, path in setting.mapping.files_read.items()}
    require_apart(outputs, {**inputs, **joined})

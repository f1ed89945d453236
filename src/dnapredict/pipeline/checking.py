"""Check an extract against the data contract, and report on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.engine.portable_sql import SqlEngine
from dnapredict.data.engine.spark_engine import spark_engine
from dnapredict.data.readers.frames import SYNTHETIC_KEY
from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.data.validation.checked import NOTHING_REJECTED, Checked, CheckedExtract, Rejection, require_sound
from dnapredict.data.validation.spark_check import check_on_spark as validated_on_spark
from dnapredict.pipeline.run_inputs import checked_extract, checked_lists, contract_sentences
from dnapredict.quality.check_report import report_of, require_free, write_report
from dnapredict.quality.label_checks import extract_label_faults, require_labels
from dnapredict.quality.published_figures import patient_number_sentences, unknown_value_sentences, word_sentences
from dnapredict.quality.quality_profile import source_words
from dnapredict.quality.report_figures import LabelFault, Report

if TYPE_CHECKING:
    from dnapredict.data.engine.spark_engine import SparkFrame


@dataclass(frozen=True)
class ExtractCheck:
    """How an extract compares with the contract.

    Attributes
    ----------
    checked
        Counts and rejected rows. Its `rows` live in the engine, which is closed: use only the counts and `rejections`.
    labels
        Faults of the outcomes, some of which stop a training.
    report
        The figures of the check report, small counts hidden; None where none was asked for.
    files
        The JSON file and the page that were written.
    rejected
        `row_number`, `appointment_id` and `rule` of each rejected row; empty for a check on Spark, whose rejected rows
        stay there.
    """

    checked: CheckedExtract
    setting: Setting
    source: str
    labels: tuple[LabelFault, ...] = ()
    report: Report | None = None
    files: tuple[Path, ...] = ()
    rejected: pa.Table = field(default_factory=lambda: NOTHING_REJECTED, repr=False)

    @property
    def rejections(self) -> tuple[Rejection, ...]:
        """Broken rules, most frequent first."""
        return self.checked.rejections

    def require(self) -> None:
        """Refuse an extract with more faulty rows than the configuration allows, or with outcomes that mislead.

        Raises
        ------
        DataError
        """
        limit = self.setting.training.max_rejected_share
        require_sound(self.checked, max_rejected_share=limit, source=self.source)
        require_labels(self.labels, source=self.source)


def check(
    path: Path,
    *,
    setting: Setting,
    say: Callable[[str], None],
    out: Path | None = None,
    with_report: bool = False,
    lists: Sequence[Path] = (),
) -> ExtractCheck:
    """Check the extract at `path`; faults are no error here, see `ExtractCheck.require`.

    Parameters
    ----------
    say
        Receives a sentence for each rule that rows break, each code that no code list has and each fault of the
        outcomes.
    out
        Where to write the report: JSON, and a page with the same name.
    with_report
        Whether the result holds the report's figures; they take another pass over the extract.
    lists
        Lists as they were before the appointments of the extract, with which its columns are compared.

    Raises
    ------
    UsageError
        If `out` is a folder or a file that is not such a report.
    DataError, ConfigurationError
        If the extract or its mapping cannot be read.
    StoreError
        If the report cannot be written.
    """
    if out is not None:
        require_free(out)
    with Workspace() as workspace:
        checked = checked_extract(path, workspace, mapping=setting.mapping, say=say)
        earlier = checked_lists(lists, workspace, mapping=setting.mapping)
        source = _ExtractFacts(path.name, is_synthetic(path))
        labels, report = _judged(
            checked,
            workspace,
            source,
            setting=setting,
            say=say,
            lists=earlier,
            with_report=with_report or out is not None,
        )
    files = write_report(report, out) if out is not None and report is not None else ()
    return ExtractCheck(checked, setting, path.name, labels, report, files, checked.rejected)


def check_on_spark(
    source: "str | SparkFrame",
    *,
    setting: Setting,
    say: Callable[[str], None],
    out: Path | None = None,
    with_report: bool = False,
) -> ExtractCheck:
    """Check an extract on Apache Spark, as `check` does; only counts come to this process.

    Parameters
    ----------
    source
        A Parquet file, a folder of them, a table of the catalogue, or a data frame.
    say, out, with_report
        As for `check`.

    Raises
    ------
    UsageError, DataError, ConfigurationError, StoreError
        As `check`; also if Spark, Java or a package is missing, or Spark stops.
    """
    # It loads what scores: three seconds that a check on one machine must not take.
    from dnapredict.pipeline.on_spark.spark_verbs import rows_on_spark, source_name

    if out is not None:
        require_free(out)
    with spark_engine() as engine:
        rows = rows_on_spark(engine, source)
        name = source_name(source, "extract")
        checked = validated_on_spark(rows, engine, mapping=setting.mapping, source=name)
        facts = _ExtractFacts(name, engine.every_file_says(rows, SYNTHETIC_KEY, "true"))
        labels, report = _judged(
            checked, engine, facts, setting=setting, say=say, with_report=with_report or out is not None
        )
    files = write_report(report, out) if out is not None and report is not None else ()
    return ExtractCheck(checked, setting, name, labels, report, files)


@dataclass(frozen=True)
class _ExtractFacts:
    """The name of an extract, and whether its patients are made up."""

    name: str
    synthetic: bool


def _judged(
    checked: CheckedExtract,
    engine: SqlEngine,
    source: _ExtractFacts,
    *,
    setting: Setting,
    say: Callable[[str], None],
    with_report: bool,
    lists: Sequence[Checked] = (),
) -> tuple[tuple[LabelFault, ...], Report | None]:
    """Faults of the outcomes, and the report if it is wanted, from counts that `engine` makes."""
    for sentence in contract_sentences(checked, source=source.name):
        say(sentence)
    rule = load(shipped("fairness/policy.toml"), Policy).disclosure
    for sentence in unknown_value_sentences(checked, engine, rule=rule):
        say(f"  {sentence}")
    for sentence in patient_number_sentences(checked, engine, rule=rule):
        say(f"  {sentence}")
    words = source_words(checked, engine)
    for sentence in word_sentences(words, rule=rule):
        say(f"  {sentence}")
    labels = extract_label_faults(checked, engine, synthetic=source.synthetic, setting=setting, lists=lists)
    for fault in labels:
        say(f"  {fault.found} {fault.action}")
    if not with_report:
        return labels, None
    return labels, report_of(
        checked,
        engine,
        extract=source.name,
        synthetic=source.synthetic,
        setting=setting,
        labels=labels,
        words=words,
    )

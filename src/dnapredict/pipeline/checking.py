"""Check an extract against the data contract, and report on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from dnapredict.config.fairness_policy import Policy
from dnapredict.config.loading import load, shipped
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.validation.checked import Checked, Rejection
from dnapredict.pipeline.run_inputs import checked_extract, checked_lists, contract_sentences
from dnapredict.quality.check_report import report_of, require_free, write_report
from dnapredict.quality.label_checks import extract_label_faults, require_labels
from dnapredict.quality.published_figures import patient_number_sentences, unknown_value_sentences, word_sentences
from dnapredict.quality.quality_profile import source_words
from dnapredict.quality.report_figures import LabelFault, Report


@dataclass(frozen=True)
class ExtractCheck:
    """How an extract compares with the contract.

    Attributes
    ----------
    checked
        Counts and rejected rows. Its `rows` live in the engine, which is closed: use only the counts,
        `rejected` and `rejections`.
    labels
        Faults of the outcomes, some of which stop a training.
    report
        The figures of the check report, small counts hidden; None where none was asked for.
    files
        The JSON file and the page that were written.
    """

    checked: Checked
    setting: Setting
    source: str
    labels: tuple[LabelFault, ...] = ()
    report: Report | None = None
    files: tuple[Path, ...] = ()

    @property
    def rejected(self) -> pa.Table:
        """`row_number`, `appointment_id` and `rule` of each rejected row."""
        return self.checked.rejected

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
        self.checked.require(max_rejected_share=self.setting.training.max_rejected_share, source=self.source)
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
        for sentence in contract_sentences(checked, source=path.name):
            say(sentence)
        rule = load(shipped("fairness/policy.toml"), Policy).disclosure
        for sentence in unknown_value_sentences(checked, workspace, rule=rule):
            say(f"  {sentence}")
        for sentence in patient_number_sentences(checked, workspace, rule=rule):
            say(f"  {sentence}")
        words = source_words(checked, workspace)
        for sentence in word_sentences(words, rule=rule):
            say(f"  {sentence}")
        earlier = checked_lists(lists, workspace, mapping=setting.mapping)
        labels = extract_label_faults(checked, workspace, extract=path, setting=setting, lists=earlier)
        for fault in labels:
            say(f"  {fault.found} {fault.action}")
        report: Report | None = None
        if with_report or out is not None:
            report = report_of(checked, workspace, extract=path, setting=setting, labels=labels, words=words)
    files = write_report(report, out) if out is not None and report is not None else ()
    return ExtractCheck(checked, setting, path.name, labels, report, files)

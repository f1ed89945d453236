"""The verb that brings outcomes back to what was scored."""

import json
import sys
from typing import TYPE_CHECKING

import typer

from dnapredict.cli.messages import say_rejections
from dnapredict.cli.options import (
    HOME,
    AsJson,
    ComputeEngine,
    ConfigFile,
    EngineName,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    home_option,
    setting_of,
)

if TYPE_CHECKING:
    from dnapredict.data.validation.checked import CheckedExtract


def outcomes(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Join outcomes to what was scored and called.

    Joins EXTRACT to the lists that were scored in this home and to the calls that were recorded, and writes the outcome
    store: one row an appointment, with keyed hashes in place of its patient. Training and audits read from it who was
    called. 'dnapredict refresh' does the same; run this weekly where the history is not refreshed. Extracts may come in
    any order and more than once.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue, which the executors
    check; the store is the same. The home must be on a disk that they have too.

    Example:  dnapredict outcomes outpatients-week-47.parquet
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.logged_contacts import logged_contacts

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    folder, served = home_option(home), served_config()
    records = logged_contacts(folder, served.database)
    checked: CheckedExtract
    if engine is EngineName.SPARK:
        from dnapredict.pipeline.on_spark.spark_refresh import outcomes_on_spark

        summary, checked = outcomes_on_spark(
            str(extract), home=folder, setting=setting, records=records, retention=served.retention
        )
    else:
        from dnapredict.pipeline.in_use.outcome_linkage import outcomes as bring_outcomes_back

        summary, checked = bring_outcomes_back(
            extract, home=folder, setting=setting, records=records, retention=served.retention
        )
    say_rejections(extract, checked)
    if as_json:
        sys.stdout.write(json.dumps(summary.as_dict()) + "\n")
        return
    for sentence in summary.sentences():
        typer.echo(sentence)

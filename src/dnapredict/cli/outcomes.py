"""The verb that brings outcomes back to what was scored."""

import json
import sys

import typer

from dnapredict.cli.messages import say_rejections
from dnapredict.cli.options import (
    HOME,
    AsJson,
    ConfigFile,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    home_option,
    setting_of,
)


def outcomes(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Join outcomes to what was scored and called.

    Joins EXTRACT to the lists that were scored in this home and to the calls that were recorded, and writes the outcome
    store: one row an appointment, with keyed hashes in place of its patient. Training and audits read from it who was
    called. 'dnapredict refresh' does the same; run this weekly where the history is not refreshed. Extracts may come in
    any order and more than once.

    Example:  dnapredict outcomes outpatients-week-47.parquet
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.pipeline.in_use.outcome_linkage import outcomes as bring_outcomes_back
    from dnapredict.service.logged_contacts import logged_contacts

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    folder, served = home_option(home), served_config()
    records = logged_contacts(folder, served.database)
    summary, checked = bring_outcomes_back(
        extract, home=folder, setting=setting, records=records, retention=served.retention
    )
    say_rejections(extract, checked)
    if as_json:
        sys.stdout.write(json.dumps(summary.as_dict()) + "\n")
        return
    for sentence in summary.sentences():
        typer.echo(sentence)

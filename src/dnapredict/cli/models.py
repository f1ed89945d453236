"""Verbs about models: train, compare, promote, roll back; and refresh the attendance history."""

import json
import sys
from typing import Annotated

import typer

from dnapredict.cli.messages import say, say_rejections, tuning_bar
from dnapredict.cli.options import (
    HOME,
    AsJson,
    ConfigFile,
    EarlierLists,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    home_option,
    setting_of,
)


def train(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    lists: EarlierLists = None,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Train a model on earlier appointments and test it on later ones.

    The model is registered as challenger. Doubtful outcomes are named, and it exits 10 if they cannot be trained on.

    Example:  dnapredict train outpatients.parquet --json
    """
    from dnapredict import pipeline
    from dnapredict.cli.summaries import training_lines
    from dnapredict.public_api.results import TrainingResult

    folder = home_option(home)
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    with tuning_bar() as watch:
        trained = pipeline.train(extract, home=folder, setting=setting, say=say, watch=watch, lists=tuple(lists or ()))
    say_rejections(extract, trained.checked)
    if as_json:
        sys.stdout.write(json.dumps(TrainingResult.of(trained, folder).as_dict()) + "\n")
        return
    for line in training_lines(trained):
        typer.echo(line)


def compare(
    one: Annotated[str, typer.Argument(help="A version, or champion, or challenger.")],
    other: Annotated[str, typer.Argument(help="The version to compare it with.")],
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Compare two versions on the same test appointments.

    Uses the appointments that both were tested on. Prints the differences ONE minus OTHER with 95% bootstrap
    intervals, resampled by patient; a log loss below 0 means that ONE is better. The comparison is stored as an
    MLflow run.

    Example:  dnapredict compare challenger champion
    """
    from dnapredict.cli.summaries import comparison_json, comparison_lines
    from dnapredict.registry import Registry

    registry = Registry(home_option(home))
    names = registry.version_of(one), registry.version_of(other)
    compared = registry.compare(*names)
    if as_json:
        sys.stdout.write(json.dumps(comparison_json(compared, versions=names)) + "\n")
        return
    for line in comparison_lines(compared, versions=names):
        typer.echo(line)


def promote(
    version: Annotated[str, typer.Argument(help="Version in the registry.")],
    home: Home = HOME,
) -> None:
    """Make a version the champion, with which lists are scored.

    Refuses a version that was never audited, one that a reviewer rejected, one whose audit failed, and one whose
    report is not signed: every verdict but PASS needs a signature (dnapredict sign), a failed audit one with
    conditions, or an audit of at least the same appointments that does not fail. Only a promoted version scores
    lists; setting an alias in MLflow is not enough.

    Example:  dnapredict promote 7
    """
    from dnapredict.registry import Registry

    registry = Registry(home_option(home))
    promoted = registry.promote(version)
    tags = registry.tags(promoted)
    typer.echo(f"Version {promoted} is the champion (audit: {tags.get('audit_verdict', '')}).")
    if tags.get("signed_decision"):
        until = f" until {tags['signed_until']}" if tags.get("signed_until") else ""
        say(f"Signed by {tags['signed_by']}, {tags['signed_role']}: {tags['signed_decision']}{until}.")


def rollback(
    signed_by: Annotated[str, typer.Option(help="Name of the person who decides; it is recorded.")],
    why: Annotated[str, typer.Option(help="The reason; it is recorded.")],
    home: Home = HOME,
) -> None:
    """Make the previous champion the champion again.

    A running service switches to it by itself; lists scored from now on name the version.

    Example:  dnapredict rollback --signed-by "A. Okafor" --why "Risks too high since the move to video"
    """
    from dnapredict.errors import UsageError
    from dnapredict.registry import Registry

    if not signed_by.strip() or not why.strip():
        raise UsageError("Say who decides and why: --signed-by NAME --why REASON. Both are recorded.")
    version = Registry(home_option(home)).rollback(signed_by=signed_by.strip(), why=why.strip())
    typer.echo(f"Version {version} is the champion again.")


def refresh(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    append: Annotated[
        bool, typer.Option("--append", help="Add EXTRACT to the history instead of replacing the history.")
    ] = False,
    home: Home = HOME,
) -> None:
    """Store EXTRACT as the history that lists are scored with.

    Run it weekly with the newest extract; a running service switches to it by itself.

    With --append, EXTRACT needs to hold only what is new. Appointments that the history lacks are added; one
    without an outcome is given the outcome that EXTRACT holds; one that has not changed is skipped. If anything
    else of an appointment has changed, nothing is written (exit code 10): give the whole extract, without --append.

    Example:  dnapredict refresh outpatients.parquet

    Example:  dnapredict refresh --append outpatients-week-47.parquet
    """
    from dnapredict import pipeline

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    checked = pipeline.refresh(extract, home=home_option(home), setting=setting, append=append, say=typer.echo)
    say_rejections(extract, checked)

"""Verbs about models: train one, compare two, choose the champion, keep the history it is asked with."""

import json
import sys
from typing import Annotated

import typer

from dnapredict.cli.messages import say, tell_rejections
from dnapredict.cli.options import (
    HOME,
    AsJson,
    ConfigFile,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    absolute,
    setting_of,
)
from dnapredict.cli.progress import tuning_bar


def train(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Train a model on the past, and test it on what came after.

    It is registered as challenger.

    Example:  dnapredict train outpatients.parquet --json
    """
    from dnapredict import pipeline
    from dnapredict.cli.summaries import training_json, training_lines

    place = absolute(home)
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    with tuning_bar() as watch:
        trained = pipeline.train(extract, home=place, setting=setting, say=say, watch=watch)
    tell_rejections(extract, trained.checked)
    if as_json:
        sys.stdout.write(json.dumps(training_json(trained)) + "\n")
        return
    for line in training_lines(trained):
        typer.echo(line)


def compare(
    one: Annotated[str, typer.Argument(help="A version, or champion, or challenger.")],
    other: Annotated[str, typer.Argument(help="What it is held against.")],
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Hold two versions against each other on the same appointments.

    ONE against OTHER, on the appointments that both were tested on.

    Differences are paired, with 95% intervals, patients drawn again; below 0 in log loss means that
    ONE is better. They are kept as a run of their own.

    Example:  dnapredict compare challenger champion
    """
    from dnapredict.cli.summaries import comparison_json, comparison_lines
    from dnapredict.registry import Registry

    registry = Registry(absolute(home))
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
    """Make a version the champion that lists are scored with.

    Refuses a version that was never audited, one that a reviewer rejected, and one whose audit failed
    unless its report is signed with conditions (dnapredict sign). Another audit of the same model does
    not change that. Lists are scored with no version that was not promoted; an alias that was set in
    MLflow puts none in use.

    Example:  dnapredict promote 7
    """
    from dnapredict.registry import Registry

    registry = Registry(absolute(home))
    promoted = registry.promote(version)
    known = registry.tags(promoted)
    typer.echo(f"Version {promoted} is the champion (audit: {known.get('audit_verdict', '')}).")
    if known.get("signed_decision"):
        say(f"Signed by {known['signed_by']}, {known['signed_role']}: {known['signed_decision']}.")
    elif known.get("audit_verdict") != "PASS":
        say(
            "Not every gate passed: the report names the group whose figures a reviewer still has to judge "
            "and sign for (dnapredict sign)."
        )


def rollback(
    signed_by: Annotated[str, typer.Option(help="Who decides it: a name that goes on record.")],
    why: Annotated[str, typer.Option(help="The reason that goes on record with the name.")],
    home: Home = HOME,
) -> None:
    """Make the version that was champion before the champion again.

    A service that is running takes it up by itself; lists scored from now on name the version.

    Example:  dnapredict rollback --signed-by "A. Okafor" --why "Risks too high since the move to video"
    """
    from dnapredict.errors import UsageError
    from dnapredict.registry import Registry

    if not signed_by.strip() or not why.strip():
        raise UsageError("Say who goes back and why: --signed-by NAME --why REASON. Both go on record.")
    version = Registry(absolute(home)).rollback(signed_by=signed_by.strip(), why=why.strip())
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
    """Make EXTRACT the history that lists are scored with.

    Run it weekly with the newest extract; a service that is running takes it up by itself.

    With --append, EXTRACT needs to hold only what is new. Appointments that the history lacks are added; one
    without an outcome is given the outcome that EXTRACT holds; one that has not changed is skipped. If anything
    else of an appointment has changed, nothing is written (exit code 10): give the whole extract, without --append.

    Example:  dnapredict refresh outpatients.parquet

    Example:  dnapredict refresh --append outpatients-week-47.parquet
    """
    from dnapredict import pipeline

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    checked = pipeline.refresh(extract, home=absolute(home), setting=setting, append=append, tell=typer.echo)
    tell_rejections(extract, checked)

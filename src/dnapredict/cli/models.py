"""Verbs about models and what they score: train, compare, promote, roll back, refresh the history, score a list."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnapredict.cli.messages import (
    comparison_json,
    comparison_lines,
    live_lines,
    say,
    say_rejections,
    training_lines,
    versions_json,
    versions_lines,
)
from dnapredict.cli.options import (
    HOME,
    AsJson,
    ComputeEngine,
    ConfigFile,
    EarlierLists,
    EngineName,
    Extract,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    home_option,
    require_apart,
    setting_of,
)
from dnapredict.cli.progress_bar import show_rows, show_tuning
from dnapredict.errors import DataError, ModelError, UsageError

if TYPE_CHECKING:
    from dnapredict.config.mapping_config import Mapping
    from dnapredict.data.validation.checked import CheckedExtract
    from dnapredict.model.evaluate.metric_intervals import ModelComparison
    from dnapredict.pipeline.scoring import ScoredList


def train(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    lists: EarlierLists = None,
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
    as_json: AsJson = False,
) -> None:
    """Train a model on past appointments, test it on later ones.

    The model is registered as challenger. Doubtful outcomes are named, and it exits 10 if they cannot be trained on.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue. The executors check it
    and make the factors, and this machine trains on them: the model is the same. The home must be on a disk that the
    executors have too.

    Example:  dnapredict train outpatients.parquet --json
    """
    from dnapredict.pipeline import train as train_model
    from dnapredict.pipeline import train_on_spark
    from dnapredict.public_api.results import TrainingResult

    folder = home_option(home)
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    if engine is EngineName.SPARK and lists:
        raise UsageError("--list compares files of this machine with the extract: leave out --engine spark.")
    if engine is EngineName.SPARK:
        trained = train_on_spark(str(extract), home=folder, setting=setting, say=say, watch=show_tuning)
    else:
        trained = train_model(
            extract, home=folder, setting=setting, say=say, watch=show_tuning, lists=tuple(lists or ())
        )
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
    """Compare two versions on the same appointments.

    Uses the appointments that both were tested on, and says where one knew more than the other about them. Where the
    one was the champion and the other the challenger, both scored the same lists: those of which 'outcomes' knows what
    became of them are compared too. Prints the differences ONE minus OTHER with 95% bootstrap
    intervals, resampled by patient; a log loss below 0 means that ONE is better. The comparison is stored as an
    MLflow run.

    Example:  dnapredict compare challenger champion
    """
    from dnapredict.pipeline.comparison.live_comparison import compare_live, unequal_knowledge
    from dnapredict.registry import Registry

    registry = Registry(home_option(home))
    names = registry.version_of(one), registry.version_of(other)
    live, knowledge = compare_live(registry.home, *names), unequal_knowledge(registry, *names)
    compared: ModelComparison | None = None
    try:
        compared = registry.compare(*names)
    except (DataError, ModelError) as error:  # the tests of two trainings may have nothing in common
        if live is None:
            raise
        say(str(error))
    if as_json:
        figures: dict[str, Any] = {"versions": list(names), "verdict": None, "populations": {}}
        figures |= {} if compared is None else comparison_json(compared, versions=names)
        figures["knowledge"] = list(knowledge)
        figures["live"] = None if live is None else comparison_json(live, versions=names)
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    tested = () if compared is None else comparison_lines(compared, versions=names)
    for line in (*tested, *knowledge, *live_lines(live, versions=names)):
        typer.echo(line)


def versions(home: Home = HOME, as_json: AsJson = False) -> None:
    """List the models of this home, with what was decided on each.

    Prints alias, verdict and day of the last audit, the signature on it, the figures of the test, the last monitor run
    and trial report, and which version is in use. That is the ledger's word: an alias that was set in MLflow puts no
    version in use.

    Example:  dnapredict versions
    """
    from dnapredict.monitoring.monitor_state import read_state
    from dnapredict.pipeline.in_use.trial_state import last_reported
    from dnapredict.registry import Registry

    folder = home_option(home)
    summaries, monitor, trial = Registry(folder).versions(), read_state(folder), last_reported(folder)
    if as_json:
        sys.stdout.write(json.dumps({"versions": versions_json(summaries, monitor=monitor, trial=trial)}) + "\n")
        return
    for line in versions_lines(summaries, monitor=monitor, trial=trial):
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
    engine: ComputeEngine = EngineName.DUCKDB,
    home: Home = HOME,
) -> None:
    """Store EXTRACT as the history that lists are scored with.

    Run it weekly with the newest extract; a running service switches to it by itself.

    With --append, EXTRACT needs to hold only what is new. Appointments that the history lacks are added; one
    without an outcome is given the outcome that EXTRACT holds; one that has not changed is skipped. If anything
    else of an appointment has changed, nothing is written (exit code 10): give the whole extract, without --append.

    Where lists were scored in this home, the outcomes of their appointments are brought back too, as 'dnapredict
    outcomes' does.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue; the executors check
    and count it, and the history is the same. The home must be on a disk that they have too.

    Example:  dnapredict refresh outpatients.parquet

    Example:  dnapredict refresh --append outpatients-week-47.parquet
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.logged_contacts import logged_contacts

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    folder, served = home_option(home), served_config()
    records = logged_contacts(folder, served.database)
    checked: CheckedExtract
    if engine is EngineName.SPARK:
        from dnapredict.pipeline.on_spark.spark_refresh import refresh_on_spark

        if append:
            raise UsageError("--append adds the rows of a week, which one machine holds: leave out --engine spark.")
        checked = refresh_on_spark(
            str(extract), home=folder, setting=setting, say=typer.echo, records=records, retention=served.retention
        )
    else:
        from dnapredict.pipeline.scoring import refresh as refresh_history

        checked = refresh_history(
            extract,
            home=folder,
            setting=setting,
            append=append,
            say=typer.echo,
            records=records,
            retention=served.retention,
        )
    say_rejections(extract, checked)


def cycle(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    retrain_days: Annotated[
        int,
        typer.Option(min=1, help="Days after the champion's last appointment on which a new version is trained."),
    ] = 90,
    home: Home = HOME,
) -> None:
    """Run the weekly routine, for a scheduler.

    Stores EXTRACT as the history, brings outcomes back, and watches the model in use. Where an alarm holds, the
    champion is older than --retrain-days, or there is none, it trains a challenger, compares and audits it. It never
    promotes. Made for a scheduler: a cycle that was stopped continues where it was, and one that is done is not run
    again. Exits 13 while an alarm holds or the audit failed, so that somebody looks.

    Example:  dnapredict cycle outpatients.parquet
    """
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped
    from dnapredict.config.service_config import served_config
    from dnapredict.errors import GateFailedError
    from dnapredict.pipeline.routine.cycle import run_cycle
    from dnapredict.service.logged_contacts import logged_contacts

    folder, served = home_option(home), served_config()
    done = run_cycle(
        extract,
        home=folder,
        setting=setting_of(mapping, config, files=files, key_file=key_file),
        policy=load(shipped("fairness/policy.toml"), Policy),
        say=say,
        records=logged_contacts(folder, served.database),
        retention=served.retention,
        retrain_days=retrain_days,
    )
    if done.was_done:
        say("This cycle was done before:")
        for step in done.steps:
            for sentence in step.words:
                say(sentence)
    typer.echo(f"The summary is {done.page}")
    if done.asks:
        raise GateFailedError("A decision is asked for: read the summary.")


def score(
    list_: Annotated[Path | None, typer.Argument(metavar="LIST", help="The weekly list: CSV, XLSX or Parquet.")] = None,
    out: Annotated[Path | None, typer.Option(help="Worklist to write: .csv, .xlsx or .parquet.")] = None,
    watch: Annotated[
        Path | None,
        typer.Option(help="Score each list that is put into this folder, until Ctrl-C, in place of one LIST."),
    ] = None,
    form: Annotated[str, typer.Option(help="With --watch, file type of the worklists: xlsx, csv or parquet.")] = "xlsx",
    history: Annotated[
        Path | None, typer.Option(help="Extract with past appointments; by default the one of 'refresh'.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A version that 'promote' put in use, and whose audit and decision are still in force.")
    ] = "champion",
    mapping: MappingFile = None,
    capacity: Annotated[
        int | None, typer.Option(help="Number of calls that can be made; by default as in serving/worklist.toml.")
    ] = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
    engine: ComputeEngine = EngineName.DUCKDB,
    risks_only: Annotated[
        bool, typer.Option("--risks-only", help="With --engine spark: risks and reasons without a plan of calls.")
    ] = False,
) -> None:
    """Rank a weekly list by risk, with reasons in words.

    The worklist holds every row of LIST once, in rank order. A run that was stopped continues where it was when it
    is run again.
    A worklist that somebody has changed since it was written is kept under another name, not overwritten.

    With --watch, a list that was scored is moved to DIR/done, with its worklist and a message; one that cannot be
    scored is moved to DIR/failed, with the reason.

    With --engine spark, LIST and --history are Parquet files, folders of them or tables of the catalogue, and --out is
    a folder of Parquet files with risk, reasons, rank and call of each row, in no order. The home does not record the
    planned calls; if it knows of calls or opt-outs, only --risks-only is possible.

    Example:  dnapredict score next-week.xlsx --out worklist.xlsx --capacity 60

    Example:  dnapredict score --watch /srv/lists
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.pipeline.comparison.challenger_scoring import score_with_challenger
    from dnapredict.pipeline.scoring import score_list
    from dnapredict.pipeline.watching import watch as watch_folder
    from dnapredict.service.logged_contacts import logged_contacts

    setting = setting_of(mapping, None, files=files, key_file=key_file)
    folder = home_option(home)
    if engine is EngineName.SPARK:
        if list_ is None or out is None or watch is not None or (risks_only and capacity is not None):
            raise UsageError(
                "--engine spark needs a LIST and --out, and takes no --watch. --risks-only makes no plan of calls, and "
                "takes no --capacity."
            )
        _score_on_spark(
            list_,
            out,
            home=folder,
            mapping=setting.mapping,
            history=history,
            model=model,
            capacity=capacity,
            risks_only=risks_only,
        )
        return
    if risks_only:
        raise UsageError("--risks-only is for --engine spark: here a list always has its plan of calls.")
    recorded = logged_contacts(folder, served_config().database)
    if watch == Path():  # also "", which a job passes if its variable is not set
        raise UsageError("--watch: name a folder for lists alone. Every file in it is treated as a list and moved.")
    if watch is not None:
        if list_ or out or history:
            raise UsageError("--watch DIR takes no LIST, --out or --history. Run 'dnapredict refresh' first.")
        with contextlib.suppress(KeyboardInterrupt):
            watch_folder(
                watch,
                home=folder,
                say=say,
                form=f".{form.lower().lstrip('.')}",
                mapping=setting.mapping,
                model=model,
                capacity=capacity,
                progress=show_rows,
                recorded=recorded,
                retention=served_config().retention,
            )
        say("Stopped. Lists that were not scored yet stay in the folder.")
        return
    if list_ is None or out is None:
        raise UsageError("Give a LIST and --out, or a folder with --watch.")
    inputs = {"LIST": list_, "--history": history, "--mapping": mapping}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    scored = score_list(
        list_,
        out=out,
        home=folder,
        mapping=setting.mapping,
        history=history,
        model=model,
        capacity=capacity,
        say=say,
        progress=show_rows,
        recorded=recorded,
    )
    typer.echo(f"{out}: {scored.counts.words} Scored by model version {scored.model_version}.")
    for line in _about_the_list(scored, out):
        say(line)
    if scored.identity is not None:
        score_with_challenger(
            list_,
            home=folder,
            identity=scored.identity,
            mapping=setting.mapping,
            history=history,
            recorded=recorded,
            say=say,
        )


def _about_the_list(scored: "ScoredList", out: Path) -> Iterator[str]:
    """What a person has to know of a scored list, and how its outcomes are recorded."""
    if scored.rejected:
        yield "Rows that could not be scored are last in the worklist, each with its error."
    if not scored.has_history:
        yield "No attendance history is kept here: patients counted as new. Run dnapredict refresh EXTRACT."
    if scored.unknown_factors:
        yield f"The list lacks columns for: {', '.join(scored.unknown_factors)}. They counted as not known."
    yield from scored.notices
    if scored.identity is not None and out.suffix.lower() == ".xlsx":
        # The workbook does not name its list itself, so that the same list gives the same bytes.
        yield f"Once it is filled in, record its outcomes: dnapredict log record {out} --list {scored.identity.list_id}"


def _score_on_spark(
    list_: Path,
    out: Path,
    *,
    home: Path,
    mapping: "Mapping",
    history: Path | None,
    model: str,
    capacity: int | None,
    risks_only: bool,
) -> None:
    """Score a table with Spark, and print how many rows it has."""
    from dnapredict.config.service_config import served_config
    from dnapredict.pipeline.on_spark.spark_verbs import score_on_spark
    from dnapredict.service.logged_contacts import logged_contacts

    table = score_on_spark(
        str(list_),
        str(out),
        home=home,
        mapping=mapping,
        history=None if history is None else str(history),
        model=model,
        capacity=capacity,
        risks_only=risks_only,
        recorded=logged_contacts(home, served_config().database),
    )
    errors = f"{table.rejected:,} with an error"
    typer.echo(f"{out}: {table.rows:,} rows, {errors}. Scored by model version {table.model_version}.")
    for notice in table.notices:
        say(notice)

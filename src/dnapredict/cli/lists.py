"""The verb `score`: score a weekly list, or each list that is put into a folder."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.messages import rows_bar, say
from dnapredict.cli.options import (
    HOME,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    home_option,
    require_apart,
    setting_of,
)
from dnapredict.errors import UsageError


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
) -> None:
    """Rank a weekly list by risk, with reasons in words.

    The worklist holds every row of LIST once, in rank order. A run that was stopped continues where it was when it
    is run again.
    A worklist that somebody has changed since it was written is kept under another name, not overwritten.

    With --watch, a list that was scored is moved to DIR/done, with its worklist and a message; one that cannot be
    scored is moved to DIR/failed, with the reason.

    Example:  dnapredict score next-week.xlsx --out worklist.xlsx --capacity 60

    Example:  dnapredict score --watch /srv/lists
    """
    from dnapredict import pipeline
    from dnapredict.service.logged_contacts import logged_contacts
    from dnapredict.service.start import served_config

    setting = setting_of(mapping, None, files=files, key_file=key_file)
    folder = home_option(home)
    recorded = logged_contacts(folder, served_config().database)
    if watch == Path():  # also "", which a job passes if its variable is not set
        raise UsageError("--watch: name a folder for lists alone. Every file in it is treated as a list and moved.")
    if watch is not None:
        if list_ or out or history:
            raise UsageError("--watch DIR takes no LIST, --out or --history. Run 'dnapredict refresh' first.")
        with rows_bar("Scoring") as progress, contextlib.suppress(KeyboardInterrupt):
            pipeline.watch(
                watch,
                home=folder,
                say=say,
                form=f".{form.lower().lstrip('.')}",
                mapping=setting.mapping,
                model=model,
                capacity=capacity,
                progress=progress,
                recorded=recorded,
            )
        say("Stopped. Lists that were not scored yet stay in the folder.")
        return
    if list_ is None or out is None:
        raise UsageError("Give a LIST and --out, or a folder with --watch.")
    inputs = {"LIST": list_, "--history": history, "--mapping": mapping}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    with rows_bar("Scoring") as progress:
        scored = pipeline.score_list(
            list_,
            out=out,
            home=folder,
            mapping=setting.mapping,
            history=history,
            model=model,
            capacity=capacity,
            say=say,
            progress=progress,
            recorded=recorded,
        )
    typer.echo(
        f"{out}: {scored.rows:,} rows, {scored.selected:,} to call, {scored.rejected:,} not scored "
        f"(see their 'error'). Model version {scored.model_version}."
    )
    if not scored.has_history:
        say("No attendance history is kept here: patients counted as new. Run dnapredict refresh EXTRACT.")
    if scored.unknown_factors:
        say(f"The list lacks columns for: {', '.join(scored.unknown_factors)}. They counted as not known.")
    for notice in scored.notices:
        say(notice)

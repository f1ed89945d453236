"""The verb about weekly lists: score one, or all that are dropped into a folder."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import (
    HOME,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    absolute,
    require_apart,
    setting_of,
)
from dnapredict.cli.progress import rows_bar
from dnapredict.errors import UsageError


def score(
    list_: Annotated[Path | None, typer.Argument(metavar="LIST", help="The weekly list: CSV, XLSX or Parquet.")] = None,
    out: Annotated[Path | None, typer.Option(help="Worklist to write: .csv, .xlsx or .parquet.")] = None,
    watch: Annotated[
        Path | None,
        typer.Option(help="Instead of one LIST, score all that are dropped into this folder, until Ctrl-C."),
    ] = None,
    form: Annotated[str, typer.Option(help="With --watch, form of the worklists: xlsx, csv, parquet.")] = "xlsx",
    history: Annotated[
        Path | None, typer.Option(help="Extract with past appointments; otherwise that of 'refresh'.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A version that 'promote' put in use, and whose audit and decision stand.")
    ] = "champion",
    mapping: MappingFile = None,
    capacity: Annotated[
        int | None, typer.Option(help="Calls that can be made; otherwise as serving/worklist.toml says.")
    ] = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
) -> None:
    """Rank a weekly list by risk, with reasons in words.

    Every row comes back once, in rank order. A run that was stopped or killed goes on where it was
    when it is run again.
    A worklist that somebody changed since it was written is kept under another name, not overwritten.

    With --watch a list that was scored moves to DIR/done, beside its worklist and a message, and one
    that cannot be moves to DIR/failed with the reason.

    Example:  dnapredict score next-week.xlsx --out worklist.xlsx --capacity 60

    Example:  dnapredict score --watch /srv/lists
    """
    from dnapredict import pipeline
    from dnapredict.service.logged_contacts import logged_contacts
    from dnapredict.service.start import served_config

    setting = setting_of(mapping, None, files=files, key_file=key_file)
    place = absolute(home)
    recorded = logged_contacts(place, served_config().database)
    if watch == Path():  # also "", as a job with an unset variable passes it
        raise UsageError("--watch: name a folder of its own. Every file in it is taken for a list and moved.")
    if watch is not None:
        if list_ or out or history:
            raise UsageError("--watch DIR takes no LIST, --out or --history. Run 'dnapredict refresh' first.")
        with rows_bar("Scoring") as progress, contextlib.suppress(KeyboardInterrupt):
            pipeline.watch(
                watch,
                home=place,
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
    read = {"LIST": list_, "--history": history, "--mapping": mapping}
    require_apart(setting, outputs={"--out": out}, inputs=read)
    with rows_bar("Scoring") as progress:
        done = pipeline.score_list(
            list_,
            out=out,
            home=place,
            mapping=setting.mapping,
            history=history,
            model=model,
            capacity=capacity,
            tell=say,
            progress=progress,
            recorded=recorded,
        )
    typer.echo(
        f"{out}: {done.rows:,} rows, {done.selected:,} to call, {done.rejected:,} not scored "
        f"(see their 'error'). Model version {done.model_version}."
    )
    if not done.has_history:
        say("No attendance history is kept here: patients counted as new. Run dnapredict refresh EXTRACT.")
    if done.unknown_factors:
        say(f"The list lacks columns for: {', '.join(done.unknown_factors)}. They counted as not known.")
    for notice in done.notices:
        say(notice)

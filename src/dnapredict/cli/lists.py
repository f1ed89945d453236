"""The verb about weekly lists: score one."""

from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.options import HOME, Home, JoinedFiles, KeyFile, MappingFile, absolute, setting_of
from dnapredict.cli.progress import rows_bar
from dnapredict.cli.telling import say

__all__ = ["score"]


def score(
    list_: Annotated[Path, typer.Argument(metavar="LIST", help="The weekly list: CSV, XLSX or Parquet.")],
    out: Annotated[Path, typer.Option(help="Worklist to write: .csv, .xlsx or .parquet.")],
    history: Annotated[
        Path | None, typer.Option(help="Extract with past appointments; otherwise that of 'refresh'.")
    ] = None,
    model: Annotated[str, typer.Option(help="Version or alias in the registry.")] = "champion",
    mapping: MappingFile = None,
    capacity: Annotated[
        int | None, typer.Option(help="Calls that can be made; otherwise as serving/worklist.toml says.")
    ] = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    home: Home = HOME,
) -> None:
    """Rank a weekly list by risk, with reasons in words.

    Every row comes back once, in rank order.

    Example:  dnapredict score next-week.xlsx --out worklist.xlsx --capacity 60
    """
    from dnapredict import pipeline

    place = absolute(home)
    with rows_bar("Scoring") as progress:
        done = pipeline.score_list(
            list_,
            out=out,
            home=place,
            mapping=setting_of(mapping, None, files=files, key_file=key_file).mapping,
            history=history,
            model=model,
            capacity=capacity,
            tell=say,
            progress=progress,
        )
    typer.echo(
        f"{out}: {done.rows:,} rows, {done.selected:,} to call, {done.rejected:,} not scored "
        f"(see their 'error'). Model version {done.model_version}."
    )
    if not done.has_history:
        say("No attendance history is kept here: patients counted as new. Run dnapredict refresh EXTRACT.")
    if done.unknown_factors:
        say(f"The list lacks columns for: {', '.join(done.unknown_factors)}. They counted as not known.")

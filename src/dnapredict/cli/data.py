"""Verbs about data: run the demo, simulate an extract, check one, list its factors, write them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnapredict.cli.messages import say
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
from dnapredict.errors import DataError, UsageError

if TYPE_CHECKING:
    from dnapredict.pipeline.rehearsal.demo_quarter import CallLog

_CLERK = "Demo Clerk (made up)"
_TEAM = "Demo team"
_MINUTES_OF_A_LINK = 1_440


def demo(
    home: Home = HOME,
    serve: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Serve the page afterwards; by default only in a terminal."),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page.", min=1, max=65_535)] = 3000,
) -> None:
    """Run every step on made-up patients; say where results are.

    The steps: simulate, check, train, audit, promote; a quarter of weekly lists with calls, outcomes and a randomised
    trial, on the days on which they would have been; trial report and monitor; a list of next week. At the end it
    prints a link that signs a made-up clerk in on the page, once.

    Example:  dnapredict demo
    """
    from dnapredict.pipeline.rehearsal import demo as demonstration

    folder = home_option(home)
    made = demonstration.run(folder, say=say, log=_log_of_the_demo(folder))
    is_typed = sys.stdin.isatty() and sys.stderr.isatty()
    serves = is_typed if serve is None else serve
    link = _link_of_the_demo(folder, minutes=_MINUTES_OF_A_LINK)
    say("")
    say(f"The worklist:   {made.worklist}")
    say(f"The audit:      {made.report}")
    say(f"The trial:      {made.trial}")
    say(f"                {made.trial_sentence}")
    say(f"The monitor:    {made.monitor}")
    say(f"                {made.monitor_sentence}")
    say(f"A list for it:  {made.to_upload}")
    say(f"The runs:       mlflow ui --backend-store-uri sqlite:///{folder / 'mlflow.db'}")
    if not serves:
        say(f"The page:       dnapredict serve --home {folder} --port {port}   then open the link")
    say(f"Your link:      http://127.0.0.1:{port}{link}")
    say("                It signs you in as a made-up clerk, once, within a day. Another: dnapredict keys link")
    if serves:
        from dnapredict.service.start import serve as start_service

        say("The page is served from here until Ctrl-C.")
        start_service(folder, host="127.0.0.1", port=port)


def _log_of_the_demo(home: Path) -> "CallLog":
    """The scoring log in the home, in which the demo records its made-up calls as filled worklists."""
    from dnapredict.pipeline.rehearsal.demo_quarter import CallLog
    from dnapredict.service.api.returned_outcomes import record_file
    from dnapredict.service.logged_contacts import logged_contacts

    def record(path: Path, list_id: str) -> None:
        attention = record_file(path, home=home, list_id=list_id).attention
        if attention:
            raise DataError(f"{path}: calls that could not be recorded: {len(attention):,}. {attention[0].fate.value}.")

    return CallLog(logged_contacts(home), record)


def _link_of_the_demo(home: Path, *, minutes: int) -> str:
    """The path of a link that signs in the demo's made-up clerk, whose key is made by the first demo."""
    from dnapredict.service.auth import api_keys, sign_in_links
    from dnapredict.service.auth.staff import StaffRole

    known = (key for key in api_keys.all_keys(home) if key.name == _CLERK and key.revoked_at is None)
    key = next(known, None) or api_keys.create_personal(home, name=_CLERK, team=_TEAM, role=StaffRole.TEAM_LEAD).key
    return sign_in_links.create(home, key.key_id, minutes=minutes)


def simulate(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    appointments: Annotated[int, typer.Option(help="Number of appointments.", min=1)] = 200_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.", min=0)] = 1,
    truth: Annotated[Path | None, typer.Option(help="Parquet file for each appointment's true risk.")] = None,
    world: Annotated[str, typer.Option(help="Scenario of the simulation; see docs/synthetic-icb.md.")] = "standard",
    lookup: Annotated[
        Path | None, typer.Option(help="CSV of real LSOAs with IMD deciles; otherwise a made-up map.")
    ] = None,
    upcoming: Annotated[
        bool,
        typer.Option("--upcoming", help="Move all dates, so that appointments without an outcome begin next week."),
    ] = False,
) -> None:
    """Simulate the appointments of a made-up care board.

    No patient in it is real. Its dates are the same whenever it is made; --upcoming moves them by whole weeks.

    Example:  dnapredict simulate synthetic.parquet --appointments 200000 --truth truth.parquet
    """
    from dnapredict.synthetic.moved_dates import move_extract, next_monday
    from dnapredict.synthetic.simulation import simulate as simulate_extract
    from dnapredict.synthetic.worlds import World
    from dnapredict.worklist.plan.working_days import local_today

    made = simulate_extract(
        out, appointments=appointments, seed=seed, truth=truth, world=World.parse(world), lookup=lookup
    )
    if upcoming:
        move_extract(out, monday=next_monday(local_today()))
    say(
        f"{out}: {made.appointments:,} synthetic appointments of {made.patients:,} synthetic patients "
        f"(seed {seed}, world {world}, {made.geography})."
    )


def check(
    extract: Extract,
    mapping: MappingFile = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a report: JSON to R.json, and a page to R.html in the same folder."),
    ] = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    lists: EarlierLists = None,
    engine: ComputeEngine = EngineName.DUCKDB,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print a draft mapping for EXTRACT instead of checking it.")
    ] = False,
) -> None:
    """Check an extract against the data contract; report on it.

    Lists the rows that break each rule, and what is doubtful about the outcomes. Exits 10 when more rows are faulty
    than training/config.toml allows, or when the outcomes cannot be trained on.
    No patient's value is printed. With --suggest, drafts the mapping for an extract with other columns or codes.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue, which the executors
    read; the figures are the same.

    Example:  dnapredict check outpatients.csv --mapping training/mappings/pas.toml --report check.json
    """
    if suggest:
        from dnapredict.data.mapping.suggestion import suggest as draft_mapping

        if engine is EngineName.SPARK:
            raise UsageError("--suggest reads the columns and words of one file: leave out --engine spark.")
        typer.echo(draft_mapping(extract), nl=False)
        return
    from dnapredict.pipeline import checking
    from dnapredict.quality.check_report import report_paths

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    outputs = (
        {} if report is None else {"--report": report_paths(report)[0], "The page of --report": report_paths(report)[1]}
    )
    earlier = {f"--list {path}": path for path in lists or ()}
    inputs = {"EXTRACT": extract, "--mapping": mapping, "--config": config, **earlier}
    require_apart(setting, outputs=outputs, inputs=inputs)
    if engine is EngineName.SPARK:
        if lists:
            raise UsageError("--list compares files of this machine with the extract: leave out --engine spark.")
        result = checking.check_on_spark(str(extract), setting=setting, say=say, out=report)
    else:
        result = checking.check(extract, setting=setting, say=say, out=report, lists=tuple(lists or ()))
    for path in result.files:
        say(f"{path}: written.")
    result.require()


def features(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Parquet file to write; with --engine spark a folder of them.")],
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    engine: ComputeEngine = EngineName.DUCKDB,
) -> None:
    """Write the agreed factors of every appointment in an extract.

    Each factor is computed from what was known when the appointment would have been scored.

    With --engine spark, EXTRACT is a Parquet file, a folder of them or a table of the catalogue, and OUT a folder of
    Parquet files; the executors read and write them.

    Example:  dnapredict features outpatients.parquet --out factors.parquet
    """
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    inputs = {"EXTRACT": extract, "--mapping": mapping, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=inputs)
    if engine is EngineName.SPARK:
        from dnapredict.pipeline.on_spark.spark_verbs import features_on_spark

        written = features_on_spark(str(extract), str(out), setting=setting)
        say(f"{out}: {written.rows:,} appointments, {len(written.factors)} agreed factors.")
        return
    from dnapredict import pipeline

    matrix = pipeline.features(extract, out, setting=setting)
    say(f"{out}: {matrix.table.num_rows:,} appointments, {len(matrix.factors)} agreed factors.")


def factors(
    extract: Annotated[Path | None, typer.Argument(help="Also show which factors EXTRACT has columns for.")] = None,
    mapping: MappingFile = None,
    files: JoinedFiles = None,
    as_json: AsJson = False,
) -> None:
    """Print the factors, and which of them an extract can supply.

    For each factor: its meaning, its columns, and why, by whom and when it was agreed; then the proposed and the
    withdrawn ones. Only the column names of EXTRACT are read.

    Example:  dnapredict factors outpatients.parquet
    """
    from dnapredict.features.factors import factor_register
    from dnapredict.pipeline.run_inputs import columns_fed
    from dnapredict.quality.factor_availability import register_json, register_lines

    present = None
    if extract is not None:
        present = columns_fed(extract, setting_of(mapping, None, files=files).mapping)
    register = factor_register()
    if as_json:
        typer.echo(json.dumps(register_json(register, present)))
        return
    for line in register_lines(register, present):
        typer.echo(line)

"""Verbs about data: make it up, hold it against the contract, turn it into factors."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.messages import say, tell_rejections
from dnapredict.cli.options import (
    AsJson,
    ConfigFile,
    Extract,
    JoinedFiles,
    KeyFile,
    MappingFile,
    require_apart,
    setting_of,
)
from dnapredict.errors import UsageError


def simulate(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    appointments: Annotated[int, typer.Option(help="Appointments to make up.", min=1)] = 200_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.", min=0)] = 1,
    truth: Annotated[Path | None, typer.Option(help="Parquet file for each appointment's true risk.")] = None,
    world: Annotated[str, typer.Option(help="What is true of the patients; see docs/synthetic-icb.md.")] = "standard",
    lookup: Annotated[
        Path | None, typer.Option(help="CSV of real LSOAs with IMD deciles; otherwise a made-up map.")
    ] = None,
) -> None:
    """Make up the appointments of a synthetic care board.

    Nobody in it is real.

    Example:  dnapredict simulate synthetic.parquet --appointments 200000 --truth truth.parquet
    """
    from dnapredict.synthetic.simulation import simulate as make
    from dnapredict.synthetic.worlds import World

    made = make(out, appointments=appointments, seed=seed, truth=truth, world=World.parse(world), lookup=lookup)
    say(
        f"{out}: {made.appointments:,} synthetic appointments of {made.patients:,} synthetic patients "
        f"(seed {seed}, world {world}, {made.geography})."
    )


def check(
    extract: Extract,
    mapping: MappingFile = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write what was found: JSON to R.json, and a page to read beside it, R.html."),
    ] = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print a draft of a mapping for EXTRACT, and check nothing.")
    ] = False,
) -> None:
    """Hold an extract against the data contract, and report on it.

    Says which rows break which rule, and exits 10 when more rows break one than training/config.toml
    allows. No patient's value is printed. With --suggest, drafts the mapping that a foreign extract needs.

    Example:  dnapredict check outpatients.csv --mapping training/mappings/pas.toml --report check.json
    """
    if suggest:
        from dnapredict.data.mapping.suggestion import suggest as draft_of

        typer.echo(draft_of(extract), nl=False)
        return
    from dnapredict.config.fairness_policy import Policy
    from dnapredict.config.loading import load, shipped
    from dnapredict.data.engine.duckdb_engine import Workspace
    from dnapredict.pipeline.run_inputs import checked_extract
    from dnapredict.quality.check_report import report_paths, require_free, write
    from dnapredict.quality.unknown_values import unknown_value_sentences

    setting = setting_of(mapping, config, files=files, key_file=key_file)
    outputs = (
        {} if report is None else {"--report": report_paths(report)[0], "The page of --report": report_paths(report)[1]}
    )
    require_apart(setting, outputs=outputs, inputs={"EXTRACT": extract, "--mapping": mapping, "--config": config})
    if report is not None:
        require_free(report)
    with Workspace() as workspace:
        checked = checked_extract(extract, workspace, mapping=setting.mapping, tell=say)
        tell_rejections(extract, checked)
        rule = load(shipped("fairness/policy.toml"), Policy).disclosure
        for sentence in unknown_value_sentences(checked, workspace, rule=rule):
            say(f"  {sentence}")
        if report is not None:
            for written in write(checked, workspace, report, extract=extract, setting=setting):
                say(f"{written}: written.")
    checked.require(max_rejected_share=setting.training.max_rejected_share, source=extract.name)


def features(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    mapping: MappingFile = None,
    config: ConfigFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    engine: Annotated[
        str, typer.Option(help="duckdb, or spark for what one machine cannot hold (extra 'spark', Java 17).")
    ] = "duckdb",
) -> None:
    """Write the agreed factors of every appointment in an extract.

    Each as known when the appointment would have been scored.

    Example:  dnapredict features outpatients.parquet --out factors.parquet
    """
    from dnapredict import pipeline

    if engine not in list(pipeline.FeatureEngine):
        raise UsageError(f"There is no engine '{engine}'. Engines: {', '.join(pipeline.FeatureEngine)}.")
    setting = setting_of(mapping, config, files=files, key_file=key_file)
    read = {"EXTRACT": extract, "--mapping": mapping, "--config": config}
    require_apart(setting, outputs={"--out": out}, inputs=read)
    matrix = pipeline.features(
        extract,
        out,
        setting=setting,
        engine=pipeline.FeatureEngine(engine),
    )
    say(f"{out}: {matrix.table.num_rows:,} appointments, {len(matrix.factors)} agreed factors.")


def factors(
    extract: Annotated[Path | None, typer.Argument(help="An extract, to hear which factors it can feed.")] = None,
    mapping: MappingFile = None,
    files: JoinedFiles = None,
    as_json: AsJson = False,
) -> None:
    """Print the register of factors, and which an extract can feed.

    What each is, why, by whom and when it was agreed, and from which columns; then those that are
    proposed, and those that were withdrawn. Only the columns of EXTRACT are read.

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

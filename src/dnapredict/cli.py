"""The command line: one verb for each thing a person wants done.

Heavy libraries load inside the verbs, so that `--help` answers at once. What a person asked for
goes to standard output, everything else to standard error.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from dnapredict.errors import DnapredictError, GateFailedError, UsageError

if TYPE_CHECKING:
    from dnapredict.config.setting import Setting
    from dnapredict.data.contract import Checked

__all__ = ["app", "main"]

app = typer.Typer(
    name="dnapredict",
    help="Predict missed hospital appointments fairly, so that help reaches every group of patients.\n\n"
    "Never for overbooking, discharge, delaying or withholding care.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,  # plain help: the boxes cost 0.2 s and break in a narrow window
)

keys_app = typer.Typer(help="Keys of the service: create, list, revoke.", no_args_is_help=True)
log_app = typer.Typer(help="The scoring log: verify.", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
app.add_typer(log_app, name="log")

_TRACEBACK = "DNAPREDICT_TRACEBACK"

Extract = Annotated[Path, typer.Argument(help="CSV, CSV.GZ, XLSX or Parquet, one row an appointment.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="TOML that maps the file's columns to the contract.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="TOML like training/config.toml, which is the default.")
]
Home = Annotated[
    Path,
    typer.Option(
        "--home",
        envvar="DNAPREDICT_HOME",
        help="Folder of models, runs, history and lists.",
        show_default=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
_HOME = Path(".dnapredict")


def main() -> NoReturn:
    """Run the command; every error becomes a sentence and an exit code."""
    try:
        app()
    except DnapredictError as error:
        _say(f"Error: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _say("Stopped.")
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - the last door: nothing may print a patient's value
        _say(_without_values(error))
        sys.exit(1)
    sys.exit(0)


@app.command()
def demo(home: Home = _HOME) -> None:
    """Show the whole path on made-up patients, and say where to look.

    simulate -> check -> train -> audit -> promote -> score a weekly list.

    Example:  dnapredict demo
    """
    from dnapredict import demonstration

    demonstration.run(_absolute(home), say=_say)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Parquet file to write.")],
    appointments: Annotated[int, typer.Option(help="Appointments to make up.", min=1)] = 200_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same file.", min=0)] = 1,
    truth: Annotated[Path | None, typer.Option(help="Parquet file for each appointment's true risk.")] = None,
    world: Annotated[
        str, typer.Option(help="What is true of the patients; see docs/synthetic-icb.md.")
    ] = "standard",
    lookup: Annotated[
        Path | None, typer.Option(help="CSV of real LSOAs with IMD deciles; otherwise a made-up map.")
    ] = None,
) -> None:
    """Make up the appointments of a synthetic integrated care board. Nobody in it is real.

    Example:  dnapredict simulate synthetic.parquet --appointments 200000 --truth truth.parquet
    """
    from dnapredict.data.simulate import World
    from dnapredict.data.simulate import simulate as make

    made = make(
        out, appointments=appointments, seed=seed, truth=truth, world=World.parse(world), lookup=lookup
    )
    _say(
        f"{out}: {made.appointments:,} synthetic appointments of {made.patients:,} synthetic patients "
        f"(seed {seed}, world {world}, {made.geography})."
    )


@app.command()
def check(
    extract: Extract,
    mapping: MappingFile = None,
    report: Annotated[Path | None, typer.Option(help="Write the findings as JSON.")] = None,
    config: ConfigFile = None,
) -> None:
    """Hold an extract against the data contract: which rows break which rule.

    Exits 10 when more rows break it than training/config.toml allows. No patient's value is printed.

    Example:  dnapredict check outpatients.csv --mapping training/mappings/pas.toml --report check.json
    """
    from dnapredict.data.workspace import Workspace
    from dnapredict.prepared import checked_extract

    setting = _setting(mapping, config)
    with Workspace() as workspace:
        checked = checked_extract(extract, workspace, mapping=setting.mapping)
    _tell_rejections(extract, checked)
    if report is not None:
        _write_json(report, _findings(extract, checked))
    checked.require(max_rejected_share=setting.training.max_rejected_share, source=extract.name)


@app.command()
def features(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    mapping: MappingFile = None,
    config: ConfigFile = None,
) -> None:
    """Write the matrix of agreed factors, as known when each appointment would have been scored.

    Example:  dnapredict features outpatients.parquet --out factors.parquet
    """
    from dnapredict import pipeline

    matrix = pipeline.features(extract, out, setting=_setting(mapping, config))
    _say(f"{out}: {matrix.table.num_rows:,} appointments, {len(matrix.factors)} agreed factors.")


@app.command()
def train(
    extract: Extract,
    mapping: MappingFile = None,
    config: ConfigFile = None,
    home: Home = _HOME,
    as_json: AsJson = False,
) -> None:
    """Train a model on the past and test it on what came after; register it as challenger.

    Example:  dnapredict train outpatients.parquet --json
    """
    from dnapredict import pipeline
    from dnapredict.summary import training_json, training_lines

    place = _absolute(home)
    setting = _setting(mapping, config)
    trained = pipeline.train(extract, home=place, setting=setting, say=_say)
    _tell_rejections(extract, trained.checked)
    if as_json:
        sys.stdout.write(json.dumps(training_json(trained)) + "\n")
        return
    for line in training_lines(trained):
        typer.echo(line)


@app.command()
def audit(
    extract: Extract,
    out: Annotated[Path, typer.Option(help="Folder for the report.")],
    model: Annotated[str | None, typer.Option(help="Version or alias in the registry.")] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Any table with appointment_id and probability, from any product.")
    ] = None,
    mapping: MappingFile = None,
    policy: Annotated[Path | None, typer.Option(help="TOML like fairness/policy.toml, the default.")] = None,
    config: ConfigFile = None,
    home: Home = _HOME,
) -> None:
    """Compare how well patients of different groups are reached, on the outcomes in EXTRACT.

    Writes a report of aggregates, rounded and suppressed; no patient's row is written or logged.
    Exits 0 when no gate fails and 13 when one does, so that a release job can stop on it.

    Example:  dnapredict audit outpatients.parquet --model 7 --out reports/7
    """
    from dnapredict import pipeline
    from dnapredict.config.loading import load, shipped
    from dnapredict.config.policy import Policy

    if (model is None) == (scores is None):
        raise UsageError("Give either --model V or --scores FILE.")
    done = pipeline.audit(
        extract,
        out=out,
        setting=_setting(mapping, config),
        policy=load(policy or shipped("fairness/policy.toml"), Policy),
        home=_absolute(home),
        model=model,
        scores=scores,
    )
    for gate in done.result.gates:
        typer.echo(f"{gate.code:4} {gate.verdict!s:16} {gate.title}")
    typer.echo(f"Verdict: {done.result.verdict}. The report is {done.report}")
    if str(done.result.verdict) == "FAIL":
        failed = ", ".join(gate.code for gate in done.result.gates if str(gate.verdict) == "FAIL")
        raise GateFailedError(
            f"Fairness gate {failed} failed. Read {done.report} before anything is promoted."
        )


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version in the registry.")],
    home: Home = _HOME,
    signed_by: Annotated[str, typer.Option(help="Who answers for it, where the audit failed.")] = "",
    why: Annotated[str, typer.Option(help="The reason that goes on record with the name.")] = "",
) -> None:
    """Make a version the champion that lists and requests are scored with.

    Refuses a version that was never audited, and one whose audit failed unless a person signs for it.

    Example:  dnapredict promote 7
    """
    from dnapredict.tracking import Registry

    registry = Registry(_absolute(home))
    promoted = registry.promote(version, signed_by=signed_by, why=why)
    verdict = registry.tags(promoted).get("audit_verdict", "")
    typer.echo(f"Version {promoted} is the champion (audit: {verdict}).")
    if verdict != "PASS":
        _say("Not every gate passed: the report names the group whose figures a reviewer still has to judge.")


@app.command()
def refresh(
    extract: Extract, mapping: MappingFile = None, config: ConfigFile = None, home: Home = _HOME
) -> None:
    """Make EXTRACT the attendance history that lists and requests are scored with.

    Run it weekly with the newest extract; a service that is running takes it up by itself.

    Example:  dnapredict refresh outpatients.parquet
    """
    from dnapredict import pipeline

    checked = pipeline.refresh(extract, home=_absolute(home), setting=_setting(mapping, config))
    _tell_rejections(extract, checked)


@app.command()
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
    home: Home = _HOME,
) -> None:
    """Score a weekly list: every row comes back once, in rank order, with reasons in words.

    Example:  dnapredict score next-week.xlsx --out worklist.xlsx --capacity 60
    """
    from dnapredict import pipeline

    done = pipeline.score_list(
        list_,
        out=out,
        home=_absolute(home),
        mapping=_setting(mapping, None).mapping,
        history=history,
        model=model,
        capacity=capacity,
    )
    typer.echo(
        f"{out}: {done.rows:,} rows, {done.selected:,} to call, {done.rejected:,} not scored "
        f"(see their 'error'). Model version {done.model_version}."
    )
    if not done.has_history:
        _say("No attendance history is kept here: patients counted as new. Run dnapredict refresh EXTRACT.")
    if done.unknown_factors:
        _say(f"The list lacks columns for: {', '.join(done.unknown_factors)}. They counted as not known.")


@app.command()
def serve(
    home: Home = _HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 3000,
) -> None:
    """Serve scores over HTTP and the page for booking teams, on this machine.

    Example:  dnapredict serve --port 3000
    """
    from dnapredict.service.start import serve as start

    start(_absolute(home), host=host, port=port)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="The system or team that will use it; not a patient.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="score, list or admin; again for more.", show_default="score and list"),
    ] = None,
    home: Home = _HOME,
) -> None:
    """Make a key and print it once; only its hash is kept. From the first key on, everybody needs one.

    Example:  dnapredict keys create booking-team --scope list
    """
    from dnapredict.service import keys

    known = {item.value: item for item in keys.Scope}
    scopes = scope or [keys.Scope.SCORE, keys.Scope.LIST]
    unknown = [word for word in scopes if word not in known]
    if unknown:
        raise UsageError(f"There is no scope '{unknown[0]}'. Scopes: {', '.join(known)}.")
    made = keys.create(_absolute(home), name=name, scopes=tuple(known[word] for word in scopes))
    typer.echo(made.token)
    _say("Keep it now: it is not shown again.")


@keys_app.command("list")
def list_keys(home: Home = _HOME) -> None:
    """List every key that was made: id, name, scopes, whether it is in force.

    Example:  dnapredict keys list
    """
    from dnapredict.service import keys

    for key in keys.every(_absolute(home)):
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in force"
        typer.echo(f"{key.key_id}  {key.name}  {', '.join(key.scopes)}  made {key.made_at:%Y-%m-%d}  {state}")


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id, as 'keys list' shows it.")], home: Home = _HOME
) -> None:
    """Put a key out of force, at once and for good.

    Example:  dnapredict keys revoke 1a2b3c4d
    """
    from dnapredict.service import keys

    typer.echo(f"{keys.revoke(_absolute(home), key_id).name}: revoked.")


@log_app.command("verify")
def verify_log(home: Home = _HOME) -> None:
    """Read the whole scoring log and check that every row is as it was written.

    Example:  dnapredict log verify
    """
    from dnapredict.service.store import ScoringLog

    rows = ScoringLog(_absolute(home)).verify()
    typer.echo(f"{rows:,} rows, each as it was written. Note the number with the date.")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _absolute(home: Path) -> Path:
    place = home.expanduser().resolve()
    _say(f"Home: {place}")
    return place


def _setting(mapping: Path | None, config: Path | None) -> "Setting":
    from dnapredict.config.loading import load
    from dnapredict.config.mapping import IDENTITY, Mapping
    from dnapredict.config.setting import Setting
    from dnapredict.config.training import TrainingConfig

    return Setting(
        mapping=load(mapping, Mapping) if mapping else IDENTITY,
        config=load(config, TrainingConfig) if config else None,
    )


def _tell_rejections(extract: Path, checked: "Checked") -> None:
    _say(f"{extract.name}: {checked.kept:,} of {checked.total:,} rows keep the contract.")
    for rejection in checked.rejections:
        _say(f"  rejected: {rejection}")


def _findings(extract: Path, checked: "Checked") -> dict[str, Any]:
    return {
        "file": extract.name,
        "rows": checked.total,
        "kept": checked.kept,
        "rejected_share": checked.rejected_share,
        "columns": sorted(checked.present),
        "rejections": [
            {"rule": found.rule, "count": found.count, "first_rows": list(found.first_rows)}
            for found in checked.rejections
        ],
    }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    from dnapredict.lists.files import whole

    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    _say(f"{path}: written.")


def _without_values(error: Exception) -> str:
    """What is left of an unforeseen error when its message, which may quote a patient, is left out."""
    if os.environ.get(_TRACEBACK) == "1":
        return "".join(traceback.format_exception(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Internal error: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}. Its message is "
        f"withheld, since it may quote a patient's data; set {_TRACEBACK}=1 to see it on this machine."
    )


if __name__ == "__main__":
    main()

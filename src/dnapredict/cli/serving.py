"""Verbs about the service: run it, its keys, its log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import HOME, Home, JoinedFiles, KeyFile, MappingFile, absolute, named_files
from dnapredict.errors import UsageError

if TYPE_CHECKING:
    from dnapredict.service.log.scoring_log import ScoringLog


ServiceFile = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML like serving/service.toml, which is the default."),
]


def serve(
    home: Home = HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 3000,
    mapping: MappingFile = None,
    files: JoinedFiles = None,
    key_file: KeyFile = None,
    settings: ServiceFile = None,
) -> None:
    """Serve scores over HTTP, and the page for booking teams.

    Lists that are uploaded are read through the mapping; POST /v1/score takes the contract's names.

    Example:  dnapredict serve --port 3000
    """
    from dnapredict.service.start import serve as start

    start(
        absolute(home),
        host=host,
        port=port,
        mapping=mapping,
        files=named_files(files),
        key_file=key_file,
        settings=settings,
    )


def create_key(
    name: Annotated[str, typer.Argument(help="The system or team that will use it; not a patient.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="score, list or admin; again for more.", show_default="score and list"),
    ] = None,
    home: Home = HOME,
) -> None:
    """Make a key and print it once; only its hash is kept.

    From the first key on, everybody needs one.

    Example:  dnapredict keys create booking-team --scope list
    """
    from dnapredict.service.auth import api_keys

    known = {item.value: item for item in api_keys.KeyScope}
    scopes = scope or [api_keys.KeyScope.SCORE, api_keys.KeyScope.LIST]
    unknown = [word for word in scopes if word not in known]
    if unknown:
        raise UsageError(f"There is no scope '{unknown[0]}'. Scopes: {', '.join(known)}.")
    made = api_keys.create(absolute(home), name=name, scopes=tuple(known[word] for word in scopes))
    typer.echo(made.token)
    say("Keep it now: it is not shown again.")


def list_keys(home: Home = HOME) -> None:
    """List every key that was made, and whether it is in force.

    Example:  dnapredict keys list
    """
    from dnapredict.service.auth import api_keys

    for key in api_keys.all_keys(absolute(home)):
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in force"
        typer.echo(f"{key.key_id}  {key.name}  {', '.join(key.scopes)}  made {key.made_at:%Y-%m-%d}  {state}")


def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id, as 'keys list' shows it.")], home: Home = HOME
) -> None:
    """Put a key out of force, at once and for good.

    Example:  dnapredict keys revoke 1a2b3c4d
    """
    from dnapredict.service.auth import api_keys

    typer.echo(f"{api_keys.revoke(absolute(home), key_id).name}: revoked.")


def verify_log(home: Home = HOME, settings: ServiceFile = None) -> None:
    """Check that every row of the scoring log is as it was written.

    And every entry of the ledger of decisions: audits, signatures, promotions and rollbacks.

    Example:  dnapredict log verify
    """
    place = absolute(home)
    found = _log(place, settings).verify()
    typer.echo(f"{found.entries:,} rows, each as it was written. The last: {found.last:,}, seal {found.seal}")
    if (place / "decisions").exists() or (place / "mlflow.db").exists():
        from dnapredict.registry import Registry  # with it comes MLflow, which takes seconds

        if entries := Registry(place).decisions():
            seal = entries[-1].seal
            typer.echo(f"{len(entries):,} decisions, each as it was written. Seal of the last: {seal}")
    say("Note the last number and its seal with the date, in another place.")


def upgrade_log(home: Home = HOME, settings: ServiceFile = None) -> None:
    """Bring the scoring log to the form of this release.

    A log in the home is upgraded by itself; one in PostgreSQL by this.

    Example:  DNAPREDICT_DATABASE=postgresql://log@db.example/dnapredict dnapredict log upgrade
    """
    from dnapredict.service.log.log_database import REVISION

    before = _log(absolute(home), settings).upgrade()
    typer.echo(f"The scoring log is of form {REVISION}" + (f"; it was {before}." if before else "."))


def prune_log(home: Home = HOME, settings: ServiceFile = None) -> None:
    """Remove rows and lists whose time is up.

    As [retention] in serving/service.toml says. The service does so by itself, a month of rows at most.

    Example:  dnapredict log prune
    """
    from dnapredict.service.log.retention import remove_entries, remove_lists
    from dnapredict.service.start import served_config

    retention, place = served_config(settings).retention, absolute(home)
    log = _log(place, settings)
    rows, lists = remove_entries(log, retention), remove_lists(place, retention, log)
    typer.echo(f"{rows:,} rows and {lists:,} lists were kept long enough and are removed.")


def _log(home: Path, settings: Path | None) -> "ScoringLog":
    from dnapredict.service.log.scoring_log import ScoringLog
    from dnapredict.service.start import served_config

    return ScoringLog(home, served_config(settings).database)

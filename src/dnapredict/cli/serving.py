"""Verbs about the service: run it, manage its keys and its scoring log."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dnapredict.cli.messages import say
from dnapredict.cli.options import (
    HOME,
    Home,
    JoinedFiles,
    KeyFile,
    MappingFile,
    ServiceFile,
    home_option,
    named_files,
)
from dnapredict.config.home import require_home
from dnapredict.errors import DataError, StoreError, UsageError

if TYPE_CHECKING:
    from dnapredict.service.auth.permissions import KeyScope
    from dnapredict.service.auth.staff import StaffRole
    from dnapredict.service.log.scoring_log import ScoringLog
    from dnapredict.service.log.trail_report import LoggedAccess


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

    Uploaded lists are read through the mapping; POST /v1/score takes the column names of the contract.

    Example:  dnapredict serve --port 3000
    """
    from dnapredict.service.start import serve as start_service

    start_service(
        home_option(home),
        host=host,
        port=port,
        mapping=mapping,
        files=named_files(files),
        key_file=key_file,
        settings=settings,
    )


def create_key(
    name: Annotated[str | None, typer.Argument(help="The system or team that will use the key.")] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="score, list or admin; may be repeated.", show_default="score and list"),
    ] = None,
    person: Annotated[str | None, typer.Option(help="Name of the one person who will use the key.")] = None,
    team: Annotated[str, typer.Option(help="Team whose lists the key opens.", show_default="all teams")] = "",
    role: Annotated[
        str | None,
        typer.Option(help="Role of the person: clerk, team lead, reviewer or administrator.", show_default="clerk"),
    ] = None,
    home: Home = HOME,
) -> None:
    """Create a key and print it once; only its hash is stored.

    As soon as there is one key, every request needs one. A program or a team shares a key. With --person, the key
    belongs to one person: each entry shows the person's name, and the role decides what the person may do.

    Example:  dnapredict keys create --person "A. Name" --team North --role "team lead"
    """
    from dnapredict.service.auth import api_keys

    if (name is None) == (person is None):
        raise UsageError("Name either the system or team that will use the key, or the person: --person 'A. Name'.")
    if person is None:
        if role is not None:
            raise UsageError("--role is for a personal key: add --person. A shared key has scopes.")
        created = api_keys.create(home_option(home), name=name or "", scopes=_scopes(scope), team=team)
    else:
        if scope:
            raise UsageError("A personal key has a role and no scopes. Leave out --scope.")
        created = api_keys.create_personal(home_option(home), name=person, team=team, role=_role(role))
    typer.echo(created.token)
    say("Store it now: it is not shown again.")


def _scopes(words: Sequence[str] | None) -> "tuple[KeyScope, ...]":
    from dnapredict.service.auth.permissions import KeyScope

    known = {item.value: item for item in KeyScope}
    scopes = words or [KeyScope.SCORE, KeyScope.LIST]
    unknown = [word for word in scopes if word not in known]
    if unknown:
        raise UsageError(f"There is no scope '{unknown[0]}'. Scopes: {', '.join(known)}.")
    return tuple(known[word] for word in scopes)


def _role(word: str | None) -> "StaffRole":
    from dnapredict.service.auth.staff import StaffRole

    known = {item.value: item for item in StaffRole}
    if word is not None and word not in known:
        raise UsageError(f"There is no role '{word}'. Roles: {', '.join(known)}.")
    return StaffRole.CLERK if word is None else known[word]


def link_key(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as in 'keys list'.")],
    minutes: Annotated[int, typer.Option(help="How long the link lasts.", min=1, max=1_440)] = 10,
    address: Annotated[str, typer.Option(help="Address of the service.")] = "http://127.0.0.1:3000",
    home: Home = HOME,
) -> None:
    """Print a link that signs the holder of a key in once.

    The first person to open the link is signed in as the holder: send it where only they can read it.

    Example:  dnapredict keys link 1a2b3c4d
    """
    from dnapredict.service.auth import sign_in_links

    typer.echo(address.rstrip("/") + sign_in_links.create(home_option(home), key_id, minutes=minutes))
    say(f"It works once, within {minutes} minutes.")


def make_personal_key(
    name: Annotated[str, typer.Argument(help="Name of the person who will sign.")],
    role: Annotated[str, typer.Option(help="Their role, such as equality lead.")],
) -> None:
    """Make a personal key for signing audits; print it once.

    Prints too the lines that name the person in fairness/policy.toml: they hold the key's hash only. The person runs
    this themselves, and keeps the key where they keep passwords.

    Example:  dnapredict keys personal "A. Name" --role "Equality lead"
    """
    from dnapredict.fairness.signatories import key_sha256, make_key, require_person

    require_person(name)
    key = make_key()
    typer.echo(key)
    say("Store it now: it is not shown again. For fairness/policy.toml:")
    for line in ("[[signatories]]", *(f"{k} = {json.dumps(v)}" for k, v in (("name", name), ("role", role)))):
        say(line)
    say(f'key_sha256 = "{key_sha256(key)}"')


def list_keys(home: Home = HOME) -> None:
    """List every key, and whether it is valid or revoked.

    Example:  dnapredict keys list
    """
    from dnapredict.service.auth import api_keys

    for key in api_keys.all_keys(home_option(home)):
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "in force"
        opens = ", ".join(key.scopes) if key.role is None else f"{key.role} (personal key)"
        team = f"  team {key.team}" if key.team else ""
        typer.echo(f"{key.key_id}  {key.name}  {opens}{team}  made {key.made_at:%Y-%m-%d}  {state}")


def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The id of the key, as in 'keys list'.")], home: Home = HOME
) -> None:
    """Revoke a key, at once and permanently.

    Example:  dnapredict keys revoke 1a2b3c4d
    """
    from dnapredict.service.auth import api_keys

    typer.echo(f"{api_keys.revoke(home_option(home), key_id).name}: revoked.")


def verify_log(
    home: Home = HOME,
    settings: ServiceFile = None,
    kept: Annotated[
        str, typer.Option(help="Number and seal of a decision that you wrote down, as 12:SEAL; it must still be there.")
    ] = "",
) -> None:
    """Check that no row of the scoring log was changed.

    Also checks the ledger of decisions (trainings, audits, policies, signatures, promotions and rollbacks), and that
    the records of trainings and audits and the signed reports match the ledger (exit 14). A home that was restored as
    a whole from an older backup is consistent: only --kept detects that a decision is missing (exit 14).

    Example:  dnapredict log verify
    """
    folder = home_option(home)
    verified = _written_log(folder, settings).verify()
    typer.echo(f"{verified.entries:,} rows, each as it was written. The last: {verified.last:,}, seal {verified.seal}")
    seals: list[str] = []
    if (folder / "decisions").exists() or (folder / "mlflow.db").exists():
        from dnapredict.registry import Registry  # imports MLflow, which takes seconds

        registry = Registry(folder)
        if seals := [entry.seal for entry in registry.decisions()]:
            typer.echo(f"{len(seals):,} decisions, each as it was written. Seal of the last: {seals[-1]}")
            checked = registry.verify_kept()
            typer.echo(f"{checked:,} files on which the decisions rely, all unchanged.")
    _require_kept(kept, seals)
    say("Write down the last number and its seal with the date, and keep them elsewhere.")


def _require_kept(kept: str, seals: Sequence[str]) -> None:
    """Refuse a ledger without the decision that somebody wrote down."""
    number, _, seal = kept.replace(",", "").partition(":")
    if kept and not (number.isdigit() and 0 < int(number) <= len(seals) and seals[int(number) - 1] == seal.strip()):
        raise StoreError(
            f"Decision {kept} is not in this ledger: it is an older copy, or another one. Find out what was decided "
            "since, and restore the newest backup of the home."
        )


def who_saw(
    person: Annotated[str, typer.Option(help="Name or key id of a person.", show_default="everybody")] = "",
    list_: Annotated[str, typer.Option("--list", help="A list, as in the address of its page.")] = "",
    appointment: Annotated[
        bool, typer.Option("--appointment", help="Ask for an appointment number, on standard input.")
    ] = False,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC).")] = None,
    output: Annotated[Path | None, typer.Option(help="CSV file to write, instead of printing.")] = None,
    home: Home = HOME,
    settings: ServiceFile = None,
) -> None:
    """Show who saw, scored, downloaded or recorded what.

    Also who signed in and out, and who searched, printed or deleted a list.

    The scoring log knows lists by their id and appointments by a keyed hash. With --appointment, the report shows
    everybody who opened a list that contains the appointment. The same page opened again within ten minutes is one
    line.

    Example:  dnapredict log who --list 0123456789abcdef --since 2026-11-02
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.auth.accounts import Accounts
    from dnapredict.service.log.answer_entries import Hashes
    from dnapredict.service.log.trail_report import AccessQuery, logged_accesses

    folder = home_option(home)
    log = _log(folder, settings)
    if not log.exists:
        raise StoreError(f"{log.name}: there is no scoring log yet. The service makes one.")
    number = _asked_number() if appointment else ""
    query = AccessQuery(
        person=person.strip(),
        list_id=list_.strip(),
        appointment=Hashes(folder, log).of("appointment", number) if number else "",
        since=since.date() if since else None,
        until=until.date() if until else None,
    )
    lines = logged_accesses(log, query, name_of=Accounts.of(folder, served_config(settings).openid).name_of)
    if output is not None:
        _write_accesses(output, lines)
        say(f"{output}: {len(lines):,} lines.")
        return
    for line in lines:
        who = f"{line.name} ({line.key_id})" if line.name else line.key_id
        typer.echo("  ".join(part for part in (line.at[:19].replace("T", " "), who, line.what, line.list_id) if part))
    say(f"{len(lines):,} lines, with times in UTC.")


def _asked_number() -> str:
    """The appointment number on standard input: as an argument, every user of the machine could read it."""
    say("Appointment number:")
    number = "" if sys.stdin is None else sys.stdin.readline().strip()
    if not number:  # without it, the report would be about every appointment
        raise UsageError("No appointment number was given on standard input. Type it, or leave out --appointment.")
    return number


def _write_accesses(output: Path, lines: "Sequence[LoggedAccess]") -> None:
    from dnapredict.data.files.atomic_write import write_private
    from dnapredict.fairness.report.csv_tables import csv_text

    head = ["at_utc", "key_id", "name", "what", "list_id"]
    write_private(output, csv_text([head, *([x.at, x.key_id, x.name, x.what, x.list_id] for x in lines)]))


def record_in_log(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A filled worklist: XLSX or CSV.")],
    list_: Annotated[
        str, typer.Option("--list", help="Its list, as in the address of its page.", show_default="as the file says")
    ] = "",
    home: Home = HOME,
    settings: ServiceFile = None,
) -> None:
    """Record the outcomes of a filled worklist.

    The file is one that was downloaded from the page, which names its list, or one that `score` wrote, which printed
    the --list to give.

    An outcome that a colleague has recorded since the download is kept. Rows that need attention are listed (exit 10).
    Correct them and record the same file again: nothing is recorded twice.

    Example:  dnapredict log record week-50.xlsx
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.api.returned_outcomes import ADVICE, Fate, record_file

    database = served_config(settings).database
    returned = record_file(file, home=home_option(home), list_id=list_, database=database)
    recorded, already = returned.count(Fate.RECORDED), returned.count(Fate.ALREADY)
    typer.echo(f"Recorded: {recorded:,}. Recorded already: {already:,}. Without an outcome: {returned.empty:,}.")
    for row in returned.attention:
        say(f"{row.cell}: {row.fate.value}. {ADVICE[row.fate]}")
    if returned.attention:
        raise DataError(f"{file}: rows that need attention: {len(returned.attention):,}. They are listed above.")


def upgrade_log(home: Home = HOME, settings: ServiceFile = None) -> None:
    """Upgrade the scoring log to the schema of this release.

    A log in the home is upgraded automatically; one in PostgreSQL needs this command.

    Example:  DNAPREDICT_DATABASE=postgresql://log@db.example/dnapredict dnapredict log upgrade
    """
    from dnapredict.service.log.log_database import REVISION

    before = _log(home_option(home), settings).upgrade()
    typer.echo(f"The scoring log is of form {REVISION}" + (f"; it was {before}." if before else "."))


def prune_log(home: Home = HOME, settings: ServiceFile = None) -> None:
    """Delete rows, lists and files past their retention.

    The periods are in [retention] of serving/service.toml. The service does this by itself, at most a month of rows
    at a time, and nothing while this machine's clock seems to have jumped ahead. This command says that it is right.

    Example:  dnapredict log prune
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.data.retention_clock import confirm_clock
    from dnapredict.service.log.retention import retention_line, retention_run

    retention, folder = served_config(settings).retention, home_option(home)
    log = _written_log(folder, settings)
    confirm_clock(folder)
    removed: dict[str, int] = {}
    failures: list[StoreError] = []
    for what, work in retention_run(folder, log, retention).items():
        try:
            removed[what] = work()
        except StoreError as error:  # a damaged log keeps nothing else beyond its days
            failures.append(error)
    typer.echo(retention_line(removed))
    for failure in failures[1:]:
        say(f"Error: {failure}")
    if failures:
        raise failures[0]


def _written_log(home: Path, settings: Path | None) -> "ScoringLog":
    """As `_log`; refuses a folder that is no home, unless the log is elsewhere."""
    log = _log(home, settings)
    if log.is_file:
        require_home(home)
    return log


def _log(home: Path, settings: Path | None) -> "ScoringLog":
    from dnapredict.config.service_config import served_config
    from dnapredict.service.log.scoring_log import ScoringLog

    return ScoringLog(home, served_config(settings).database)

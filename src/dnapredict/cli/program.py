"""The program: its verbs, in the order in which a person needs them, and the handler of last resort for errors.

Large libraries are imported inside the verbs, so that `--help` answers at once. Results go to standard output,
messages to standard error.
"""

from typing import Annotated

import typer

from dnapredict import __version__
from dnapredict.cli.audits import access, audit, audit_counts, monitor, sign
from dnapredict.cli.backup import backup, restore
from dnapredict.cli.data import check, demo, factors, features, simulate
from dnapredict.cli.doctor import doctor
from dnapredict.cli.exit_handling import message_and_code
from dnapredict.cli.messages import say
from dnapredict.cli.models import compare, cycle, promote, refresh, rollback, score, train, versions
from dnapredict.cli.options import takes_memory
from dnapredict.cli.outcomes import outcomes
from dnapredict.cli.progress_bar import shows_progress
from dnapredict.cli.serving import (
    create_key,
    link_key,
    list_keys,
    make_personal_key,
    prune_log,
    record_in_log,
    revoke_key,
    serve,
    upgrade_log,
    verify_log,
    who_saw,
)
from dnapredict.cli.trials import plan_trial, report_trial
from dnapredict.data.engine import interruption

app = typer.Typer(
    name="dnapredict",
    help="Predict missed hospital appointments fairly, so that help reaches every group of patients.\n\n"
    "Never for overbooking, discharge, delaying or withholding care.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: the boxes cost 0.2 s and break in a narrow window
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dnapredict {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options before the verb."""


keys_app = typer.Typer(
    help="Keys of the service: create, link, list, revoke. Personal keys, to sign audits.", no_args_is_help=True
)
trial_app = typer.Typer(help="A randomised trial of the calls: its plan and its report.", no_args_is_help=True)
log_app = typer.Typer(help="The scoring log: verify, who, record, upgrade, prune.", no_args_is_help=True)

_DATA = (demo, simulate, check, access, factors, features)
_MODELS = (train, audit, audit_counts, sign, compare, versions, promote, rollback)
_IN_USE = (refresh, score, serve, outcomes, monitor, cycle, doctor, backup, restore)
_OF_EXTRACTS = (check, access, features, train, audit, audit_counts, compare, refresh, score, outcomes, monitor, cycle)
for _verb in (*_DATA, *_MODELS, *_IN_USE):
    _shown = shows_progress(_verb) if _verb in (simulate, *_OF_EXTRACTS) else _verb
    app.command()(takes_memory(_shown) if _verb in _OF_EXTRACTS else _shown)
for _name, _key_verb in (
    ("create", create_key),
    ("link", link_key),
    ("list", list_keys),
    ("revoke", revoke_key),
    ("personal", make_personal_key),
):
    keys_app.command(_name)(_key_verb)
for _name, _log_verb in (
    ("verify", verify_log),
    ("who", who_saw),
    ("record", record_in_log),
    ("upgrade", upgrade_log),
    ("prune", prune_log),
):
    log_app.command(_name)(_log_verb)
trial_app.command("plan")(plan_trial)
trial_app.command("report")(report_trial)
app.add_typer(trial_app, name="trial")
app.add_typer(keys_app, name="keys")
app.add_typer(log_app, name="log")


def run() -> int:
    """Run the command that was typed; every error becomes a message and an exit code."""
    try:
        app(prog_name="dnapredict")  # also under `python -m`, so that completion is installed for the command
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - a traceback could print a patient's value
        message, code = message_and_code(error)
        if not interruption.requested():
            say(message)
        return code
    return 0

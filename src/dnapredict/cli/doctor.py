"""The verb `doctor`: check a home, and say what is wrong, where, and what mends it."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dnapredict.cli.messages import findings_sentence, say
from dnapredict.cli.options import HOME, AsJson, Home, ServiceFile, home_option
from dnapredict.errors import StoreError

if TYPE_CHECKING:
    from dnapredict.service.home_checks.examination import Examination
    from dnapredict.service.home_checks.home_findings import HomeFinding


def doctor(
    home: Home = HOME,
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what can be mended without losing anything, and check again.")
    ] = False,
    as_json: AsJson = False,
    settings: ServiceFile = None,
) -> None:
    """Check a home: what is wrong, where, and what mends it.

    Checks every file, database, secret, permission, ledger and chain, and changes nothing without --repair. Exits 14
    where something is left to mend.

    Example:  dnapredict doctor --repair
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.home_checks import examination

    folder, database = home_option(home), served_config(settings).database
    done = (examination.mend if repair else examination.examine)(folder, database)
    if as_json:
        typer.echo(json.dumps(_as_dict(done, examination.CHECKS), indent=1))
    else:
        for each in done.mended:
            typer.echo(f"Mended: {each.path or folder.name}: {each.problem}")
        for each in done.findings:
            typer.echo(f"{each.path or folder.name}: {each.problem}\n  {each.mend}")
        if done.is_sound:
            say(f"Sound: {len(examination.CHECKS)} checks ({', '.join(examination.CHECKS)}).")
    if not done.is_sound:
        raise StoreError(f"{folder}: {findings_sentence(done.findings)}")


def _as_dict(done: "Examination", checks: tuple[str, ...]) -> dict[str, Any]:
    def entry(finding: "HomeFinding") -> dict[str, Any]:
        can_be_repaired = finding.repair is not None
        return {
            "path": finding.path,
            "problem": finding.problem,
            "mend": finding.mend,
            "can_be_repaired": can_be_repaired,
        }

    return {
        "is_sound": done.is_sound,
        "checks": list(checks),
        "findings": [entry(each) for each in done.findings],
        "mended": [entry(each) for each in done.mended],
    }

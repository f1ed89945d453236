"""The verbs `backup` and `restore`: copy a home that is in use, and put the copy back."""

from pathlib import Path
from typing import Annotated

import typer

from dnapredict.cli.messages import findings_sentence, say
from dnapredict.cli.options import HOME, Home, ServiceFile, home_option
from dnapredict.errors import StoreError


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder for the backup, outside the home.")],
    home: Home = HOME,
    settings: ServiceFile = None,
) -> None:
    """Back up a home, which may be in use meanwhile.

    Patients' names, telephone numbers, notes and rows to mend are left out: a backup would keep them longer than their
    list. A scoring log in PostgreSQL is backed up with pg_dump, after this command.

    Example:  dnapredict backup /srv/backup/2026-11-30
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.home_checks.home_backup import back_up
    from dnapredict.service.log.scoring_log import ScoringLog

    folder, database = home_option(home), served_config(settings).database
    done = back_up(folder, target)
    say(f"Backed up {len(done.files):,} files to {target}.")
    if not ScoringLog(folder, database).is_file:
        say("The scoring log is in PostgreSQL and is not part of it: run pg_dump --format=custom now.")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="A folder that `backup` has written.")],
    home: Home = HOME,
    settings: ServiceFile = None,
) -> None:
    """Restore a backup to a new home, and check it.

    All of it or nothing, into a home that does not exist yet or is empty. What the backup holds counts as the newest:
    what was recorded after it is lost, and the command says what to compare. Each file is compared with its SHA-256
    first.

    Example:  dnapredict restore /srv/backup/2026-11-30 --home /var/lib/dnapredict/home
    """
    from dnapredict.config.service_config import served_config
    from dnapredict.service.home_checks import home_backup
    from dnapredict.service.home_checks.examination import examine

    folder, database = home_option(home), served_config(settings).database
    done = home_backup.restore(source, folder)
    say(f"Restored {len(done.files):,} files, as of {done.made_at:%Y-%m-%d %H:%M} UTC. This is now the newest state:")
    for line in home_backup.accepted(folder, database):
        say(f"- {line}")
    findings = examine(folder, database).findings
    for each in findings:
        typer.echo(f"{each.path or folder.name}: {each.problem}\n  {each.mend}")
    if findings:
        raise StoreError(f"{folder}: was restored, and has {findings_sentence(findings)}")

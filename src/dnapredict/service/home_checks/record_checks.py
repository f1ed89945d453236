"""Checks of the records of a service: secrets, keys, sign-in, mappings, and the lists with all that belongs to them."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from dnapredict.data.files.digests import read_secret
from dnapredict.data.files.loss_marks import MADE
from dnapredict.data.retention_clock import FILE, verify_clock
from dnapredict.errors import StoreError
from dnapredict.service.api.team_mappings import TeamMappings
from dnapredict.service.auth import api_keys, sessions, sign_in_links
from dnapredict.service.auth.openid_people import OpenIdPeople
from dnapredict.service.home_checks.home_findings import REPAIR, HomeFinding, finding_of
from dnapredict.worklist.calls import assignments
from dnapredict.worklist.calls.call_locks import CallLocks
from dnapredict.worklist.calls.stated_opt_outs import opt_outs_of
from dnapredict.worklist.files import contact_details, list_store, output_folders, unscored_rows
from dnapredict.worklist.files.list_files import ASSIGNED, CONTACTS, UNSCORED, kept_list_ids, list_folder
from dnapredict.worklist.files.worklist_files import WrittenWorklists

# An upload writes the list before what belongs to it, so that an orphan is never part of one that is under way.
_OF_A_LIST: Final = (CONTACTS, UNSCORED, ASSIGNED)
_LIST_ID: Final = re.compile(r"[0-9a-f]{16}")
_SECONDS_OF_AN_UPLOAD: Final = 3_600


def secrets(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Secrets that are not 64 hexadecimal characters."""
    paths = {*home.glob("*.secret"), *home.glob("*/*.secret"), *home.glob("*.key")}
    for path in sorted(paths):
        if not path.name.startswith("."):
            yield from _raised(home, partial(read_secret, path))


def keys(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Keys, sign-in links and people who signed in, and the marks that there were keys."""
    for message in (*api_keys.damaged(home), *OpenIdPeople(home).damaged(), *TeamMappings(home).damaged()):
        yield finding_of(message, home)
    yield from _keys_put_back(home)
    for path, message in sign_in_links.damaged(home):  # it signs nobody in, and another link is made in a moment
        yield finding_of(message, home, repair=partial(path.unlink, missing_ok=True))
    for folder in (home / "keys", home / "sign-in"):
        for path, message in sessions.damaged(folder):
            is_one = path.parent != folder
            yield finding_of(message, home, repair=partial(sessions.restore, path) if is_one else None)


def _keys_put_back(home: Path) -> Iterator[HomeFinding]:
    try:
        for key in api_keys.put_back(home):
            problem = f"is an older copy: this key was revoked at {key.revoked_at}, and opens nothing."
            repair = partial(api_keys.complete_revocation, home, key)
            yield HomeFinding(f"keys/{key.key_id}.json", problem, REPAIR, repair)
    except StoreError as error:
        yield finding_of(error, home)


def lists(home: Path, _database: str | None = None) -> Iterator[HomeFinding]:
    """Kept lists, the latest list, and what belongs to them."""
    sources = (list_store, contact_details, unscored_rows, assignments, output_folders)
    for message in (message for source in sources for message in source.damaged(home)):
        yield finding_of(message, home)
    yield from _raised(home, opt_outs_of(home).patients)
    yield from _orphans(home)
    locks, written = CallLocks(home), WrittenWorklists(home)
    if damage := locks.damage():
        yield finding_of(damage, home, repair=locks.discard)
    if written.is_damaged():
        problem = "is damaged, so that every worklist counts as changed by a person."
        yield HomeFinding("lists/written.json", problem, REPAIR, written.discard_damaged)
    yield from _set_aside(home)
    for finding in _raised(home, partial(verify_clock, home)):
        yield replace(finding, mend=REPAIR, repair=partial((home / FILE).unlink, missing_ok=True))


def _orphans(home: Path) -> Iterator[HomeFinding]:
    """What belongs to a list that is gone: contact details and rows of patients, which must not stay."""
    ids = kept_list_ids(home)
    for path in sorted(list_folder(home).glob("*")):
        of_list = path.with_name(path.name.removesuffix(MADE))
        if of_list.suffix in _OF_A_LIST and _LIST_ID.fullmatch(of_list.stem) and of_list.stem not in ids:
            if of_list.with_suffix(".kept").exists():  # the list is lost and may come back from a backup
                continue
            problem = "belongs to a list that was deleted."
            yield HomeFinding(f"lists/{path.name}", problem, REPAIR, partial(path.unlink, missing_ok=True))
    for path in list_store.left_counts(home):
        problem = "is about a list that was deleted."
        repair = partial(path.unlink, missing_ok=True)
        yield HomeFinding(path.relative_to(home).as_posix(), problem, REPAIR, repair)
    for path in sorted((home / "uploads").glob("*.sealed")):
        if time.time() - path.stat().st_mtime > _SECONDS_OF_AN_UPLOAD:
            problem = "is an upload that nobody finished, and is past its half hour."
            yield HomeFinding(f"uploads/{path.name}", problem, REPAIR, partial(path.unlink, missing_ok=True))


def _set_aside(home: Path) -> Iterator[HomeFinding]:
    """Damaged calls databases that were set aside when a new one was made."""
    for path in sorted(list_folder(home).glob("calls.db.damaged-*")):
        if not path.name.endswith(("-wal", "-shm", "-journal")):
            advice = (
                "Compare the opt-outs on the next lists with what the team knows, then remove this file and those next "
                "to it of the same name."
            )
            yield HomeFinding(f"lists/{path.name}", "is a damaged calls database that was set aside.", advice)


def _raised(home: Path, work: Callable[[], object]) -> Iterator[HomeFinding]:
    try:
        work()
    except StoreError as error:
        yield finding_of(error, home)

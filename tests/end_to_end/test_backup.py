"""`dnapredict backup` of a home in use, and `dnapredict restore` elsewhere: the same bytes; it scores and serves."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select
from tests.end_to_end.conftest import Run
from tests.end_to_end.test_scoring_doors import free_port, wait_until_ready
from tests.end_to_end.world import Trust, as_requests
from tests.service.test_log_databases import row

from dnapredict.errors import StoreError, UsageError
from dnapredict.service.auth import api_keys
from dnapredict.service.home_checks import home_backup
from dnapredict.service.home_checks.examination import examine, mend
from dnapredict.service.home_checks.home_backup import MANIFEST, back_up, restore
from dnapredict.service.log.log_tables import ANSWERS
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore


@pytest.fixture(scope="module")
def home(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds all that a home can."""
    return Path(shutil.copytree(filled / "home", tmp_path_factory.mktemp("backup") / "home"))


@contextmanager
def in_use(home: Path) -> Iterator[list[str]]:
    """Another process writes the log, a list and keys while the block runs; yields its acknowledged entries."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from tests.service.test_log_databases import row\n"
        "from dnapredict.data.files.atomic_write import write_private\n"
        "from dnapredict.service.auth import api_keys\n"
        "from dnapredict.service.log.scoring_log import ScoringLog\n"
        "home = Path(sys.argv[1]); log = ScoringLog(home)\n"
        "for number in range(100_000):\n"
        "    log.write([row(request=f'backup-{number}')]); print(f'backup-{number}', flush=True)\n"
        "    write_private(home / 'lists' / 'written-in-use.json', str(number), durable=False)\n"
        "    made = api_keys.create(home, name='x', scopes=(api_keys.KeyScope.LIST,)) if number % 50 == 0 else None\n"
        "    made and api_keys.revoke(home, made.key.key_id)\n"
        "    time.sleep(0.005)\n"  # the backup needs a processor too
    )
    command = [sys.executable, "-c", program, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as writer:
        acknowledged: list[str] = []
        assert writer.stdout is not None
        acknowledged.append(writer.stdout.readline().strip())
        reader = threading.Thread(target=lambda: acknowledged.extend(line.strip() for line in writer.stdout or ()))
        reader.start()
        try:
            yield acknowledged
        finally:
            writer.kill()
            reader.join()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tables(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_home_in_use_is_backed_up_and_restored_elsewhere_and_scores_and_serves(
    home: Path, trust: Trust, filled: Path, tmp_path: Path, dnapredict: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(filled)  # where the trial of the home is configured
    used, again = tmp_path / "used" / "home", tmp_path / "elsewhere" / "home"
    shutil.copytree(home, used)
    with in_use(used) as acknowledged:
        before = list(acknowledged)
        done = dnapredict("backup", tmp_path / "copy", "--home", used)
        assert done.returncode == 0, done.stderr
    done = dnapredict("restore", tmp_path / "copy", "--home", again)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr  # doctor finds nothing
    assert "The scoring log ends with entry " in done.stderr
    log = ScoringLog(again)
    kept = {found.request for found in log.query(select(ANSWERS.c.request))}
    log.close()
    assert set(before) <= kept  # what was acknowledged before the backup began
    scored = []
    for name in (used, again):
        out = name.parent / "out.csv"
        done = dnapredict("score", trust.weekly, "--out", out, "--home", name)
        assert done.returncode == 0, done.stderr
        scored.append(out.read_bytes())
    assert scored[0] == scored[1]
    assert served(again, (filled / "key").read_text(), trust.weekly) == 200


def served(home: Path, token: str, weekly: Path) -> int:
    """The status of a request to a service of that home, with a key of the home that was backed up."""
    port = free_port()
    command = [sys.executable, "-m", "dnapredict.cli", "serve", "--home", str(home), "--port", str(port)]
    body = {"appointments": as_requests(pq.read_table(weekly).slice(0, 2))}
    settings = home.with_name("service.toml")
    settings.write_text("workers = 1\n")
    environment = os.environ | {"DNAPREDICT_SERVICE": str(settings)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                wait_until_ready(client)
                return client.post("/v1/score", json=body, headers={"Authorization": f"Bearer {token}"}).status_code
        finally:
            service.send_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def backup(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sound") / "copy"
    back_up(home, target)
    return target


def test_a_restored_home_is_the_backup_byte_for_byte_and_the_home_as_it_was(
    home: Path, backup: Path, tmp_path: Path
) -> None:
    restore(backup, tmp_path / "home")
    restored, kept, original = (files_of(folder) for folder in (tmp_path / "home", backup, home))
    assert kept.pop(MANIFEST)
    assert restored == kept
    databases = {name for name in restored if name.endswith(".db")}
    assert {"mlflow.db", "scoring-log.db", "lists/calls.db", "trial/register.db"} <= databases
    assert all(restored[name] == original[name] for name in restored.keys() - databases)
    for name in databases:  # SQLite may leave free pages out
        assert tables(tmp_path / "home" / name) == tables(home / name), name
    assert examine(tmp_path / "home").findings == ()


def test_it_leaves_out_what_a_backup_would_keep_too_long_and_nothing_else(home: Path, backup: Path) -> None:
    left_out = {
        name
        for name in files_of(home).keys() - files_of(backup).keys()
        if not name.endswith(("lock", "-wal", "-shm")) and not Path(name).name.startswith(".")
    }
    assert left_out
    assert all(re.search(r"\.contacts|\.unscored|^contacts\.key$|^uploads/", name) for name in left_out), left_out
    kept = b"".join(files_of(backup).values())
    assert b"Zebra" not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in (backup, *backup.rglob("lists"), *backup.rglob("keys")))


def test_what_is_replaced_during_the_backup_is_in_it_with_its_mark(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = tmp_path / "used"
    shutil.copytree(home, used)
    store, copy, replaced = OutcomeStore(used), home_backup._copy_file, []

    def copying(source: Path, target: Path) -> None:
        copy(source, target)
        if source.name == "outcomes" and not replaced:
            replaced.append(store.read().slice(1))
            store.write(replaced[0])

    monkeypatch.setattr(home_backup, "_copy_file", copying)
    back_up(used, tmp_path / "copy")
    monkeypatch.undo()
    restore(tmp_path / "copy", tmp_path / "again")
    assert OutcomeStore(tmp_path / "again").read().equals(replaced[0])


@pytest.mark.parametrize("damage", ["changed", "missing", "added", "manifest changed", "manifest missing"])
def test_a_damaged_backup_is_refused_whole(backup: Path, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(backup, copy)
    some = copy / "keys-were-made"
    match damage:
        case "changed":
            some.write_bytes(some.read_bytes() + b" ")
        case "missing":
            some.unlink()
        case "added":
            (copy / "keys" / "00000000.json").write_text("{}")
        case "manifest changed":
            (copy / MANIFEST).write_bytes((copy / MANIFEST).read_bytes().replace(b"keys-were-made", b"keys-were-mode"))
        case _:
            (copy / MANIFEST).unlink()
    with pytest.raises(StoreError, match=r"is damaged|is missing, or not as it was backed up|has no backup.json"):
        restore(copy, tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_backup_that_was_killed_is_refused_and_said_to_be_removable(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt  # nothing is tidied up after it, as after SIGKILL

    monkeypatch.setattr(home_backup, "write_private", killed)
    with pytest.raises(KeyboardInterrupt):
        back_up(home, tmp_path / "copy")
    advice = "has no backup.json, as a backup that was interrupted. If it is one, remove it"
    with pytest.raises(StoreError, match=advice):
        restore(tmp_path / "copy", tmp_path / "home")
    with pytest.raises(UsageError, match=advice):
        back_up(home, tmp_path / "copy")


def test_nothing_that_exists_is_replaced(home: Path, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").touch()
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        restore(backup, tmp_path / "home")
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        back_up(home, backup)
    with pytest.raises(UsageError, match="lies in"):
        back_up(home, home / "backup")
    (tmp_path / "home" / "x").unlink()
    restore(backup, tmp_path / "home")


def test_an_older_backup_of_everything_is_accepted_and_says_as_of_when(
    home: Path, tmp_path: Path, dnapredict: Run
) -> None:
    """The marks of the newest state are part of a backup: what is refused of one file is accepted of the whole."""
    used = tmp_path / "used"
    shutil.copytree(home, used)
    made = api_keys.create(used, name="left", scopes=(api_keys.KeyScope.LIST,))
    back_up(used, tmp_path / "copy")
    api_keys.revoke(used, made.key.key_id)
    log = ScoringLog(used)
    log.write([row(request="after the backup")])
    log.close()
    done = dnapredict("restore", tmp_path / "copy", "--home", tmp_path / "home")
    assert done.returncode == 0, done.stdout
    assert made.key.key_id in done.stderr
    assert "Revoke again those that were revoked later" in done.stderr


def test_a_folder_of_the_home_that_is_a_link_to_another_disk_is_checked_and_backed_up(tmp_path: Path) -> None:
    home, disk = tmp_path / "home", tmp_path / "disk"
    for folder in (home, disk, disk / "lists"):
        folder.mkdir(mode=0o700)
    (home / "lists").symlink_to(disk / "lists")
    (home / "lists" / "any.secret").write_text("0" * 64)
    assert [(each.path, each.repair is not None) for each in examine(home).findings] == [("lists/any.secret", True)]
    assert mend(home).is_sound
    back_up(home, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "restored")
    assert files_of(tmp_path / "restored") == {"lists/any.secret": b"0" * 64}


def test_a_link_that_no_backup_follows_is_refused_and_named_by_doctor(tmp_path: Path) -> None:
    home, disk = tmp_path / "home", tmp_path / "disk"
    for folder in (home, home / "outcomes", disk):
        folder.mkdir(mode=0o700)
    for link, target in (("outcomes/scored", disk), ("lists", home / "outcomes")):
        (home / link).symlink_to(target)
        assert [each.path for each in examine(home).findings if "is a link to a folder" in each.problem] == [link]
        with pytest.raises(StoreError, match=f"{link}: is a link to a folder, which a backup would leave out"):
            back_up(home, tmp_path / "backup")
        (home / link).unlink()
    (home / "mlflow.db").symlink_to(tmp_path / "not mounted")
    with pytest.raises(StoreError, match=r"mlflow\.db: is a link that leads nowhere"):
        back_up(home, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()

"""The ledger of decisions: whole at any moment, and what was changed, cut or emptied is refused."""

import datetime
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dnapredict.errors import StoreError, UnverifiedDecisionError
from dnapredict.registry import decision_ledger
from dnapredict.registry.decision_ledger import Decisions, NewEntry


class HeadInMemory:
    """A record of the head of the ledger, which can be made to fail."""

    def __init__(self) -> None:
        self.head = ""
        self.broken = False

    @property
    def place(self) -> str:
        return "another place"

    def read(self) -> str:
        return self.head

    def write(self, head: str) -> None:
        if self.broken:
            raise StoreError("the record cannot be written")
        self.head = head


@pytest.fixture
def ledger(tmp_path: Path) -> Decisions:
    ledger = Decisions(tmp_path / "home")
    ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    ledger.append("audit", {"version": "1", "verdict": "PASS"})
    ledger.append("decision", {"decision": "reject", "name": "A. Reviewer"})
    return ledger


def files(ledger: Decisions) -> tuple[Path, Path]:
    folder = ledger.home / "decisions"
    return folder / "ledger.json", folder / "ledger.secret"


def test_entries_come_back_in_order_with_when_and_by_whom(ledger: Decisions) -> None:
    found = Decisions(ledger.home).entries()
    assert [(entry.number, entry.kind) for entry in found] == [(1, "training"), (2, "audit"), (3, "decision")]
    assert found[2]["name"] == "A. Reviewer"
    assert all(entry.at.startswith("20") and entry.by for entry in found)


def test_only_its_owner_may_read_it(ledger: Decisions) -> None:
    for path in files(ledger):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((ledger.home / "decisions").stat().st_mode) == 0o700


def without_the_last_entry(text: str) -> str:
    content = json.loads(text)
    return json.dumps(content | {"entries": content["entries"][:-1]})


def without_the_last_entry_and_recounted(text: str) -> str:
    content = json.loads(without_the_last_entry(text))
    return json.dumps(content | {"count": len(content["entries"])})


def without_the_first_entry(text: str) -> str:
    content = json.loads(text)
    return json.dumps(content | {"count": 2, "entries": content["entries"][1:]})


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("reject", "approve"),
        lambda text: text.replace("A. Reviewer", "B. Reviewer"),
        without_the_last_entry,
        without_the_last_entry_and_recounted,
        without_the_first_entry,
        lambda text: text[: len(text) // 2],
        lambda _: "",
        lambda _: "{}",
    ],
)
def test_a_ledger_that_was_changed_or_cut_is_refused(ledger: Decisions, change) -> None:
    path, _ = files(ledger)
    path.write_text(change(path.read_text()))
    with pytest.raises(StoreError, match="Restore the folder decisions of the home from a backup"):
        Decisions(ledger.home).entries()
    with pytest.raises(StoreError):
        ledger.append("audit", {})


@pytest.mark.parametrize("secret", ["", "0", "0" * 63, "G" * 64, "0" * 64 + "\n", "0" * 64])
def test_a_key_that_was_emptied_or_changed_is_refused_and_never_made_again(ledger: Decisions, secret) -> None:
    path, _ = files(ledger)
    files(ledger)[1].write_text(secret)
    before = path.read_bytes()
    with pytest.raises(StoreError):
        Decisions(ledger.home).entries()
    with pytest.raises(StoreError):
        ledger.append("audit", {})
    assert (path.read_bytes(), files(ledger)[1].read_text()) == (before, secret)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_ledger_without_its_key_or_a_key_without_its_ledger_is_damage(ledger: Decisions, missing) -> None:
    files(ledger)[missing].unlink()
    ledger.create()  # does not begin a second one
    with pytest.raises(StoreError, match="cannot be read"):
        Decisions(ledger.home).entries()


def test_an_entry_that_is_refused_is_not_written(ledger: Decisions) -> None:
    def refuse(entries) -> None:
        assert len(entries) == 3
        raise StoreError("not after this")

    with pytest.raises(StoreError, match="not after this"):
        ledger.append("promotion", {}, refuse=refuse)
    assert len(ledger.entries()) == 3


def test_processes_that_write_at_once_lose_no_entry(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from dnapredict.registry.decision_ledger import Decisions;"
        f"ledger = Decisions(Path({str(tmp_path)!r})); ledger.create();"
        "[ledger.append('audit', {'version': sys.argv[1]}) for _ in range(10)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    found = Decisions(tmp_path).entries()
    assert sorted(entry["version"] for entry in found) == [str(n) for n in range(2) for _ in range(10)]
    assert [path.name for path in tmp_path.iterdir()] == ["decisions"]


def emptied(ledger: Decisions) -> None:
    shutil.rmtree(ledger.home / "decisions")


def cut(ledger: Decisions) -> None:
    """Without its last entry, as somebody without the key can leave it: each seal is right."""
    path, _ = files(ledger)
    content = json.loads(path.read_text())
    entries = content["entries"][:-1]
    path.write_text(json.dumps(content | {"count": len(entries), "head": entries[-1]["seal"], "entries": entries}))


def created_again(ledger: Decisions) -> None:
    emptied(ledger)
    Decisions(ledger.home).create([NewEntry("training", {"version": "1", "model": "m"})] * 5)


@pytest.mark.parametrize("taken", [emptied, cut, created_again])
def test_a_ledger_that_was_emptied_cut_or_created_again_is_noticed_by_its_recorded_head(tmp_path: Path, taken) -> None:
    record = HeadInMemory()
    ledger = Decisions(tmp_path / "home", (record,))
    ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    ledger.append("audit", {"version": "1", "verdict": "PASS"})
    ledger.append("decision", {"decision": "reject", "name": "A. Reviewer"})
    taken(ledger)
    again = Decisions(tmp_path / "home", (record,))
    for use in (again.entries, lambda: (again.create(), again.entries()), lambda: again.append("audit", {})):
        with pytest.raises(StoreError, match="Restore the folder decisions of the home from a backup"):
            use()
    assert again.exists == (taken is not emptied)  # none is created in place of the missing one


def test_a_process_that_has_seen_an_entry_takes_no_ledger_without_it(ledger: Decisions) -> None:
    before = files(ledger)[0].read_bytes()
    ledger.append("audit", {"version": "1", "verdict": "FAIL"})
    ledger.entries()
    files(ledger)[0].write_bytes(before)
    with pytest.raises(UnverifiedDecisionError, match="is missing that was there before"):
        ledger.entries()


def test_a_head_that_could_not_be_recorded_is_recorded_with_the_next_entry(tmp_path: Path) -> None:
    record = HeadInMemory()
    ledger = Decisions(tmp_path / "home", (record,))
    ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    ledger.append("training", {"version": "2", "model": "n"})
    record.broken = True
    ledger.append("audit", {"version": "1", "verdict": "FAIL"})  # the result of the audit counts
    assert (record.head, len(ledger.entries())) == (f"2:{ledger.entries()[1].seal}", 3)
    with pytest.raises(StoreError, match="cannot be written"):  # but no further entry is added without a record
        ledger.append("audit", {"version": "1", "verdict": "PASS"})
    record.broken = False
    ledger.append("audit", {"version": "1", "verdict": "PASS"})
    assert record.head == f"4:{ledger.entries()[-1].seal}"


def test_once_the_head_is_recorded_a_removed_record_is_noticed(tmp_path: Path) -> None:
    records = HeadInMemory(), HeadInMemory()
    ledger = Decisions(tmp_path / "home", records)
    ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    for version in ("2", "3"):
        ledger.append("training", {"version": version, "model": version})
    records[1].head = ""
    with pytest.raises(StoreError, match="its last entry is not recorded in another place any more"):
        Decisions(ledger.home, records).entries()


def test_a_clock_that_is_turned_back_makes_no_entry_older_than_the_last(tmp_path: Path, monkeypatch) -> None:
    ledger = Decisions(tmp_path / "home")
    ledger.create([NewEntry("training", {"version": "1", "model": "m"})])
    first = ledger.entries()[0].at
    earlier = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    monkeypatch.setattr(decision_ledger, "utc_now", lambda: earlier)
    assert ledger.append("audit", {"version": "1"}).at == first
    assert ledger.now().isoformat(timespec="seconds") == first

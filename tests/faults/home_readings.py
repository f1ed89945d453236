"""What a home and an output folder say, in parts: to decide whether a state is the old one, the new one, or neither.

A fact is what one file says, or several that must be written together. So a run that deletes or writes many files is
judged file by file: each is there as it was, as it will be, or not there any more, whatever became of the others.
"""

import contextlib
import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq

from dnapredict.errors import DnapredictError

__all__ = ["Reading", "read"]

Reading = dict[str, list[str]]
"""Facts by part, each part sorted; identifiers and times that differ from run to run are left out."""

_REPORT_FIGURES = ("verdict", "gates")


def read(place: Path) -> Reading:
    """Every part of `place/home` and `place/out`."""
    found: Reading = {}
    for name, part in _PARTS.items():
        try:
            found[name] = sorted(part(place / "home"))
        except DnapredictError as error:
            found[name] = [f"refused: {str(error).replace(str(place), '')}"]
    return found | {"files": sorted(_outputs(place / "out"))}


def _champion(home: Path) -> Iterator[str]:
    from dnapredict.registry import CHAMPION, Registry

    registry = Registry(home)
    yield f"in use {registry.version_of(CHAMPION)}"


def _alias(home: Path) -> Iterator[str]:
    from dnapredict.registry import CHAMPION, Registry

    registry = Registry(home)
    yield f"usable {registry.usable(CHAMPION)}"


def _ledger(home: Path) -> Iterator[str]:
    from dnapredict.registry import Registry

    names = ("version", "content", "verdict", "gates", "decision", "name", "from")
    for entry in Registry(home).decisions():
        yield " ".join([entry.kind, *(f"{name}={entry[name]}" for name in names if entry[name])])


def _versions(home: Path) -> Iterator[str]:
    from dnapredict.registry import Registry

    registry = Registry(home)
    for summary in registry.versions():
        version, tags = summary.version, registry.tags(summary.version)
        for name in ("audit_verdict", "signed_decision", "signed_by"):
            if tags.get(name):
                yield f"{version} {name}={tags[name]}"
        if registry.report(version) is not None:
            yield f"{version} report"
        if registry.card(version):
            yield f"{version} card"


def _models(home: Path) -> Iterator[str]:
    from dnapredict.registry import Registry
    from dnapredict.registry.judgement import content_of

    registry = Registry(home)
    for summary in registry.versions():
        yield f"{summary.version} {content_of(registry.folder(summary.version))}"


def _challenger(home: Path) -> Iterator[str]:
    from dnapredict.registry import Registry

    yield Registry(home).version_of("challenger")


def _history(home: Path) -> Iterator[str]:
    from dnapredict.pipeline import history_in_use

    store = history_in_use(home)
    if store is not None:
        store.verify()
        for path in sorted(store.folder.glob("*.arrow")):
            yield f"{path.name} {_sha256(path.read_bytes())}"


def _lists(home: Path) -> Iterator[str]:
    from dnapredict.worklist.files import list_store

    for heading in list_store.headings(home):
        kept = list_store.find_shown(home, heading.list_id)
        assert kept is not None
        yield f"{heading.name} version {heading.model_version} {_sha256(repr(kept.worklist.to_pydict()).encode())}"


def _beside_lists(home: Path) -> Iterator[str]:
    from dnapredict.worklist.files import contact_details, latest_list, list_store, unscored_rows

    for heading in list_store.headings(home):
        if contacts := contact_details.read(home, heading.list_id):
            yield f"{heading.name}: {len(contacts)} contacts"
        if (unscored := unscored_rows.read(home, heading.list_id)) is not None:
            yield f"{heading.name}: {len(unscored.rows)} unscored"
    latest = latest_list.latest(home)
    yield f"latest {latest.heading.name if latest else ''}"


def _calls(home: Path) -> Iterator[str]:
    from dnapredict.service.log.answer_entries import Hashes
    from dnapredict.service.log.scoring_log import ScoringLog
    from dnapredict.service.logged_contacts import LoggedContacts
    from dnapredict.worklist.calls.calls_ledger import Ledger

    log = ScoringLog(home)
    ledger = Ledger(home, LoggedContacts(log, Hashes(home, log)))
    ledger.catch_up()  # as whatever reads it next does
    log.close()
    if not (home / "lists" / "calls.db").exists():
        return
    with contextlib.closing(sqlite3.connect(home / "lists" / "calls.db")) as connection:
        for row in connection.execute("SELECT appointment, outcome, effect FROM events"):
            yield "event " + " ".join(map(str, row))
        for (row,) in connection.execute("SELECT appointment FROM calls"):
            yield f"planned {row}"


def _opt_outs(home: Path) -> Iterator[str]:
    from dnapredict.worklist.calls.stated_opt_outs import opt_outs_of

    yield from opt_outs_of(home).patients()


def _log(home: Path) -> Iterator[str]:
    from sqlalchemy import select

    from dnapredict.service.log.log_tables import ACTIONS, ANSWERS
    from dnapredict.service.log.scoring_log import ScoringLog

    log = ScoringLog(home)
    log.verify()
    for row in log.query(select(ANSWERS)):
        yield f"answer {row.appointment} {row.probability} {row.rank} {row.selected}"
    for row in log.query(select(ACTIONS)):
        yield f"action {row.appointment} {row.outcome}"
    log.close()


def _outcomes(home: Path) -> Iterator[str]:
    from dnapredict.worklist.follow_up.outcome_store import OutcomeStore
    from dnapredict.worklist.follow_up.scored_rows import ScoredFiles

    store, files = OutcomeStore(home), ScoredFiles(home)
    if store.exists:
        rows = store.read()
        yield f"{rows.num_rows} rows, {_sha256(repr(rows.select(_stable(rows.column_names)).to_pydict()).encode())}"
    wrong = {*files.damaged(), *files.lost()}
    yield from (f"damaged or lost {path.name}" for path in wrong)
    for kind, paths in (("scored", files.lists()), ("challenger", files.challenger())):
        yield from (f"{kind} {pq.read_metadata(path).num_rows} rows" for path in paths if path not in wrong)


def _stable(names: list[str]) -> list[str]:
    return [name for name in names if name not in ("list", "list_id", "scored_at", "created_at", "joined_at")]


def _cycle(home: Path) -> Iterator[str]:
    for path in sorted((home / "cycle").glob("*/steps.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        yield from (f"step {step['name']}" for step in record["steps"])  # one after the other is recorded
        if record["is_done"]:
            yield "done"


def _published(home: Path) -> Iterator[str]:
    from dnapredict.fairness.disclosure import publication_memory

    publication_memory.verify(home)
    path = home / "published" / "published.json"
    yield str(path.exists() and path.read_text(encoding="utf-8").count('"at"'))


def _keys(home: Path) -> Iterator[str]:
    yield from (path.name for path in (home / "keys").glob("*.json"))


def _outputs(out: Path) -> Iterator[str]:
    """Worklists by their bytes, reports by their figures; what is hidden is a draft or a checkpoint, and no output."""
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        if path.is_dir() or name.startswith(".") or "/." in name:
            continue
        if path.name == "audit.json":
            try:
                figures = json.loads(path.read_text(encoding="utf-8"))
                yield f"{name} {json.dumps({key: figures.get(key) for key in _REPORT_FIGURES}, sort_keys=True)[:400]}"
            except ValueError:
                yield f"{name} is half"
        elif path.suffix in (".csv", ".parquet", ".xlsx") and "report" not in name:
            yield f"{name} {_sha256(path.read_bytes())}"
        else:
            yield f"{name} {'empty' if not path.stat().st_size else ''}"


_PARTS: dict[str, Callable[[Path], Iterator[str]]] = {
    "champion": _champion,
    "alias": _alias,
    "ledger": _ledger,
    "versions": _versions,
    "models": _models,
    "challenger": _challenger,
    "history": _history,
    "lists": _lists,
    "beside lists": _beside_lists,
    "calls": _calls,
    "opt-outs": _opt_outs,
    "scoring log": _log,
    "outcomes": _outcomes,
    "cycle": _cycle,
    "published": _published,
    "keys": _keys,
}


def lost(old: Reading, new: Reading, state: Reading) -> dict[str, list[str]]:
    """Facts that were there before and are there after a run that was not killed, and are missing."""
    return {
        part: gone
        for part in old
        if (gone := sorted(((Counter(old[part]) & Counter(new[part])) - Counter(state[part])).elements()))
    }


def half(old: Reading, new: Reading, state: Reading) -> dict[str, list[str]]:
    """Parts that are neither the old nor the new nor facts of the old and some of the new, with what is strange."""
    return {
        part: sorted(((Counter(state[part]) - Counter(old[part])) - Counter(new[part])).elements())
        for part in old
        if Counter(state[part]) - (Counter(old[part]) | Counter(new[part]))
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]

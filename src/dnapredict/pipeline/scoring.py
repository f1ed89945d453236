"""Score weekly lists: keep a history, open the one scoring path, write a worklist."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import ServiceConfig
from dnapredict.config.training_config import Setting
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.atomic_write import close_to_others, require_apart, whole
from dnapredict.data.files.file_lock import held
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import StoreError
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline.run_inputs import sound_extract, worklist_config
from dnapredict.registry import Registry
from dnapredict.worklist.batch import GivenHistory, Progress, score_file
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.contacts import RecordedContacts
from dnapredict.worklist.files import latest_list, worklist_files
from dnapredict.worklist.files import list_store as kept
from dnapredict.worklist.files.written_worklists import WrittenWorklists
from dnapredict.worklist.scorer import Scorer

Say = Callable[[str], None]

# Where the history of a home is kept.
HISTORY: Final = "history"
# Says that this home has a history, so that a folder that was lost is not taken for a home without one.
_HAS_HISTORY: Final = "history.json"

# Held while a history is read and written again, so that two appends do not lose one another's rows.
_APPENDING: Final = "history.lock"

_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True)
class ScoredList:
    """A list that was scored: counts for a person, and factors the list could not feed."""

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]
    has_history: bool
    notices: tuple[str, ...] = ()


def refresh(path: Path, *, home: Path, setting: Setting, append: bool = False, tell: Say | None = None) -> Checked:
    """Make the extract at `path` the history that lists and requests are scored with.

    With `append`, add it to the history in use; `tell` then gets a sentence with the counts.

    Raises
    ------
    DataError
        If the extract cannot be used, or with `append` changes what the history holds.
    StoreError
        If the history cannot be written, or with `append` there is none or it was written for another clock.
    """
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        close_to_others(home)
        clock = Clock.of(setting.training)
        if append:
            with held(home / _APPENDING, otherwise=f"{home}: another 'refresh --append' is running. Wait for it."):
                store = _history_to_append_to(home)
                _, added = store.append(
                    checked.rows, home / HISTORY, clock=clock, workspace=workspace, source=path.name
                )
            if tell:
                tell(str(added))
        else:
            HistoryStore.write(checked.rows, home / HISTORY, clock=clock, workspace=workspace)
    with whole(home / _HAS_HISTORY) as draft:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        draft.write_text(json.dumps({"refreshed_at": now}) + "\n", encoding="utf-8")
    return checked


def _history_to_append_to(home: Path) -> HistoryStore:
    store = history_in_use(home)
    if store is None:
        raise StoreError(f"{home}: has no history to append to. Run 'dnapredict refresh EXTRACT' without --append.")
    return store


def history_in_use(home: Path) -> HistoryStore | None:
    """The history that lists of this home are scored with; None where it never had one.

    Raises
    ------
    StoreError
        If the home has had a history and it is missing: without it nobody would have a past, and every
        risk would be another.
    """
    found = HistoryStore.current(home / HISTORY)
    if found is None and (home / _HAS_HISTORY).exists():
        raise StoreError(
            f"{home / HISTORY}: the history of this home is missing. Run 'dnapredict refresh EXTRACT' to "
            f"write it anew, or remove {home / _HAS_HISTORY} to score without a history."
        )
    return found


def score_list(
    path: Path,
    *,
    out: Path,
    home: Path,
    mapping: Mapping = IDENTITY,
    history: Path | None = None,
    model: str = "champion",
    capacity: int | None = None,
    tell: Say | None = None,
    progress: Progress | None = None,
    recorded: RecordedContacts | None = None,
) -> ScoredList:
    """Score the weekly list at `path` and write the worklist to `out`, every row exactly once.

    `tell` hears what is unusual about how the list is written, and under which name a worklist is kept
    that was at `out` before and is not as it was written. `recorded` is the scoring log, which knows who
    was reached and who asked not to be called.

    Raises
    ------
    UsageError
        If `out` is the list or another file that is read, or ends in no form that can be written.
    """
    worklist_files.require_form(out)
    require_apart({"--out": out}, {"LIST": path, "--history": history, **mapping.files_read})
    written = WrittenWorklists(home)

    def keep(earlier: Path) -> None:
        kept = written.keep_changed(earlier)
        if kept and tell:
            tell(f"{earlier.name}: was there before and is not as it was written. It is kept as {kept.name}.")

    scorer = open_scorer(home, model=model, mapping=mapping, recorded=recorded)
    past = GivenHistory(history, partial(_history_of, history, scorer=scorer)) if history else None
    done = score_file(
        path,
        out,
        scorer=scorer,
        history=past,
        capacity=capacity,
        tell=tell,
        progress=progress or (lambda *_: None),
        before_replacing=keep,
    )
    written.note(out)
    unknown = scorer.unknown_factors(done.present)
    saved = latest_list.save(
        home,
        done.first,
        name=path.name,
        model_version=scorer.model_version,
        synthetic=scorer.synthetic,
        counts=latest_list.Counts(done.rows, done.selected, done.rejected),
        note=scorer.note(path.name, day=datetime.datetime.now(datetime.UTC).date(), unknown=unknown).with_notices(
            done.notices
        ),
        notices=done.notices,
    )
    # A team may work on the list that was scored before, and on this one when the next is scored.
    kept.keep_latest(home, saved)
    retention = load(shipped("serving/service.toml"), ServiceConfig).retention
    kept.forget_older(home, saved.saved_at.timestamp() - retention.list_days * _SECONDS_A_DAY)
    return ScoredList(
        rows=done.rows,
        selected=done.selected,
        rejected=done.rejected,
        model_version=scorer.model_version,
        unknown_factors=unknown,
        has_history=history is not None or scorer.history() is not None,
        notices=done.notices,
    )


def open_scorer(
    home: Path,
    *,
    model: str = "champion",
    mapping: Mapping = IDENTITY,
    recorded: RecordedContacts | None = None,
) -> Scorer:
    """The one scoring path, with a model of the registry and the history of the home.

    `recorded` is the scoring log. Without it, who was reached is known as far as the home's calls database
    holds it.

    Raises
    ------
    ModelError
        If the registry holds no such model, or `promote` did not put it in use; the message says which
        command does.
    GateFailedError
        If its audit or the decision on it stands no longer.
    """
    registry = Registry(home)
    version = registry.usable(model)
    return Scorer(
        stored=load_model(registry.folder(version)),
        model_version=version,
        worklist=worklist_config(),
        history=lambda: history_in_use(home),
        mapping=mapping,
        ledger=Ledger(home, recorded),
    )


def _history_of(path: Path, place: Path, *, scorer: Scorer) -> HistoryStore:
    config = scorer.stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = sound_extract(path, Setting(scorer.mapping, config), workspace)
        return HistoryStore.write(checked.rows, place, clock=Clock.of(config), workspace=workspace)

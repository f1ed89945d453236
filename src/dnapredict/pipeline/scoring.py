"""Score weekly lists: store the history, open a scorer, write a worklist."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from dnapredict.config.loading import load, shipped
from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Retention, ServiceConfig
from dnapredict.config.training_config import Setting
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.files.atomic_write import close_to_others, require_apart, write_atomically
from dnapredict.data.files.file_lock import locked
from dnapredict.data.files.newest_marks import NewestMark
from dnapredict.data.retention_clock import is_clock_believed
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import StoreError
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import CURRENT, REFRESHED, HistoryStore
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline.in_use.outcome_linkage import bring_back, was_scored
from dnapredict.pipeline.in_use.trial_planning import trial_on
from dnapredict.pipeline.run_inputs import sound_extract, worklist_config
from dnapredict.registry import Registry
from dnapredict.registry.audit_book import AuditBook
from dnapredict.worklist.batch import HistoryExtract, Progress, score_file
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.known_contacts import RecordedContacts
from dnapredict.worklist.calls.recorded_calls import CallRecords
from dnapredict.worklist.files import contact_details, latest_list, list_store, worklist_files
from dnapredict.worklist.files.kept_list import Counts, KeptList, ListIdentity
from dnapredict.worklist.files.output_folders import FolderUse, note_folder, remove_staging
from dnapredict.worklist.files.worklist_files import WrittenWorklists
from dnapredict.worklist.follow_up.scored_rows import ScoredRows
from dnapredict.worklist.plan.call_capacity import differ_from_audited
from dnapredict.worklist.plan.working_days import local_today
from dnapredict.worklist.scorer import Scorer

Say = Callable[[str], None]

# Folder of the history in a home.
HISTORY: Final = "history"
# Marker that this home has a history, so that a lost folder is not mistaken for a home without one. It says since when
# the one in use is: retention of the one before counts from there.
_HAS_HISTORY: Final = REFRESHED

# Lock held while a history is read and rewritten, so that two appends do not lose each other's rows.
_APPENDING: Final = "history.lock"
# What the engine may hold of an extract before it goes to disk; files of the history are written beside it.
_MEMORY: Final = "2GB"

_BY_BENEFIT: Final = (
    "This list is ranked by how much a call is expected to help, as the randomised trial of the calls showed, and not "
    "by risk."
)
_SECONDS_A_DAY: Final = 86_400
_TRIES: Final = 3


@dataclass(frozen=True)
class ScoredList:
    """The result of scoring a list: counts, the factors for which the list has no columns, and as what it is kept."""

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]
    has_history: bool
    notices: tuple[str, ...] = ()
    identity: ListIdentity | None = None

    @property
    def counts(self) -> Counts:
        """The numbers of appointments, in the words of the page."""
        return Counts(self.rows, self.selected, self.rejected)


def refresh(
    path: Path,
    *,
    home: Path,
    setting: Setting,
    append: bool = False,
    say: Say | None = None,
    records: CallRecords | None = None,
    retention: Retention = Retention(),  # noqa: B008 - frozen
) -> Checked:
    """Store the extract at `path` as the history for scoring lists and requests.

    With `append`, add it to the history in use. Where appointments were scored in this home, their outcomes are brought
    back too (`pipeline.in_use.outcome_linkage`), with the calls in `records`. `say` receives sentences with the counts.

    Raises
    ------
    DataError
        If the extract cannot be used, or with `append` changes what the history holds.
    StoreError
        If the history cannot be written, or with `append` there is none or it was written for another clock.
    """
    with Workspace(memory_limit=_MEMORY) as workspace:
        checked = sound_extract(path, setting, workspace)
        close_to_others(home)
        clock = Clock.of(setting.training)
        if append:
            busy = f"{home}: another 'refresh --append' is running. Wait for it."
            with locked(home / _APPENDING, busy_message=busy):
                store = _history_to_append_to(home)
                _, added = store.append(
                    checked.rows,
                    home / HISTORY,
                    clock=clock,
                    workspace=workspace,
                    source=path.name,
                    mark=newest_history(home),
                )
            if say:
                say(str(added))
        else:
            mark = newest_history(home)
            HistoryStore.write(checked.rows, home / HISTORY, clock=clock, workspace=workspace, mark=mark)
        mark_refreshed(home)
        if was_scored(home, records):
            rejected = checked.rejected.num_rows
            summary = bring_back(
                checked.rows, rejected=rejected, home=home, setting=setting, records=records, retention=retention
            )
            for sentence in summary.sentences():
                (say or (lambda _: None))(sentence)
    return checked


def mark_refreshed(home: Path) -> None:
    """Note that the home has a history from now on, so that a lost one is missed."""
    with write_atomically(home / _HAS_HISTORY) as draft:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        draft.write_text(json.dumps({"refreshed_at": now}) + "\n", encoding="utf-8")


def newest_history(home: Path) -> NewestMark:
    """The mark of the newest history, which names it by its digest and not by a count."""
    loses = "attendances since then are missing until 'dnapredict refresh EXTRACT' reads them again"
    return NewestMark(home, HISTORY, "the history", loses)


def _history_to_append_to(home: Path) -> HistoryStore:
    store = history_in_use(home)
    if store is None:
        raise StoreError(f"{home}: has no history to append to. Run 'dnapredict refresh EXTRACT' without --append.")
    return store


def history_in_use(home: Path) -> HistoryStore | None:
    """The history with which this home scores lists; None where it never had one.

    Raises
    ------
    StoreError
        If the home has had a history and it is missing: without it every patient would count as new, and every
        risk would differ. If it is older than the last one that was written.
    """
    history = _newest_in_use(home)
    if history is None and (home / _HAS_HISTORY).exists():
        raise StoreError(
            f"{home / HISTORY}: the history of this home is missing. Run 'dnapredict refresh EXTRACT' to "
            f"write it again, or remove {home / _HAS_HISTORY} to score without a history."
        )
    return history


def _newest_in_use(home: Path) -> HistoryStore | None:
    mark = newest_history(home)
    for _ in range(_TRIES):  # another process may replace the history between the two
        history, newest = HistoryStore.current(home / HISTORY), mark.read()
        if history is None or newest is None or history.digest in (newest.seal, newest.before):
            return history
    raise mark.older(str(home / HISTORY / CURRENT))


def score_list(
    path: Path,
    *,
    out: Path,
    home: Path,
    mapping: Mapping = IDENTITY,
    history: Path | None = None,
    model: str = "champion",
    capacity: int | None = None,
    say: Say | None = None,
    progress: Progress | None = None,
    recorded: RecordedContacts | None = None,
    worklist: WorklistConfig | None = None,
) -> ScoredList:
    """Score the weekly list at `path` and write the worklist to `out`, every row exactly once.

    `say` receives a sentence on anything unusual in the file, and the new name of an earlier worklist at `out` that
    somebody has changed. `recorded` is the scoring log, which knows who was reached and who opted out of
    calls. `worklist` takes the place of serving/worklist.toml.

    Raises
    ------
    UsageError
        If `out` is one of the inputs, or has an ending that cannot be written.
    """
    worklist_files.require_format(out)
    require_apart({"--out": out}, {"LIST": path, "--history": history, **mapping.files_read})
    written = WrittenWorklists(home)

    def note(draft: Path) -> None:
        renamed = written.keep_changed(out.resolve()) if out.exists() else None
        if renamed and say:
            say(f"{out.name}: was there before and is not as it was written. It is kept as {renamed.name}.")
        written.note(out, draft=draft)

    scorer = open_scorer(home, model=model, mapping=mapping, recorded=recorded, worklist=worklist)
    note_folder(home, out.parent, FolderUse.SCORING)
    past = HistoryExtract(history, partial(history_from, history, scorer=scorer)) if history else None
    identity = ListIdentity.new()
    done = score_file(
        path,
        out,
        scorer=scorer,
        history=past,
        capacity=capacity,
        say=say,
        progress=progress or (lambda *_: None),
        before_publishing=note,
        identity=identity,
    )
    unknown = scorer.unknown_factors(done.present)
    permitted = scorer.note(path.name, day=local_today(scorer.zone), unknown=unknown)
    kept = KeptList.new(
        done.first,
        name=path.name,
        model_version=scorer.model_version,
        synthetic=scorer.synthetic,
        counts=Counts(done.rows, done.selected, done.rejected),
        note=permitted.with_notices(done.notices),
        notices=done.notices,
        timezone=scorer.mapping.timezone,
        identity=identity,
    )
    # A team may still work on the earlier list, and on this one after the next is scored.
    list_store.keep(home, latest_list.save_latest(home, kept))
    retention = load(shipped("serving/service.toml"), ServiceConfig).retention
    contact_details.keep_those_of(home, kept, done.contacts, contact_days=retention.contact_days)
    if is_clock_believed(home):
        list_store.remove_older(home, kept.heading.created_at.timestamp() - retention.list_days * _SECONDS_A_DAY)
        contact_details.remove_due(home)
        remove_staging(home, retention)
    return ScoredList(
        rows=done.rows,
        selected=done.selected,
        rejected=done.rejected,
        model_version=scorer.model_version,
        unknown_factors=unknown,
        has_history=history is not None or scorer.history() is not None,
        notices=done.notices,
        identity=identity,
    )


def open_scorer(
    home: Path,
    *,
    model: str = "champion",
    mapping: Mapping = IDENTITY,
    recorded: RecordedContacts | None = None,
    worklist: WorklistConfig | None = None,
) -> Scorer:
    """A scorer with a model of the registry and the history of the home.

    `recorded` is the scoring log. Without it, only the home's calls database says who was reached. `worklist` takes the
    place of serving/worklist.toml.

    Raises
    ------
    ModelError
        If the registry holds no such model, or `promote` did not put it in use; the message says which
        command does.
    GateFailedError
        If its audit or the decision on it no longer allows it.
    """
    registry, worklist = Registry(home), worklist or worklist_config(home)
    version = registry.usable(model)
    AuditBook(registry).require_lists_not_failed(version, alike=lambda rules: not differ_from_audited(worklist, rules))
    notices = (
        registry.notice(version),
        other_lists_notice(registry, version, worklist=worklist),
        _BY_BENEFIT if worklist.rank_by == "benefit" else "",
    )
    ledger = Ledger(home, recorded)
    return Scorer(
        stored=load_model(registry.folder(version)),
        model_version=version,
        worklist=worklist,
        history=lambda: history_in_use(home),
        mapping=mapping,
        ledger=ledger,
        notices=tuple(filter(None, notices)),
        scored_rows=ScoredRows(home, ledger.hashed),
        trial=partial(trial_on, home=home, worklist=worklist),
    )


def other_lists_notice(registry: Registry, version: str, *, worklist: WorklistConfig) -> str:
    """The sentence to print with each list that is made by other rules than the audited ones; "" otherwise."""
    audited = AuditBook(registry).call_rules(version)
    if audited is None or not differ_from_audited(worklist, audited):
        return ""
    return (
        f"The audit of model version {version} was about another number of calls, or another rule that shares them "
        "(`serving/worklist.toml`), so that it does not show whom these lists reach. Audit it again "
        "(`dnapredict audit`)."
    )


def history_from(path: Path, folder: Path, *, scorer: Scorer) -> HistoryStore:
    """The extract at `path`, written to `folder` as a history for the lists of `scorer`."""
    config = scorer.stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = sound_extract(path, Setting(scorer.mapping, config), workspace)
        return HistoryStore.write(checked.rows, folder, clock=Clock.of(config), workspace=workspace)

"""Score weekly lists: keep a history, open the one scoring path, write a worklist."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.setting import Setting
from dnapredict.data.checked import Checked
from dnapredict.data.workspace import Workspace
from dnapredict.features.clock import Clock
from dnapredict.features.store import HistoryStore
from dnapredict.lists import files, latest
from dnapredict.lists.contacts import RecordedContacts
from dnapredict.lists.ledger import Ledger
from dnapredict.lists.long import GivenHistory, Progress, score_file
from dnapredict.lists.scoring import Scorer
from dnapredict.prepared import sound_extract, worklist_config
from dnapredict.risk.artefact import load as load_model
from dnapredict.tracking import Registry

__all__ = ["HISTORY", "Scored", "open_scorer", "refresh", "score_list"]


Say = Callable[[str], None]

# Where the history of a home is kept.
HISTORY: Final = "history"


@dataclass(frozen=True)
class Scored:
    """A list that was scored: counts for a person, and factors the list could not feed."""

    rows: int
    selected: int
    rejected: int
    model_version: str
    unknown_factors: tuple[str, ...]
    has_history: bool
    notices: tuple[str, ...] = ()


def refresh(path: Path, *, home: Path, setting: Setting) -> Checked:
    """Make the extract at `path` the history that lists and requests are scored with."""
    with Workspace() as workspace:
        checked = sound_extract(path, setting, workspace)
        clock = Clock.of(setting.training)
        HistoryStore.write(checked.rows, home / HISTORY, clock=clock, workspace=workspace)
    return checked


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
) -> Scored:
    """Score the weekly list at `path` and write the worklist to `out`, every row exactly once.

    `tell` hears what is unusual about how the list is written. `recorded` is the scoring log, which knows who
    was reached and who asked not to be called.
    """
    files.require_form(out)
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
    )
    unknown = scorer.unknown_factors(done.present)
    latest.save(
        home,
        done.first,
        name=path.name,
        model_version=scorer.model_version,
        synthetic=scorer.synthetic,
        counts=latest.Counts(done.rows, done.selected, done.rejected),
        note=scorer.note(
            path.name, day=datetime.datetime.now(datetime.UTC).date(), unknown=unknown
        ).with_notices(done.notices),
        notices=done.notices,
    )
    return Scored(
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
        If the registry holds no such model; the message says which command makes one.
    """
    registry = Registry(home)
    version = registry.version_of(model)
    return Scorer(
        stored=load_model(registry.folder(version)),
        model_version=version,
        worklist=worklist_config(),
        history=lambda: HistoryStore.current(home / HISTORY),
        mapping=mapping,
        ledger=Ledger(home, recorded),
    )


def _history_of(path: Path, place: Path, *, scorer: Scorer) -> HistoryStore:
    config = scorer.stored.manifest.provenance.config
    with Workspace() as workspace:
        checked = sound_extract(path, Setting(scorer.mapping, config), workspace)
        return HistoryStore.write(checked.rows, place, clock=Clock.of(config), workspace=workspace)

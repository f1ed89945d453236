"""Score a list with the challenger too, after it is delivered, so that both models can be compared later.

The challenger decides nothing: no rank, no call, no word of a list. Its risks are kept beside those of the champion
(`worklist.follow_up.scored_rows`) until the outcomes are known.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.data.engine.duckdb_engine import Workspace
from dnapredict.data.readers import table_file
from dnapredict.errors import DnapredictError
from dnapredict.model.artefact import load as load_model
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.pipeline.scoring import history_from, history_in_use
from dnapredict.registry import CHALLENGER, CHAMPION, Registry
from dnapredict.worklist.batch import PART_ROWS
from dnapredict.worklist.calls.calls_ledger import Ledger
from dnapredict.worklist.calls.known_contacts import RecordedContacts
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.follow_up.scored_rows import ScoredRows
from dnapredict.worklist.predictions import Predictor
from dnapredict.worklist.scorer import Scorer

_MEMORY: Final = "1GB"


def challenger_version(home: Path) -> str:
    """The version that MLflow calls `challenger`; "" where there is none, or it is the champion.

    Raises
    ------
    StoreError
        If the registry cannot be read.
    """
    registry = Registry(home)
    if not registry.has(CHALLENGER):
        return ""
    version = registry.version_of(CHALLENGER)
    return "" if registry.has(CHAMPION) and registry.version_of(CHAMPION) == version else version


def open_challenger(home: Path, version: str, *, recorded: RecordedContacts | None = None) -> Scorer:
    """A scorer with that version, for risks alone: it need not have been audited, and no list is made with it.

    Raises
    ------
    ModelError
        If its stored model is missing or damaged.
    """
    return Scorer(
        stored=load_model(Registry(home).folder(version)),
        model_version=version,
        worklist=worklist_config(),
        history=lambda: history_in_use(home),
        scored_rows=ScoredRows(home, Ledger(home, recorded).hashed),
    )


def score_with_challenger(
    path: Path,
    *,
    home: Path,
    identity: ListIdentity,
    mapping: Mapping = IDENTITY,
    history: Path | None = None,
    recorded: RecordedContacts | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Score the list at `path`, which the champion scored as `identity`, where the home has a challenger.

    A failure is reported and raises nothing: the list is delivered already.
    """
    version = ""
    try:
        version = challenger_version(home)
        if version:
            challenger = open_challenger(home, version, recorded=recorded).with_mapping(mapping)
            _score_file(path, challenger, identity=identity, history=history)
    except DnapredictError as error:
        say(f"The challenger did not score this list, which is not affected. {error}")
    except Exception as error:  # noqa: BLE001 - an untried model must not make a delivered list fail
        say(f"The challenger did not score this list, which is not affected ({type(error).__name__}).")


def _score_file(path: Path, challenger: Scorer, *, identity: ListIdentity, history: Path | None) -> None:
    with Workspace(memory_limit=_MEMORY) as workspace:
        if history is not None:
            own = history_from(history, workspace.new_folder(), scorer=challenger)
            challenger = replace(challenger, history=lambda: own)
        checked = challenger.checked(table_file.read(path, workspace), workspace)
        points = workspace.materialise(checked.rows)
        predictor = Predictor(challenger.stored, with_reasons=False)
        past = challenger.past(points, clock=predictor.clock, workspace=workspace)
        parts = predictor.predict_in_parts(points, past, rows=PART_ROWS, workspace=workspace)
        risks = pa.concat_tables(part() for part in parts).select(["row_number", "probability"])
        ids = workspace.fetch(f"SELECT row_number, appointment_id FROM {points.get_name()} ORDER BY row_number")
    risks_by_id = ids.append_column("probability", risks["probability"])
    challenger.record_risks([(risks_by_id, identity)])

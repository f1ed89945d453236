"""Answer `POST /v1/score`, and keep a request with several appointments as a list for the page."""

import datetime
import logging
from pathlib import Path
from typing import Final

import pyarrow as pa

from dnapredict.errors import StoreError
from dnapredict.service.api.champion import Champion
from dnapredict.service.api.request_models import ScoreRequest, as_table
from dnapredict.service.api.response_models import ScoreAnswer, results
from dnapredict.service.log.answer_entries import AnswerLog
from dnapredict.service.scorer_protocol import ScorerProtocol
from dnapredict.worklist.files.list_store import KeptList, save_latest
from dnapredict.worklist.files.worklist_files import notices_of

_LOG: Final = logging.getLogger("dnapredict.service")
# One appointment is a single query; two or more are a list that people may want to work through.
_FEWEST_FOR_A_LIST: Final = 2
_LIST_NAME: Final = "A list sent by another system"


def answer(request: ScoreRequest, *, champion: Champion, logbook: AnswerLog, home: Path) -> ScoreAnswer:
    """Score the appointments of `request` with the current champion, and log the answers.

    Raises
    ------
    ModelError
        If no model is loaded yet.
    StoreError
        If the scoring log cannot be written: no answer is given that is not logged.
    DnapredictError
        Whatever the scorer refuses.
    """
    at = datetime.datetime.now(datetime.UTC)
    scorer = champion.require()
    worklist = scorer.score(as_table(request.appointments), capacity=None, reasons=request.reasons)
    notices = notices_of(worklist)
    for notice in notices:
        _LOG.error("%s", notice)
    logbook.note(worklist, rows=dict(enumerate(request.appointments, start=1)), scorer=scorer, at=at)
    _keep(worklist, scorer=scorer, home=home)
    return ScoreAnswer(
        model_version=scorer.model_version,
        created_at=at,
        results=results(worklist),
        notices=list(notices),
    )


def _keep(worklist: pa.Table, *, scorer: ScorerProtocol, home: Path) -> None:
    """Keep a list for the page. If that fails (full disk), the caller is answered all the same."""
    if worklist.num_rows < _FEWEST_FOR_A_LIST:
        return
    try:
        kept = KeptList.new(
            worklist,
            name=_LIST_NAME,
            model_version=scorer.model_version,
            synthetic=scorer.synthetic,
            notices=notices_of(worklist),
        )
        save_latest(home, kept)
    except StoreError as error:
        _LOG.error("%s", error)

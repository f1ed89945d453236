"""Risks of the rows of a frame, for `pyfunc_model`: of contract rows, or of rows with one column for each factor.

Contract rows take the path of `dnapredict score`: contract, history, factors, risk. The rows of a frame know each
other, as those of a list do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.contract.columns import COLUMNS
from dnapredict.data.readers.frames import arrow_of_frame
from dnapredict.errors import DataError, StoreError
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.model.artefact import StoredModel, load
from dnapredict.worklist.scorer import Scorer

SITE: Final = "site_code"
_CONTRACT: Final = frozenset(column.name for column in COLUMNS)
_REQUIRED: Final = tuple(column.name for column in COLUMNS if column.required)


@dataclass(frozen=True)
class RowRisks:
    """A stored model, and the history that its patients' past is read from."""

    stored: StoredModel
    history: Callable[[], HistoryStore | None] = lambda: None

    @classmethod
    def open(cls, folder: Path, *, history: str = "") -> "RowRisks":
        """Load the stored model in `folder` and, if it is given, open a history.

        Parameters
        ----------
        history
            A home, or the folder `history` of one, as `dnapredict refresh` writes it. Without it every patient counts
            as unknown, except for what the rows of the frame say of each other.

        Raises
        ------
        ModelError
            If the model is not as it was written.
        StoreError
            If there is no history, or it is damaged.
        """
        stored = load(folder)
        if not history:
            return cls(stored)
        root = _history_folder(Path(history))
        _current(root)
        return cls(stored, lambda: _current(root))

    def of(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Risk of each row, in the order given; NaN for a row that breaks the contract.

        Raises
        ------
        DataError
            If neither the contract's required columns nor all factors have a column, or a column mixes types. The
            message names columns and holds no value: MLflow's own check would print the patients' rows.
        """
        if self._has_factors(frame):
            return self._of_factors(frame)
        missing = [name for name in _REQUIRED if name not in frame.columns]
        if missing:
            raise DataError(f"The frame lacks {self._lacking(frame, missing)}")
        rows = arrow_of_frame(frame[[name for name in frame.columns if name in _CONTRACT]], "frame")
        return self._scorer.risk_of_each_row(rows.cast(pa.schema([_as_text(field) for field in rows.schema])))

    @property
    def _scorer(self) -> Scorer:
        worklist = WorklistConfig.model_construct()  # no list is planned, so that no setting is read
        return Scorer(self.stored, model_version="", worklist=worklist, history=self.history)

    def _has_factors(self, frame: pd.DataFrame) -> bool:
        """Whether the rows hold factors; a model may use contract columns alone, such as the age."""
        factors, given = set(self.stored.model.factors), set(frame.columns)
        return factors <= given and (bool(factors - _CONTRACT) or not set(_REQUIRED) <= given)

    def _of_factors(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        matrix = frame[list(self.stored.model.factors)].to_numpy(dtype=np.float64, na_value=np.nan)
        sites = frame[SITE].tolist() if SITE in frame.columns else None
        return self.stored.model.probability(matrix, sites=sites)

    def _lacking(self, frame: pd.DataFrame, missing: list[str]) -> str:
        factors = [name for name in self.stored.model.factors if name not in frame.columns]
        return (
            f"the columns {', '.join(missing)} of contract rows (training/DATA.md). "
            f"As rows of factors it lacks {', '.join(factors) or 'none'}."
        )


def _as_text(field: pa.Field) -> pa.Field:
    """The field as text where it has no type, since all is missing, or is a category."""
    is_text = pa.types.is_null(field.type) or pa.types.is_dictionary(field.type)
    return field.with_type(pa.string()) if is_text else field


def _history_folder(path: Path) -> Path:
    return path / "history" if (path / "history").is_dir() else path


def _current(root: Path) -> HistoryStore:
    history = HistoryStore.current(root)
    if history is None:
        raise StoreError(f"{root}: holds no history. 'dnapredict refresh EXTRACT' writes one to a home.")
    return history

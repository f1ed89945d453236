"""Score appointments: the one path that file, page and request all take.

appointments -> contract -> history -> factors -> risk -> reasons -> worklist
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from dnapredict.config.mapping import IDENTITY, Mapping
from dnapredict.config.worklist import WorklistConfig
from dnapredict.data import contract
from dnapredict.data.checked import Checked
from dnapredict.data.extract import ROW_NUMBER
from dnapredict.data.lending import lent
from dnapredict.data.workspace import Workspace
from dnapredict.features.build import Past
from dnapredict.features.clock import Clock
from dnapredict.features.store import HistoryStore
from dnapredict.lists.answers import PLACES, worklist_table
from dnapredict.lists.judging import Judge
from dnapredict.lists.plan import WEIGHED, planned
from dnapredict.risk.artefact import StoredModel

__all__ = ["Scorer"]

_NOTE: Final = (
    "Use: offer patients who may miss their appointment a call, transport, an interpreter, another time.",
    "Never for overbooking, discharge, delaying or withholding care.",
    "A risk is linked with what is recorded; it says nothing about why a person misses an appointment.",
)


@dataclass(frozen=True)
class Scorer:
    """A model with all it needs to score: the history it may know and the rules of the worklist.

    `history` is asked for anew at every list, so that a refreshed one is taken up at once.
    """

    stored: StoredModel
    model_version: str
    worklist: WorklistConfig
    history: Callable[[], HistoryStore | None] = lambda: None
    mapping: Mapping = IDENTITY

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on made-up patients."""
        return self.stored.manifest.provenance.synthetic

    def score(self, appointments: pa.Table, *, capacity: int | None = None, reasons: bool = True) -> pa.Table:
        """The worklist of `appointments`: every row exactly once, in rank order, bad rows last.

        Parameters
        ----------
        appointments
            Contract columns, or the source columns of `mapping`, as text or typed; `row_number`
            where the rows have numbers of their own, otherwise they count from 1.
        capacity
            Calls that can be made; otherwise as `serving/worklist.toml` says.
        reasons
            Whether to say why, in at most three sentences a row.

        Returns
        -------
        Table with the columns of `lists.answers.COLUMNS`.

        Raises
        ------
        DataError
            If a required column is missing. A bad row is no error: it comes back with its own.
        ConfigurationError
            If the list's deprivation deciles are of another release than the model learned from.
        """
        judge = Judge(self.stored, reasons)
        with lent(rows=appointments.num_rows) as workspace:
            checked = self.checked(workspace.keep(_numbered(appointments)), workspace)
            # The sound rows are read many times over: once they are a table, that costs nothing.
            points = workspace.compute(f"FROM {checked.rows.get_name()}")
            past = self.past(points, clock=judge.clock, workspace=workspace)
            beside = tuple(dict.fromkeys(("appointment_id", *PLACES, *WEIGHED)))
            judged = judge.judged(points, past, beside=beside, workspace=workspace)
        plan = planned(judged, config=self.worklist, capacity=capacity)
        return worklist_table(judged, plan, checked.rejected, model_version=self.model_version)

    def checked(self, table: ir.Table, workspace: Workspace) -> Checked:
        """The rows of a list held against the contract, and its deciles against the model's release."""
        checked = contract.check(table, workspace, mapping=self.mapping, source="list", future=True)
        self.stored.manifest.provenance.require_release(checked.entry.areas.release)
        return checked

    def past(self, points: ir.Table, *, clock: Clock, workspace: Workspace) -> Past:
        """What may be known of `points`: the history, if there is one, and what they say themselves."""
        history = self.history()
        if history is None:
            return Past.of(points, clock=clock, workspace=workspace)
        return history.past(points, clock=clock, workspace=workspace)

    def with_history(self, history: HistoryStore) -> "Scorer":
        """The same scorer, knowing another history."""
        return replace(self, history=lambda: history)

    def through(self, mapping: Mapping) -> "Scorer":
        """The same scorer for lists of another shape."""
        return replace(self, mapping=mapping)

    def note(self, name: str) -> str:
        """What a reader of the list called `name` must know: its origin, and what it is never for."""
        synthetic = ["SYNTHETIC: made-up patients, for demonstration only."] if self.synthetic else []
        return "\n".join([*synthetic, f"Worklist for {name}, model version {self.model_version}.", *_NOTE])

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        """Factors of the model that a list with the columns `present` cannot feed: "not known" to it."""
        register = self.stored.manifest.provenance.register_of_factors
        return tuple(
            name
            for name in self.stored.model.factors
            if not present.union({"outcome_code"}).issuperset(register.factor(name).columns)
        )


def _numbered(appointments: pa.Table) -> pa.Table:
    if ROW_NUMBER in appointments.column_names:
        return appointments
    return appointments.append_column(ROW_NUMBER, pa.array(np.arange(1, appointments.num_rows + 1)))

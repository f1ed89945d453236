"""Score appointments: the one path that file, page and request all take.

appointments -> contract -> history -> factors -> risk -> reasons -> worklist
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.engine_pool import Engine, borrow_engine
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import NO_WISHES, Checked
from dnapredict.features.matrix import Past
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.model.artefact import StoredModel
from dnapredict.worklist.answer_table import PLACES, with_notices, worklist_table
from dnapredict.worklist.calls.calls_ledger import Ledger, PlannedCall, list_name
from dnapredict.worklist.calls.known_contacts import Known
from dnapredict.worklist.files.cover_sheet import note_of
from dnapredict.worklist.files.excel_worklist import Note
from dnapredict.worklist.files.latest_list import KEPT_ROWS
from dnapredict.worklist.plan.call_plan import OPTED_OUT, REACHED, UNCALLED, CallPlan, planned
from dnapredict.worklist.plan.ranking import WEIGHED, RankingInputs
from dnapredict.worklist.predict import Judge


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
    ledger: Ledger | None = None

    @property
    def synthetic(self) -> bool:
        """Whether the model was trained on made-up patients."""
        return self.stored.manifest.provenance.synthetic

    def score(
        self,
        appointments: pa.Table,
        *,
        capacity: int | None = None,
        reasons: bool = True,
        remember: bool = False,
    ) -> pa.Table:
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
        remember
            Whether this is a list that somebody works through, so that its calls are recorded as planned.

        Returns
        -------
        Table with the columns of `worklist.answer_table.COLUMNS`.

        Raises
        ------
        DataError
            If a required column is missing. A bad row is no error: it comes back with its own.
        ConfigurationError
            If the list's deprivation deciles are of another release than the model learned from.
        """
        judge = Judge(self.stored, reasons, self.worklist.needs)
        with borrow_engine(rows=appointments.num_rows) as engine:
            judged, checked = self._judged(_numbered(appointments), judge, engine)
        plan = self.planned(judged, capacity=capacity, wished=checked.wished)
        notices = plan.notices
        if remember:
            name = list_name([judged["appointment_id"].to_pylist()])
            notices = (*notices, *self.remember(plan, judged, name=name))
        worklist = worklist_table(judged, plan.table, checked.rejected, model_version=self.model_version)
        return with_notices(worklist, notices)

    def _judged(self, appointments: pa.Table, judge: Judge, workspace: Engine) -> tuple[pa.Table, Checked]:
        """What is said of the rows that keep the contract, and what became of all rows."""
        checked = self.checked(workspace.keep(appointments), workspace)
        # The sound rows are read many times over: once they are a table, that costs nothing.
        points = workspace.materialise(checked.rows)
        past = self.past(points, clock=judge.clock, workspace=workspace)
        extra_columns = tuple(dict.fromkeys(("appointment_id", *PLACES, *WEIGHED)))
        return judge.judged(points, past, extra_columns=extra_columns, workspace=workspace), checked

    def planned(self, judged: pa.Table, *, capacity: int | None, wished: pa.Table = NO_WISHES) -> CallPlan:
        """What is to be done with the rows of a list, given who was reached and who asked not to be called.

        `wished` are rows that could not be judged and say that too, as in `Checked`.

        Raises
        ------
        SecretError
            If a secret of the home is missing, damaged or another one.
        """
        known = Known() if self.ledger is None else self.ledger.known(judged)
        days = self.worklist.mute_days

        def is_muted(standing: RankingInputs, row: int) -> bool:
            return known.mutes(row, standing.call_by[row].astype(object), mute_days=days)

        return planned(
            judged,
            config=self.worklist,
            capacity=capacity,
            is_muted=is_muted,
            barred=_barred(judged, known, wished),
            notices=known.notices,
        )

    def remember(self, plan: CallPlan, judged: pa.Table, *, name: str) -> tuple[str, ...]:
        """Record whom the list `name` plans to call, and whose appointments stand on it.

        Returns
        -------
        Notices, where that cannot be done.

        Raises
        ------
        SecretError
            If a secret of the home is missing, damaged or another one.
        """
        if self.ledger is None:
            return ()
        calls = (_call(judged, row, due=plan.call_by) for row in plan.called.tolist())
        return self.ledger.plan(name, (call for call in calls if call is not None), listed=_shown(judged, plan))

    def checked(self, table: ir.Table, workspace: Engine) -> Checked:
        """The rows of a list held against the contract, and its deciles against the model's release."""
        checked = contract_check.check(table, workspace, mapping=self.mapping, source="list", future=True)
        self.stored.manifest.provenance.require_release(checked.entry.areas.release)
        return checked

    def past(self, points: ir.Table, *, clock: Clock, workspace: Engine) -> Past:
        """What may be known of `points`: the history, if there is one, and what they say themselves."""
        history = self.history()
        if history is None:
            return Past.of(points, clock=clock, workspace=workspace)
        return history.past(points, clock=clock, workspace=workspace)

    def with_history(self, history: HistoryStore | None) -> "Scorer":
        """The same scorer, knowing this history and none that is written later."""
        return replace(self, history=lambda: history)

    def through(self, mapping: Mapping) -> "Scorer":
        """The same scorer for lists of another shape."""
        return replace(self, mapping=mapping)

    def note(self, name: str, *, day: datetime.date, unknown: Sequence[str] = ()) -> Note:
        """What a reader of the list called `name` must know: see `worklist.files.cover_sheet`."""
        return note_of(
            name,
            day=day,
            model_version=self.model_version,
            provenance=self.stored.manifest.provenance,
            config=self.worklist,
            unknown=unknown,
        )

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        """Factors of the model that a list with the columns `present` cannot feed: "not known" to it."""
        register = self.stored.manifest.provenance.register_of_factors
        return tuple(
            name
            for name in self.stored.model.factors
            if not present.union({"outcome_code"}).issuperset(register.factor(name).columns)
        )


def _barred(judged: pa.Table, known: Known, elsewhere: pa.Table) -> NDArray[np.int64]:
    """Rows that are not called about: of patients who asked for that, or who were reached already.

    A wish in one row of the list holds for all of the patient's rows, also in one that could not be judged
    (`elsewhere`).
    """
    barred = np.full(judged.num_rows, UNCALLED)
    barred[list(known.settled)] = REACHED
    wished = pc.fill_null(judged["opt_out"], False)
    patients = [*judged["patient_id"].filter(wished).to_pylist(), *elsewhere["patient_id"].to_pylist()]
    for name, values in (("patient_id", patients), ("appointment_id", elsewhere["appointment_id"].to_pylist())):
        known_values = pa.array({value for value in values if value is not None}, pa.string())
        theirs = pc.is_in(judged[name].cast(pa.string()), value_set=known_values)
        wished = pc.or_(wished, pc.fill_null(theirs, False))
    barred[np.asarray(wished, dtype=bool)] = OPTED_OUT
    barred[list(known.opted_out)] = OPTED_OUT
    return barred


def _shown(judged: pa.Table, plan: CallPlan) -> Iterator[tuple[str, str]]:
    """Appointment and patient of the rows that a page shows, about which people record what they did."""
    shown = pc.less_equal(plan.table["rank"], KEPT_ROWS)
    rows = judged.select(["appointment_id", "patient_id"]).filter(shown)
    for appointment, patient in zip(*(column.cast(pa.string()).to_pylist() for column in rows.columns), strict=True):
        if patient is not None:
            yield appointment, patient


def _call(judged: pa.Table, row: int, *, due: NDArray[np.datetime64]) -> PlannedCall | None:
    """The call about a row; None where its patient or clinic is not known, which cannot be told apart."""
    named = (judged[name][row].as_py() for name in ("appointment_id", "patient_id", "clinic_code"))
    appointment, patient, clinic = named
    if patient is None or clinic is None:
        return None
    return PlannedCall(appointment, patient, clinic, due[row].astype(object))


def _numbered(appointments: pa.Table) -> pa.Table:
    if ROW_NUMBER in appointments.column_names:
        return appointments
    return appointments.append_column(ROW_NUMBER, pa.array(np.arange(1, appointments.num_rows + 1)))

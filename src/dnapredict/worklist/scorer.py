"""Score appointments: the same path for the page, the API, files and watched folders.

appointments -> contract -> history -> factors -> risk and reasons -> plan of the calls -> worklist
"""

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.data.engine.prepared_queries import Engine, borrow_engine
from dnapredict.data.files.digests import SecretError
from dnapredict.data.readers.csv_dialect import ROW_NUMBER
from dnapredict.data.validation import contract_check
from dnapredict.data.validation.checked import Checked
from dnapredict.errors import StoreError
from dnapredict.features.matrix import Past
from dnapredict.features.scoring_clock import Clock
from dnapredict.features.store.history_store import HistoryStore
from dnapredict.model.artefact import StoredModel
from dnapredict.worklist.calls.calls_ledger import Ledger, PlannedCall, list_digest
from dnapredict.worklist.calls.known_contacts import KnownContacts
from dnapredict.worklist.calls.trial_register import TrialRegister
from dnapredict.worklist.files.excel_worklist import Note, note_of
from dnapredict.worklist.files.kept_list import ListIdentity
from dnapredict.worklist.files.latest_list import KEPT_ROWS
from dnapredict.worklist.files.worklist_files import with_notices
from dnapredict.worklist.follow_up.scored_rows import ScoredRows
from dnapredict.worklist.plan.call_assignment import OPTED_OUT, REACHED, UNANSWERED, UNCALLED
from dnapredict.worklist.plan.call_plan import CallPlan, plan_calls
from dnapredict.worklist.plan.opt_outs import of_the_same_patients, opted_out_rows, patients_in_file
from dnapredict.worklist.plan.ranking import text_codes
from dnapredict.worklist.plan.trial_arms import FEWEST_ROWS, RunningTrial
from dnapredict.worklist.plan.working_days import local_today
from dnapredict.worklist.predictions import EXTRA_COLUMNS, Predictions, PredictionsInMemory, Predictor, Worklist

_NO_CALLS: Final = (
    "A trial of the calls runs here: calls are planned, and risks shown, for lists that a team works on and that have "
    f"at least {FEWEST_ROWS} appointments. This one has neither."
)


@dataclass(frozen=True)
class Scorer:
    """A model with everything that scoring needs: history, calls ledger and worklist configuration.

    `history` is called for each list, so that a refreshed history is used at once. `notices` are sentences for the
    readers of each list, such as that the conditions of the model have ended. `trial` gives the register of the trial
    that runs on a day, None where none does.
    """

    stored: StoredModel
    model_version: str
    worklist: WorklistConfig
    history: Callable[[], HistoryStore | None] = lambda: None
    mapping: Mapping = IDENTITY
    ledger: Ledger | None = None
    notices: tuple[str, ...] = ()
    scored_rows: ScoredRows | None = None
    trial: Callable[[datetime.date], TrialRegister | None] = lambda _: None

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
        record_calls: bool = False,
        identity: ListIdentity | None = None,
    ) -> pa.Table:
        """The worklist of `appointments`: every row exactly once, in rank order, rejected rows last.

        Parameters
        ----------
        appointments
            Contract columns, or the source columns of `mapping`, as text or typed; `row_number`
            where the rows are numbered already, otherwise they count from 1.
        capacity
            Calls that can be made; otherwise as `serving/worklist.toml` says.
        reasons
            Whether to give reasons, at most three sentences a row.
        record_calls
            Whether a team will work through this list, so that its calls are recorded as planned. While a trial runs,
            a list that nobody works through has no calls, and risks of calls only.
        identity
            The list as which the answers are kept, so that its rows are recorded until their outcomes are known.

        Returns
        -------
        Table with the columns of `worklist.files.worklist_columns.SCHEMA`.

        Raises
        ------
        DataError
            If a required column is missing. An invalid row is not an error: it is returned with its error.
        ConfigurationError
            If the list's deprivation deciles are of another release than the model learned from.
        """
        predictor = Predictor(self.stored, reasons, self.worklist.needs)
        with borrow_engine(rows=appointments.num_rows) as engine:
            predictions, checked = self._predict(_numbered(appointments), predictor, engine)
        worklist = self.assemble(
            PredictionsInMemory(predictions), checked, capacity=capacity, is_worked_on=record_calls
        )
        recorded = self.record_calls(worklist) if record_calls else ()
        recorded += () if identity is None else self.record_scored(worklist, identity)
        return with_notices(pa.concat_tables(worklist.tables()), (*worklist.plan.notices, *recorded))

    def _predict(self, appointments: pa.Table, predictor: Predictor, workspace: Engine) -> tuple[pa.Table, Checked]:
        """The predictions of the valid rows, and the result of the check of all rows."""
        checked = self.checked(workspace.keep(appointments), workspace)
        # Materialised, since the valid rows are read many times.
        points = workspace.materialise(checked.rows)
        past = self.past(points, clock=predictor.clock, workspace=workspace)
        return predictor.predict(points, past, extra_columns=EXTRA_COLUMNS, workspace=workspace), checked

    def risks(self, appointments: pa.Table) -> pa.Table:
        """`appointment_id` and `probability` of the valid rows of `appointments`, without reasons or a plan.

        Raises
        ------
        DataError, ConfigurationError
            As `score`.
        """
        return self._risks(_numbered(appointments)).select(["appointment_id", "probability"])

    def risk_of_each_row(self, appointments: pa.Table) -> NDArray[np.float64]:
        """The risk of each row of contract columns in the order given; NaN for a row that breaks the contract.

        Raises
        ------
        DataError, ConfigurationError
            As `score`.
        """
        predictions = self._risks(_numbered(appointments))
        risks = np.full(appointments.num_rows, np.nan)
        risks[predictions[ROW_NUMBER].to_numpy() - 1] = predictions["probability"].to_numpy()
        return risks

    def _risks(self, numbered: pa.Table) -> pa.Table:
        """The predictions of the valid rows of a list with row numbers, without reasons."""
        with borrow_engine(rows=numbered.num_rows) as engine:
            return self._predict(numbered, Predictor(self.stored, with_reasons=False), engine)[0]

    def record_risks(self, scored: Sequence[tuple[pa.Table, ListIdentity]]) -> None:
        """Record the risks by this model of lists that another one scored first: `risks` of each, and the list.

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        if self.scored_rows is not None:
            self.scored_rows.record_challenger(scored, version=self.model_version)

    def assemble(
        self,
        predictions: Predictions,
        checked: Checked,
        *,
        capacity: int | None,
        today: datetime.date | None = None,
        is_worked_on: bool = True,
    ) -> Worklist:
        """Plan the calls of a list, and assemble its worklist.

        Patients who were reached lately or asked not to be called are passed over. `today` is the day of scoring, by
        default the clock's. While a trial runs, it allocates the patients of a list that somebody works on.

        Raises
        ------
        SecretError
            If a secret of the home is missing, damaged or replaced by another.
        ConfigurationError
            If a trial should run and is not registered, or was changed since.
        """
        inputs = predictions.ranking_inputs
        known = KnownContacts() if self.ledger is None else self.ledger.known(inputs)
        today = today or local_today(self.zone)
        unanswered = known.unanswered(today, most_attempts=self.worklist.attempts)
        opted_out, unknown = self._opt_outs(inputs, checked.opt_outs)
        register = self.trial(today)
        allocates = is_worked_on and inputs.num_rows >= FEWEST_ROWS
        plan = plan_calls(
            inputs,
            config=self.worklist,
            capacity=capacity,
            muted=partial(known.muted, mute_days=self.worklist.mute_days),
            excluded=rows_without_call(inputs, known, opted_out=opted_out, unanswered=unanswered),
            notices=(*self.notices, *_trial_notices(register, allocates=allocates), *known.notices, *unknown),
            today=today,
            trial=None if register is None else RunningTrial(register, allocates),
        )
        if register is not None:
            register.note(_appointments_in_trial(inputs, plan))
        return Worklist(predictions, plan, checked.rejected, self.model_version)

    def _opt_outs(self, inputs: pa.Table, refused: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
        """The opt-outs of `refused` rows, of earlier lists and of the trust's file, and notices on unknown ones.

        Raises
        ------
        ConfigurationError
            If there should be a file of opt-outs and there is none that can be read.
        """
        patients: list[pa.Array] = [pa.array([], pa.string())]
        notices: list[str] = []
        path = self.worklist.opt_out_file
        if path is not None:
            patients.append(patients_in_file(path, inputs["patient_id"], mapping=self.mapping))
        if self.ledger is not None:
            try:
                patients.append(self.ledger.stated.remember(inputs))
            except SecretError:
                raise
            except StoreError as error:
                notices.append(f"Opt-outs of earlier lists are not known here; ask before each call. {error}")
        others = pa.concat_arrays(patients)
        known = pa.table({"appointment_id": pa.nulls(len(others), pa.string()), "patient_id": others})
        return pa.concat_tables([refused.select(known.column_names).cast(known.schema), known]), tuple(notices)

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone of the clinics whose lists are scored."""
        return ZoneInfo(self.mapping.timezone)

    def record_calls(self, worklist: Worklist) -> tuple[str, ...]:
        """Record the planned calls of a worklist, and the patient of each appointment on the page.

        Returns
        -------
        Notices, if that fails.

        Raises
        ------
        SecretError
            If a secret of the home is missing, damaged or replaced by another.
        """
        if self.ledger is None:
            return ()
        inputs, plan = worklist.predictions.ranking_inputs, worklist.plan
        digest = list_digest(chunk.to_pylist() for chunk in inputs["appointment_id"].chunks)
        calls = (_call(inputs, row, call_by=plan.call_by) for row in plan.called.tolist())
        shown = _patients_shown(inputs.filter(pc.less_equal(plan.table["rank"], KEPT_ROWS)))
        return self.ledger.plan(digest, (call for call in calls if call is not None), listed=shown)

    def record_scored(self, worklist: Worklist, identity: ListIdentity) -> tuple[str, ...]:
        """Record what was scored on a list, until its outcomes are known; return notices, if that fails."""
        if self.scored_rows is None:
            return ()
        inputs = worklist.predictions.ranking_inputs
        return self.scored_rows.record(inputs, worklist.plan, identity=identity, model_version=self.model_version)

    def checked(self, table: ir.Table, workspace: Engine) -> Checked:
        """Check the rows of a list against the contract, and its deciles against the model's release."""
        checked = contract_check.check(table, workspace, mapping=self.mapping, source="list", future=True)
        self.stored.manifest.provenance.require_release(checked.ingest.areas.release)
        return checked

    def past(self, points: ir.Table, *, clock: Clock, workspace: Engine) -> Past:
        """The past of `points`: the history, if there is one, and the list itself."""
        history = self.history()
        if history is None:
            return Past.of(points, clock=clock, workspace=workspace)
        return history.past(points, clock=clock, workspace=workspace)

    def with_mapping(self, mapping: Mapping) -> "Scorer":
        """The same scorer for lists with other columns."""
        return replace(self, mapping=mapping)

    def note(self, name: str, *, day: datetime.date, unknown: Sequence[str] = ()) -> Note:
        """The note of the list called `name`: see `worklist.files.excel_worklist`."""
        note = note_of(
            name,
            day=day,
            model_version=self.model_version,
            provenance=self.stored.manifest.provenance,
            config=self.worklist,
            unknown=unknown,
        )
        return replace(note, timezone=self.mapping.timezone)

    def unknown_factors(self, present: frozenset[str]) -> tuple[str, ...]:
        """Factors of the model that a list with the columns `present` cannot feed."""
        register = self.stored.manifest.provenance.register_of_factors
        return tuple(
            name
            for name in self.stored.model.factors
            if not present.union({"outcome_code"}).issuperset(register.factor(name).columns)
        )


def rows_without_call(
    inputs: pa.Table, known: KnownContacts, *, opted_out: pa.Table, unanswered: Sequence[int] = ()
) -> NDArray[np.int64]:
    """Rows that are not called whatever their risk: of patients who opted out, were reached, or did not answer.

    An opt-out in one row of the list applies to all rows of the patient, even if that row was rejected.
    """
    excluded = np.full(inputs.num_rows, UNCALLED)
    excluded[list(unanswered)] = UNANSWERED
    excluded[list(known.settled)] = REACHED
    is_out = opted_out_rows(inputs, refused=opted_out)
    excluded[of_the_same_patients(is_out, text_codes(inputs["patient_id"]))] = OPTED_OUT
    excluded[list(known.opted_out)] = OPTED_OUT
    return excluded


def _trial_notices(register: TrialRegister | None, *, allocates: bool) -> tuple[str, ...]:
    """What the readers of a list of a trial are told: nothing that differs between the arms."""
    if register is None:
        return ()
    if not allocates:
        return (_NO_CALLS,)
    end = register.trial.end
    sentence = (
        f"The trial '{register.trial.name}' runs until {end.day} {end:%B %Y}: risk and reasons are shown for calls "
        "only. Call whom the list names, and nobody else because of a risk that you know from elsewhere."
    )
    return (sentence,)


def _appointments_in_trial(inputs: pa.Table, plan: CallPlan) -> Iterator[str]:
    arms = plan.table["trial_arm"].to_pylist()
    appointments = inputs["appointment_id"].cast(pa.string()).to_pylist()
    return (each for each, arm in zip(appointments, arms, strict=True) if arm is not None and each is not None)


def _patients_shown(shown: pa.Table) -> Iterator[tuple[str, str]]:
    """Appointment and patient of the rows on the page, on which people record outcomes."""
    columns = (shown[name].cast(pa.string()).to_pylist() for name in ("appointment_id", "patient_id"))
    return ((appointment, patient) for appointment, patient in zip(*columns, strict=True) if patient is not None)


def _call(inputs: pa.Table, row: int, *, call_by: NDArray[np.datetime64]) -> PlannedCall | None:
    """The call about a row; None if patient or clinic is unknown, since such calls cannot be told apart."""
    names = ("appointment_id", "patient_id", "clinic_code")
    appointment, patient, clinic = (inputs[name][row].as_py() for name in names)
    if patient is None or clinic is None:
        return None
    return PlannedCall(appointment, patient, clinic, call_by[row].astype(object))


def _numbered(appointments: pa.Table) -> pa.Table:
    if ROW_NUMBER in appointments.column_names:
        return appointments
    return appointments.append_column(ROW_NUMBER, pa.array(np.arange(1, appointments.num_rows + 1)))

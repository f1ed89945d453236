"""Compare two versions on live appointments, which the champion scored and the challenger in the background.

Both scored the same lists at the same moment with the same history, so that they knew the same; on the test sets of two
trainings they may not have, which is reported. Appointments whose patient was reached by a call are left out, since the
call may have changed the outcome.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dnapredict.data.small_numbers import SMALLEST_EVALUATED
from dnapredict.model.artefact import Provenance
from dnapredict.model.artefact import load as load_model
from dnapredict.model.cohort import BOOKED_1_DAY, EVERYONE, WEEKLY, patient_codes
from dnapredict.model.evaluate.metric_intervals import ModelComparison, paired_difference
from dnapredict.model.evaluate.risk_metrics import compute_metrics
from dnapredict.registry import Registry
from dnapredict.worklist.follow_up.outcome_store import OutcomeStore

_COLUMNS: Final = (
    *("appointment", "patient", "model_version", "probability", "challenger_version", "challenger_probability"),
    *("starts_at", "booked_at", "missed", "contacted"),
)
_SEED: Final = 20_261_129
_DAYS_OF_A_WEEK: Final = 7


def compare_live(home: Path, one: str, other: str) -> ModelComparison | None:
    """The risks of two versions on the same live appointments; None where fewer than 100 have a known outcome.

    Populations are `all`, `booked_1_day` and `weekly`.

    Raises
    ------
    StoreError
        If the outcome store is damaged.
    """
    store = OutcomeStore(home)
    if not store.exists:
        return None
    rows = _scored_by_both(store.read(_COLUMNS), one, other)
    if rows.num_rows < SMALLEST_EVALUATED:
        return None
    is_champion = pc.equal(rows["model_version"], one).to_numpy()
    champion, challenger = (rows[name].to_numpy() for name in ("probability", "challenger_probability"))
    risk, rival = np.where(is_champion, champion, challenger), np.where(is_champion, challenger, champion)
    dna = rows["missed"].to_numpy().astype(np.bool_)
    patient, masks = patient_codes(rows["patient"]), _populations(rows)
    return ModelComparison(
        one={name: compute_metrics(dna[mask], risk[mask]) for name, mask in masks.items()},
        other={name: compute_metrics(dna[mask], rival[mask]) for name, mask in masks.items()},
        differences=MappingProxyType(
            {
                name: paired_difference(dna[mask], risk[mask], rival[mask], patient=patient[mask], seed=_SEED)
                for name, mask in masks.items()
            }
        ),
    )


def _scored_by_both(rows: pa.Table, one: str, other: str) -> pa.Table:
    """The appointments with a known outcome and both risks, whose patient no call reached, in order of time."""
    pair = [
        pc.and_(pc.equal(rows["model_version"], first), pc.equal(rows["challenger_version"], second))
        for first, second in ((one, other), (other, one))
    ]
    uncalled = pc.invert(pc.fill_null(rows["contacted"], False))
    known = pc.and_(pc.is_valid(rows["missed"]), pc.is_valid(rows["challenger_probability"]))
    chosen = pc.and_(pc.and_(known, uncalled), pc.fill_null(pc.or_(*pair), False))
    return rows.filter(chosen).sort_by([("starts_at", "ascending"), ("appointment", "ascending")])


def _populations(rows: pa.Table) -> Mapping[str, NDArray[np.bool_]]:
    days = [rows[name].to_numpy().astype("datetime64[D]") for name in ("starts_at", "booked_at")]
    lead = (days[0] - days[1]).astype(np.float64)
    lead[np.isnat(days[1])] = np.nan
    return {EVERYONE: np.ones(len(lead), dtype=bool), BOOKED_1_DAY: lead >= 1, WEEKLY: lead >= _DAYS_OF_A_WEEK}


def unequal_knowledge(registry: Registry, one: str, other: str) -> tuple[str, ...]:
    """Sentences on what one version knew on its test set and the other did not; none where both knew the same."""
    return tuple(_differences(one, _provenance(registry, one), other, _provenance(registry, other)))


def _provenance(registry: Registry, version: str) -> Provenance:
    return load_model(registry.folder(version)).manifest.provenance


def _differences(one: str, mine: Provenance, other: str, theirs: Provenance) -> Iterator[str]:
    horizons = mine.config.horizon_days, theirs.config.horizon_days
    if horizons[0] != horizons[1]:
        yield (
            f"They knew different things: version {one} scored {horizons[0]} days before each appointment, and version "
            f"{other} {horizons[1]} days before. The one that scores later knows more, whichever model is better."
        )
    delays = mine.config.recording_delay_days, theirs.config.recording_delay_days
    if delays[0] != delays[1]:
        yield (
            f"They knew different outcomes: version {one} took an outcome as known {delays[0]} days after the "
            f"appointment where the extract does not say, and version {other} {delays[1]} days."
        )
    if mine.data_from != theirs.data_from:
        yield (
            f"Their histories begin on different days: that of version {one} on {mine.data_from}, and that of version "
            f"{other} on {theirs.data_from}. The longer one knows more of each patient."
        )
    if mine.data_to != theirs.data_to:
        yield (
            f"Version {one} learned from appointments up to {mine.data_to}, and version {other} up to {theirs.data_to}."
        )

"""A synthetic integrated care board: appointments in the contract's columns, and their true risk.

No row is, or comes from, a real person. The rates of the standard world are close to published ones
(docs/synthetic-icb.md). Patients have a lasting tendency to miss that is in no column, so that a model can learn it
only from their past, as with real patients.
"""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dnapredict import __version__
from dnapredict.data.engine import running_step
from dnapredict.data.files.atomic_write import SHARED_FILE, require_apart, write_atomically
from dnapredict.data.readers.table_file import is_synthetic
from dnapredict.errors import UsageError
from dnapredict.synthetic import appointment_table, pathways, people, places, true_risk, visit_outcomes, visits
from dnapredict.synthetic.calendar import AS_OF, generator
from dnapredict.synthetic.worlds import World

_BLOCK: Final = 200_000  # appointments made at a time: what bounds memory
_MAP, _CLINICS, _PATIENTS, _ALONE, _REFERRALS = range(5)  # random streams of one seed


@dataclass(frozen=True)
class Simulated:
    """The files that were written, and what they hold.

    Attributes
    ----------
    as_of
        Local time at which the extract was drawn: later appointments have no outcome.
    geography
        Whether the areas are real or made up, in words.
    """

    path: Path
    truth: Path | None
    appointments: int
    patients: int
    seed: int
    world: World
    as_of: datetime.datetime
    geography: str


@dataclass(frozen=True)
class _SharedParts:
    """Parameters, map and clinics that all blocks share."""

    seed: int
    world: World
    places: places.Places
    clinic_risks: true_risk.Clinics
    clinics: int


def simulate(
    out: Path,
    *,
    appointments: int,
    seed: int,
    truth: Path | None = None,
    world: World = World(),  # noqa: B008 (frozen)
    lookup: Path | None = None,
) -> Simulated:
    """Write `appointments` rows to the Parquet file `out`, and their true risk to `truth`.

    Eighteen months of outpatients and the two weeks to come, by patient and then by time. Equal
    arguments give equal files. Both files appear whole or not at all, and say in their metadata
    (`dnapredict.synthetic`) that they are synthetic, and of which seed, world and geography.

    Parameters
    ----------
    appointments
        Rows, at least 1; memory does not depend on it.
    seed
        0 or more.
    truth
        Parquet: appointment_id, probability (of a DNA if not cancelled, when scored a week ahead),
        recorded_probability (the same with the trust's recording errors), knowable_probability (the best
        that could be known of that without the patient's tendency and withheld traits), cause.
    lookup
        CSV of real LSOAs (lsoa21_code, imd_decile, longitude, latitude); without it the map is made up.

    Raises
    ------
    UsageError
        If `appointments` or `seed` is out of range, or a file is not NAME.parquet in a folder that exists.
        If a file is there already that is not synthetic, or is `lookup`.
    DataError
        If `lookup` cannot be read.
    StoreError
        If a file cannot be written; nothing is left of it.
    """
    if appointments < 1 or seed < 0:
        raise UsageError("A simulation needs at least 1 appointment and a seed of 0 or more.")
    _require_parquet(out, truth)
    require_apart({"OUT": out, "--truth": truth}, {"--lookup": lookup})
    setting = _shared_parts(seed=seed, world=world, lookup=lookup, appointments=appointments)
    notes = _notes(setting, appointments=appointments)
    with contextlib.ExitStack() as files:
        rows = files.enter_context(_written(out, appointment_table.APPOINTMENTS, notes))
        true = files.enter_context(_written(truth, appointment_table.TRUTH, notes)) if truth else None
        patients = 0
        running_step.begin("Making up appointments", of=appointments)
        for number, done in enumerate(range(0, appointments, _BLOCK)):
            size = min(_BLOCK, appointments - done)
            block = _block(setting, number, size=size, offsets=(done, patients), with_truth=true is not None)
            rows.write_table(block.rows)
            if true and block.truth:
                true.write_table(block.truth)
            patients += block.patients
            running_step.advance(done + size)
    return Simulated(out, truth, appointments, patients, seed, world, AS_OF, setting.places.geography)


def _require_parquet(out: Path, truth: Path | None) -> None:
    """Refuse names that are not Parquet: only its metadata can say that nobody in the file is real."""
    for path in filter(None, (out, truth)):
        if path.suffix != ".parquet" or not path.parent.is_dir():
            raise UsageError(f"{path}: name a file that ends in .parquet, in a folder that exists.")
        if path.exists() and not is_synthetic(path):
            raise UsageError(
                f"{path}: exists already, and is not synthetic. Made-up appointments never replace "
                "real ones; give another name."
            )
    if truth and (out.resolve() == truth.resolve() or (truth.exists() and out.exists() and out.samefile(truth))):
        raise UsageError(f"{out}: --truth must name another file than OUT.")


@dataclass(frozen=True)
class _Block:
    rows: pa.Table
    truth: pa.Table | None
    patients: int


def _shared_parts(*, seed: int, world: World, lookup: Path | None, appointments: int) -> _SharedParts:
    """Draw the map and the clinics; a larger extract has more sites and clinics."""
    rng = generator(seed, _MAP)
    sites = int(np.clip(4 + appointments // 40_000, 4, 28))
    map_ = places.real_places(lookup, rng, sites=sites) if lookup else places.made_up_places(rng, sites=sites)
    each = int(np.clip(appointments // (sites * 30_000), 1, pathways.CLINICS_MOST))
    clinic_risks = true_risk.draw_clinics(generator(seed, _CLINICS), sites=sites, each=each, world=world)
    return _SharedParts(seed, world, map_, clinic_risks, each)


def _block(setting: _SharedParts, number: int, *, size: int, offsets: tuple[int, int], with_truth: bool) -> _Block:
    """Some patients and all of their appointments, from the random stream of the block."""
    rng = generator(setting.seed, _PATIENTS, number)
    each = people.appointments_per_patient(rng, total=size)
    population = people.draw_patients(rng, setting.places, patients=len(each))
    world = setting.world
    if world.group and world.thin_history:
        apart = people.in_group(population, world.group)
        population = people.split(population, each, apart=apart, rng=generator(setting.seed, _ALONE, number))
        each = np.repeat(np.where(apart, 1, each), np.where(apart, each, 1))
    planned = visits.plan_visits(rng, each, tendency=population.tendency)
    assigned = pathways.assign_pathways(
        rng, population, visits=planned, places=setting.places, clinics=setting.clinics, tilt=world.group_effects
    )
    booked = pathways.booking_times(rng, planned, assigned)
    errors = np.full(len(population.age), world.trust_errors)
    if world.group:
        errors[people.in_group(population, world.group)] = world.trust_errors_in_group
    scored = pathways.scoring_times(planned, booked)
    log_odds = true_risk.log_odds(
        population, planned, assigned, booked=booked, clinics=setting.clinic_risks, world=world
    )
    outcomes = visit_outcomes.draw_outcomes(
        rng,
        planned,
        booked=booked,
        scored=scored,
        log_odds=log_odds,
        errors=errors[planned.patient],
    )
    referred = pathways.draw_referrals(
        generator(setting.seed, _REFERRALS, number),
        population,
        planned,
        assigned,
        booked=booked,
        outcome=outcomes.code,
    )
    rows = appointment_table.appointments(
        population,
        planned,
        assigned,
        outcomes,
        referrals=referred,
        places=setting.places,
        booked=booked,
        offsets=offsets,
    )
    if not with_truth:
        return _Block(rows, None, len(each))
    hidden = true_risk.unobserved_traits(population, world=world)
    known = true_risk.knowable_risk(planned, outcomes, hidden=hidden, log_odds=log_odds, scored=scored)
    return _Block(rows, appointment_table.truth(outcomes, knowable=known, offset=offsets[0]), len(each))


def _notes(setting: _SharedParts, *, appointments: int) -> dict[str, str]:
    return {
        "dnapredict.synthetic": "true",
        "dnapredict.note": "Synthetic appointments: no row is, or comes from, a real person.",
        "dnapredict.version": __version__,
        "dnapredict.seed": str(setting.seed),
        "dnapredict.world": str(setting.world),
        "dnapredict.appointments": str(appointments),
        "dnapredict.as_of": AS_OF.isoformat(),
        "dnapredict.geography": setting.places.geography,
    }


@contextlib.contextmanager
def _written(path: Path, schema: pa.Schema, notes: dict[str, str]) -> Iterator[pq.ParquetWriter]:
    """A writer of a Parquet file that gets its name only when it is complete."""
    with (
        write_atomically(path, mode=SHARED_FILE) as draft,
        pq.ParquetWriter(draft, schema.with_metadata(notes)) as writer,
    ):
        yield writer

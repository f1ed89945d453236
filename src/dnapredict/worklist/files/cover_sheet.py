"""The cover sheet of a worklist: provenance, permitted and prohibited use, and limitations."""

import datetime
from collections.abc import Iterator, Sequence

from dnapredict.config.worklist_config import WorklistConfig
from dnapredict.model.artefact import Provenance
from dnapredict.worklist.files.excel_worklist import Note

_USE = (
    "Use: offer patients who may miss their appointment a call, transport, an interpreter, another time.",
    "Never for overbooking, discharge, delaying or withholding care.",
    "A risk is linked with what is recorded; it says nothing about why a person misses an appointment.",
    (
        "Limits: most patients on the list will come, those with a high risk among them; some who are not "
        "called will not. A patient whose history is not kept here counts as new."
    ),
    "The file holds data about patients. Keep it as such, and remove it once the list is worked through.",
)


def note_of(
    name: str,
    *,
    day: datetime.date,
    model_version: str,
    provenance: Provenance,
    config: WorklistConfig,
    unknown: Sequence[str] = (),
) -> Note:
    """The note of the list called `name`, scored on `day`.

    `unknown` are factors of the model that the list could not feed.
    """
    needs = tuple((need.said, need.kind or "confirm", need.evidence) for need in config.needs)
    synthetic = ("SYNTHETIC: made-up patients, for demonstration only.",) if provenance.synthetic else ()
    trained_on = f"{_day(provenance.data_from)} to {_day(provenance.data_to)}"
    missing = f"The list lacks columns for: {', '.join(unknown)}. They counted as not known."
    return Note(
        lines=(
            *synthetic,
            f"Worklist for {name}, model version {model_version}, scored on {_day(day)}.",
            *_USE,
            f"The model learned from appointments of {trained_on}.",
            *((missing,) if unknown else ()),
            *_rules(config),
        ),
        tables=(
            ("Bands", _bands(config)),
            ("What is offered, and what is known of its effect on missed appointments", _offers(config)),
            *((("What a patient needs, whatever the reasons are", needs),) if config.needs else ()),
        ),
        day=day,
        bands=tuple(band.name for band in config.bands),
        outcomes=config.outcomes,
        title=f"Worklist for {name}",
    )


def _rules(config: WorklistConfig) -> Iterator[str]:
    """The meaning of 'selected' and of the action, and who is not called."""
    yield (
        "Rows with TRUE in 'selected' are the calls to make. One call is about all appointments of a patient "
        "that are near to each other."
    )
    if config.call_working_days_before is not None:
        yield f"A call is due {config.call_working_days_before} working days before the appointment."
    if config.mute_days:
        days = config.mute_days
        yield f"A patient who was reached is not called again for the same clinic within {days} days."
    yield "A patient who asked not to be called is not called."
    if config.outcomes:
        yield "Put into the last column what became of a call."


def _bands(config: WorklistConfig) -> tuple[tuple[str, ...], ...]:
    return tuple((band.meaning or f"From {band.from_probability:.0%}", band.name) for band in config.bands)


def _offers(config: WorklistConfig) -> tuple[tuple[str, ...], ...]:
    return tuple((action.do, action.kind, action.evidence) for action in config.actions)


def _day(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"

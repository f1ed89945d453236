"""What the home says of its trial: the claim of the last trial report, and the trial that is registered."""

import datetime
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.data.files.loss_marks import is_lost, mark_made
from dnapredict.errors import StoreError
from dnapredict.trial.pre_registration import FOLDER

if TYPE_CHECKING:
    from dnapredict.config.trial_config import TrialConfig
    from dnapredict.trial.trial_result import TrialResult

# A trial's registration is HOME/trial/NAME.json: a folder of its own collides with no name.
_LATEST: Final = Path(FOLDER, "reports", "latest.json")
_LOG: Final = logging.getLogger("dnapredict.trial")


class ReportedInterval(StoredRecord):
    """A figure with its 95% interval, as the report prints it."""

    value: float
    low: float
    high: float


class ReportedTrial(StoredRecord):
    """What the last trial report of a home claims.

    Attributes
    ----------
    name
        The trial.
    created_at
        When it was reported, with its zone.
    window
        The first and the last day of the appointments; None where there are none.
    claim, claim_kind
        The one sentence that may be quoted, and its kind (`trial.claims.ClaimKind`).
    effect
        The risk difference by the interval that the claim rests on: for looks until the planned end, and for the
        registered analysis afterwards. None where nothing is claimed of an effect.
    versions
        The model versions that scored the trial.
    """

    schema_version: int = 1
    name: str
    created_at: datetime.datetime
    synthetic: bool
    window: tuple[datetime.date, datetime.date] | None
    claim: str
    claim_kind: str
    effect: ReportedInterval | None
    versions: tuple[str, ...]


@dataclass(frozen=True)
class TrialState:
    """What the home says of its trial.

    Attributes
    ----------
    reported
        Of the last trial report; None where none was made.
    registered
        The registered trial that runs or is still to begin, or the one that ended last; None without one.
    """

    reported: ReportedTrial | None
    registered: "TrialConfig | None"


def keep_reported(result: "TrialResult", home: Path, *, versions: tuple[str, ...], synthetic: bool) -> ReportedTrial:
    """Keep what a trial report claims in the home, in place of that of the last one; return it.

    Raises
    ------
    StoreError
        If the home cannot be written.
    """
    is_final = result.is_finished and result.trial.plan == "registered"
    decisive = result.effect.intention_to_treat if is_final else result.effect.always_valid
    reported = ReportedTrial(
        name=result.trial.name,
        created_at=datetime.datetime.now(datetime.UTC),
        synthetic=synthetic,
        window=result.window,
        claim=result.claim.sentence,
        claim_kind=result.claim.kind,
        effect=None if decisive is None else ReportedInterval(**asdict(decisive)),
        versions=versions,
    )
    write_private(home / _LATEST, reported.model_dump_json(indent=1) + "\n")
    mark_made(home / _LATEST)
    return reported


def last_reported(home: Path) -> ReportedTrial | None:
    """What the last trial report of a home claims; None where none was made.

    Raises
    ------
    StoreError
        If the record is damaged or was deleted.
    """
    path, advice = home / _LATEST, "Run 'dnapredict trial report' again."
    if is_lost(path):
        raise StoreError(f"{path}: the record of the last trial report is missing. {advice}")
    return read_record(path, ReportedTrial, advice=advice)


def trial_state(home: Path, today: datetime.date) -> TrialState:
    """What a home says of its trial on a day; nothing about arms.

    Raises
    ------
    StoreError
        If a registration or the record of the last report is damaged.
    """
    if not (home / FOLDER).is_dir():  # spares a page the registry, whose library takes seconds to import
        return TrialState(None, None)
    return TrialState(last_reported(home), _registered(home, today))


def readable_trial_state(home: Path, today: datetime.date) -> TrialState | None:
    """As `trial_state`; None if a record of it is damaged, which is logged.

    For figures beside others, which a damaged record must not take along.
    """
    try:
        return trial_state(home, today)
    except StoreError as error:
        _LOG.error("%s", error)
        return None


def _registered(home: Path, today: datetime.date) -> "TrialConfig | None":
    from dnapredict.pipeline.in_use.trial_planning import registered_trials
    from dnapredict.registry import Registry

    trials = [each.settings for each in registered_trials(Registry(home).entries(), home=home).values()]
    ahead = [trial for trial in trials if trial.end >= today]
    if ahead:
        return min(ahead, key=lambda trial: trial.start)
    return max(trials, key=lambda trial: trial.end, default=None)

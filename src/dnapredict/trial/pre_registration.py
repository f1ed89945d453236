"""The pre-registration of a trial: what is measured and how, written and hashed before the first call.

The file `HOME/trial/NAME.json` holds it for programs, `NAME.md` for people. Its digest stands in an entry of the ledger
of decisions, whose seals say when it was registered and that nothing was changed since.
"""

import datetime
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from dnapredict.config.trial_config import AMENDABLE, TrialConfig
from dnapredict.data.files.atomic_write import write_private
from dnapredict.errors import ConfigurationError, StoreError

FOLDER: Final = "trial"

PRIMARY_OUTCOME: Final = (
    "The share of the appointments in the trial that is missed, as training/config.toml counts missed appointments. An "
    "appointment is in the trial from the first list that would call the patient about it; one that is cancelled "
    "counts as not missed, since a call may be why it was cancelled."
)
ANALYSIS: Final = (
    "Intention to treat: patients are compared in the arm that was drawn, whether they were reached or not. The risk "
    "difference between the arms with its 95% interval, adjusted for the predicted risk, by augmented inverse "
    "probability weighting with the known allocation within strata, and variances by patient. Looks before the end use "
    "always-valid intervals. The effect of being reached is the complier average. Groups (risk, deprivation, "
    "ethnicity, age, mode) are secondary: shrunk towards the whole, with a family-wise error rate of 5%."
)
HARMS: Final = "Patients who came later, cancelled, complained or opted out, by arm."
USUAL_CARE: Final = (
    "A patient who is held out gets the usual reminder and everything that a need asks for, such as an interpreter or "
    "booked transport. Patients who opt out are not called again, and are compared in the arm that was drawn; those "
    "who opted out before, and those whom no list would call, are in no arm."
)


class ArmSizes(BaseModel):
    """Appointments that the trial is planned for in each arm, and what they can show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    called: int
    held_out: int
    weeks_needed: int
    weeks_planned: float
    relative_risk_looked_for: float
    detectable_relative_risk: float | None
    share_missed: float
    calls_a_week: float
    design_effect: float
    power: float
    alpha: float


class PreRegistration(BaseModel):
    """What is registered of a trial.

    Attributes
    ----------
    registered_on
        The day of the registration.
    settings
        The table `[trial]` of serving/worklist.toml.
    share_drawn
        The share held out as it is drawn, such as `1/5`.
    sizes
        None where the home has no figures yet from which a size could be planned.
    secret_mark
        A keyed hash by which the secret of the arms is recognised and not known (`TrialRegister.secret_mark`): arms
        cannot be drawn again with another one. "" in registrations of earlier releases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    registered_on: datetime.date
    settings: TrialConfig
    share_drawn: str
    sizes: ArmSizes | None = None
    secret_mark: str = ""
    primary_outcome: str = PRIMARY_OUTCOME
    analysis: str = ANALYSIS
    harms: str = HARMS
    usual_care: str = USUAL_CARE

    @property
    def as_json(self) -> str:
        """The text of the JSON file, the same for the same registration."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"

    @property
    def sha256(self) -> str:
        """SHA-256 of the JSON file, as `sha256sum` prints it."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()

    def write(self, home: Path) -> Path:
        """Write both files; return the path of the JSON file.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        path = registration_file(home, self.settings.name)
        write_private(path.with_suffix(".md"), self.page)
        write_private(path, self.as_json)
        return path

    @property
    def page(self) -> str:
        """The registration as a page for people, in Markdown."""
        trial = self.settings
        lines = [
            f"# Trial '{trial.name}', registered on {_date(self.registered_on)}",
            f"SHA-256 of {_file_name(trial.name)}.json: `{self.sha256}`",
            f"Runs from {_date(trial.start)} to {_date(trial.end)}. Approved by: {trial.approved_by}.",
            "## Why it is ethical",
            trial.why_ethical,
            self.usual_care,
            "## Allocation",
            self._allocation_sentence,
            "## Primary outcome",
            self.primary_outcome,
            "## Analysis",
            self.analysis,
            "## Harms",
            self.harms,
            "## Size",
            self._size_sentence,
        ]
        return "\n\n".join(lines) + "\n"

    @property
    def _allocation_sentence(self) -> str:
        return (
            f"By {self.settings.unit}, {self.share_drawn} held out, balanced within: {_words(self.settings.strata)}. "
            "Concealed: arms follow from a secret of the home, and no list, page, file, log or answer shows them."
            + (f" The secret is recognised by the mark `{self.secret_mark}`." if self.secret_mark else "")
        )

    @property
    def _size_sentence(self) -> str:
        if self.sizes is None:
            return "No figures of the trust were known when it was registered, so that no size was planned."
        size = self.sizes
        seen = size.detectable_relative_risk
        end = (
            "cannot show even that every call keeps its appointment"
            if seen is None
            else f"can show a relative risk of {seen:.2f} or lower"
        )
        return (
            f"A relative risk of {size.relative_risk_looked_for:.2f} is found with a power of {size.power:.0%} "
            f"(two-sided alpha {size.alpha:.0%}) by {size.called:,} appointments with a call and {size.held_out:,} "
            f"held out: {size.weeks_needed:,} weeks at {size.calls_a_week:.0f} calls a week, where "
            f"{size.share_missed:.1%} of them are missed without a call and patients with several appointments raise "
            f"the variance {size.design_effect:.2f} times. It is to last {size.weeks_planned:.1f} weeks, which {end}."
        )


def registration_file(home: Path, name: str) -> Path:
    """The path of the JSON file of a trial's registration."""
    return home / FOLDER / f"{_file_name(name)}.json"


def read_registration(home: Path, name: str, *, sha256: str) -> PreRegistration:
    """The registration of a trial, which must be the one whose digest the ledger has.

    Raises
    ------
    StoreError
        If the file is missing, or not what was registered.
    """
    path = registration_file(home, name)
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() == sha256:
            return PreRegistration.model_validate_json(content)
    except (OSError, ValidationError):
        pass
    raise StoreError(
        f"{path}: is missing, or is not the registration whose digest stands in the ledger of decisions. Restore the "
        f"folder {FOLDER} of the home from a backup."
    )


def refuse_changes(trial: TrialConfig, registered: TrialConfig) -> None:
    """Refuse a trial in worklist.toml that is not the registered one.

    Raises
    ------
    ConfigurationError
        Naming the settings that differ.
    """
    changed = changed_settings(trial, registered)
    if not changed:
        return
    name = changed[0]
    amendable = ", ".join(AMENDABLE)
    raise ConfigurationError(
        f"serving/worklist.toml: [trial] '{trial.name}' was changed after it was registered: {name} is "
        f"{_shown(trial, name)}, and {_shown(registered, name)} is registered"
        f"{_others(changed)}. No list is scored until it is restored or amended: "
        'dnapredict trial plan --amend "REASON". '
        f"Once patients have an arm, only {amendable} can be amended; a trial with other changes needs another name."
    )


def changed_settings(trial: TrialConfig, registered: TrialConfig) -> list[str]:
    """The names of the settings that differ."""
    now, before = trial.model_dump(), registered.model_dump()
    return [name for name in now if now[name] != before[name]]


def _shown(trial: TrialConfig, name: str) -> str:
    value: Any = trial.model_dump(mode="json")[name]
    return repr(value)


def _others(changed: list[str]) -> str:
    return f" (and {', '.join(changed[1:])} differ too)" if len(changed) > 1 else ""


def _date(day: datetime.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _words(strata: tuple[str, ...]) -> str:
    return ", ".join(name.replace("_", " ") for name in strata) or "the whole list"


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)

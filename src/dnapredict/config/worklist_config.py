"""`serving/worklist.toml`: call capacity, teams, risk bands, actions and patients' needs."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from dnapredict.config.benefit_model import BenefitModel
from dnapredict.config.loading import Settings
from dnapredict.config.needs_config import NEEDS, Evidence, Kind, Need
from dnapredict.config.trial_config import TrialConfig

# Words of prohibited uses, which no action in the file may contain.
_REFUSED: Final = re.compile(
    r"over-?\s?book|double-?\s?book|discharg|withh[oe]ld|den(y|ied|ies)\b|downgrad"
    r"|remov\w* from the (waiting )?list|delay",
    re.IGNORECASE,
)

# Excel's limit, in characters, for the choices of a cell.
_MOST_TO_OFFER: Final = 255


class Band(Settings):
    """A range of risk, from `from_probability` up to the next band, with the name that a clerk reads.

    `meaning` explains the name on the cover sheet of a worklist.
    """

    name: str
    from_probability: Annotated[float, Field(ge=0, le=1)]
    meaning: str = ""


class Action(Settings):
    """The offer if the strongest reason comes from one of `factors`.

    `also` is added to the action of a stronger reason if a further reason comes from one of `factors`. `evidence` is
    the kind of evidence for the action's effect on missed appointments. With `gives_way` the action is a general
    question: if a further reason has an action of its own, that action comes first and `also` ends the sentence.
    """

    do: str
    also: str = ""
    gives_way: bool = False
    kind: Kind
    evidence: Evidence
    factors: tuple[str, ...] = ()


class Team(Settings):
    """A team that makes `capacity` calls for the appointments of these clinics, sites or specialties."""

    name: str
    capacity: Annotated[int, Field(ge=1)]
    clinics: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    specialties: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _calls_for_somebody(self) -> "Team":
        if not (self.clinics or self.sites or self.specialties):
            raise ValueError(f"team '{self.name}' needs 'clinics', 'sites' or 'specialties'")
        return self


class Site(Settings):
    """A hospital or site by the `code` that the lists have, with its name and address for the person who calls."""

    code: str
    name: str
    address: str = ""

    @property
    def words(self) -> str:
        """Name and address in one line."""
        return ", ".join(part for part in (self.name, self.address) if part)


class WorklistConfig(Settings):
    """The whole of `serving/worklist.toml`.

    Attributes
    ----------
    capacity_share, capacity
        Calls as a share of the appointments, or a number.
    capacity_per
        The unit that the capacity is for: each clinic, each calling week, or each combination; by default the
        whole list. A weekly number is for five working days.
    teams
        Teams with separate capacities; an appointment belongs to the first team that matches it.
    call_working_days_before
        Number of working days (England) before the appointment on which a call is due.
    mute_days
        Number of days in which a patient who was reached is not called again for the same clinic, across lists;
        one call covers all appointments of a patient in a list that are this close together.
    muted_action, reached_action, opted_out_action
        The action for a patient who was reached for this clinic within `mute_days`, who was already reached
        about this appointment, or who asked not to be called.
    attempts, unanswered_action
        Number of unanswered calls after which the patient is not called again, and the action instead.
    needs
        Patients' needs, which change every action; `NEEDS` if the file has none.
    outcomes
        Possible outcomes of a call: the choices of the column `outcome` in a spreadsheet.
    carry_through
        Columns of the list, such as the patient's name and telephone number, that are copied to the written
        worklist for the callers, and to nowhere else.
    sites
        Names and addresses of sites, which callers see in place of the code.
    opt_out_file
        A CSV file with the numbers of patients who are not called; its path is relative to that of this file.
    trial
        A randomised trial of the calls; None for none.
    rank_by
        Whether the highest risks come first, or those whom a call is expected to help most.
    benefit
        The benefit of a call, where lists are ranked by it. It is read from the home and not from this file.
    """

    use: Literal["supportive contact"]
    capacity_share: Annotated[float, Field(gt=0, le=1)] = 0.10
    capacity: Annotated[int, Field(ge=1)] | None = None
    capacity_per: tuple[Literal["clinic", "week"], ...] = ()
    teams: tuple[Team, ...] = ()
    call_working_days_before: Annotated[int, Field(ge=0, le=20)] | None = None
    mute_days: Annotated[int, Field(ge=0, le=366)] = 0
    allocation: Literal["global", "proportionate", "floor"] = "global"
    floor_share: Annotated[float, Field(gt=0, lt=1)] = 0.8
    bands: tuple[Band, ...]
    default_action: str
    unselected_action: str = ""
    same_call_action: str = "Mention it in the call at place {rank}"
    muted_action: str = "No call: the patient was reached for this clinic lately"
    reached_action: str = "No call: the patient was already reached about this appointment"
    opted_out_action: str = "No call: the patient asked not to be called. Send the usual reminder or a letter"
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    unanswered_action: str = (
        "No call: nobody answered. Send a letter or a text, or ask the GP practice for another number"
    )
    actions: tuple[Action, ...] = ()
    needs: tuple[Need, ...] = NEEDS
    outcomes: tuple[str, ...] = ()
    carry_through: tuple[str, ...] = ()
    sites: tuple[Site, ...] = ()
    opt_out_file: Path | None = None
    trial: TrialConfig | None = None
    rank_by: Literal["risk", "benefit"] = "risk"
    benefit: BenefitModel | None = None

    @model_validator(mode="after")
    def _bands_cover_every_risk(self) -> "WorklistConfig":
        starts = [band.from_probability for band in self.bands]
        if not starts or starts != sorted(set(starts), reverse=True) or starts[-1] != 0:
            raise ValueError("bands must go from the highest risk down, and the last must start at 0")
        return self

    @model_validator(mode="after")
    def _no_use_against_patients(self) -> "WorklistConfig":
        for words in self._texts():
            if _REFUSED.search(words):
                raise ValueError(
                    f"'{words}' is refused: a list is for supportive contact, never for overbooking, "
                    "discharge, delaying or withholding care"
                )
        return self

    @model_validator(mode="after")
    def _a_factor_has_one_action(self) -> "WorklistConfig":
        named = [factor for action in self.actions for factor in action.factors]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"factor '{twice[0]}' has more than one action")
        if self.actions and self.default_action not in {action.do for action in self.actions}:
            raise ValueError(
                f"default_action '{self.default_action}' is none of the actions, so that nobody knows its evidence"
            )
        return self

    @model_validator(mode="after")
    def _rank_alone_is_filled_in(self) -> "WorklistConfig":
        try:
            self.same_call_action.format(rank=1)
        except (KeyError, IndexError, ValueError):
            raise ValueError("same_call_action may hold {rank} and no other braces") from None
        return self

    @model_validator(mode="after")
    def _a_spreadsheet_can_offer_the_outcomes(self) -> "WorklistConfig":
        if any("," in outcome for outcome in self.outcomes) or len(",".join(self.outcomes)) > _MOST_TO_OFFER:
            raise ValueError(
                f"outcomes may hold no comma and {_MOST_TO_OFFER} characters in all, as a spreadsheet wants"
            )
        return self

    @model_validator(mode="after")
    def _a_need_is_named_once(self) -> "WorklistConfig":
        names = [need.name for need in self.needs]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"need '{twice[0]}' is named more than once")
        return self

    @model_validator(mode="after")
    def _a_site_is_named_once(self) -> "WorklistConfig":
        codes = [site.code.strip().casefold() for site in self.sites]
        twice = [site.code for site, code in zip(self.sites, codes, strict=True) if codes.count(code) > 1]
        if twice:
            raise ValueError(f"site '{twice[0]}' is named more than once")
        return self

    def site_of(self, code: str | None) -> Site | None:
        """The site of that code; None if the file does not name it."""
        wanted = (code or "").strip().casefold()
        return next((site for site in self.sites if site.code.strip().casefold() == wanted), None)

    def action_of(self, factor: str) -> Action | None:
        """The action for a reason that comes from `factor`; None if none is agreed."""
        return next((action for action in self.actions if factor in action.factors), None)

    def _texts(self) -> Iterator[str]:
        yield from (self.default_action, self.unselected_action, self.same_call_action)
        yield from (self.muted_action, self.reached_action, self.opted_out_action, self.unanswered_action)
        yield from (text for action in self.actions for text in (action.do, action.also))
        yield from (text for need in self.needs for text in (*need.texts(), need.badge))
        yield from (text for band in self.bands for text in (band.name, band.meaning))
        yield from self.outcomes

"""`fairness/policy.toml`: permitted use, groups to compare, and limits.

The equality lead owns the file, and the board agrees to it *before* seeing a result. Each limit has a `why`; changing
one later needs two names, and the report prints the change.
"""

import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dnapredict.config.loading import Settings

# Permitted uses, each with the metric that shows its worst harm (fairness-audit, section 2).
USES = {
    "supportive contact": "reach",
    "offer of another time or mode": "reach",
    "capacity planning": "calibration",
}
REFUSED_USES = {
    "overbooking": "two patients in one slot make those who come wait, and the patients marked as "
    "likely to miss are mostly from deprived areas",
    "discharge": "the patients whom a list marks are those who need help to come, so that taking them "
    "off a waiting list on a prediction withholds care from them",
    "delay": "a later appointment on account of a prediction withholds care from those who need help to come",
    "withholding care": "a prediction is a reason to offer help, never to withhold care",
}
_SYNONYMS = {
    "overbook": "overbooking",
    "double booking": "overbooking",
    "discharging": "discharge",
    "removal from waiting list": "discharge",
    "delaying": "delay",
    "delay of care": "delay",
    "delaying care": "delay",
    "deprioritisation": "delay",
    "withholding": "withholding care",
    "withhold": "withholding care",
}

_COMPARABLE = (
    *("core20", "imd_decile", "imd_quintile", "ethnicity", "ethnicity_5", "sex", "age", "interpreter", "disability"),
    *("learning_disability", "digital", "history", "plus", "place", "site"),
)

Share = Annotated[float, Field(ge=0, le=1)]
Why = Annotated[str, Field(min_length=10)]


class RecordsLimit(Settings):
    """G0: can the records be trusted? Shares of appointments whose ethnicity is known."""

    pass_known: Share = 0.90
    fail_known: Share = 0.75
    missing_ratio: Annotated[float, Field(gt=1)] = 2.0
    # Share of the appointments that a model was tested on which its audit must find again, in all and in every group.
    least_coverage: Annotated[float, Field(ge=0.9, lt=1)] = 0.98
    why: Why

    @model_validator(mode="after")
    def _fail_is_below_pass(self) -> "RecordsLimit":
        if self.fail_known > self.pass_known:
            raise ValueError("'fail_known' must not be above 'pass_known'")
        return self


class LabelLimit(Settings):
    """G1: is a recorded DNA the same thing in every group? Differences as shares (0.02 = 2 points)."""

    pass_points: Share = 0.02
    fail_points: Share = 0.05
    why: Why


class CalibrationLimit(Settings):
    """G2: does a risk mean the same in every group? Range of observed over expected DNAs."""

    low: Annotated[float, Field(gt=0, le=1)] = 0.90
    high: Annotated[float, Field(ge=1)] = 1.10
    why: Why


class ReachLimit(Settings):
    """G3 and G3b: how much lower a group's reach may be than everyone else's (0.05 = 5 points)."""

    max_harm_gap: Annotated[float, Field(gt=0, lt=1)] = 0.05
    why: Why


class AllocationLimit(Settings):
    """G4: are calls shared in proportion to need? Judged only where the board chose it."""

    chosen: bool = False
    why: Why


class ChangeLimit(Settings):
    """G6: how far any group's reach may fall against the model now in use."""

    max_fall: Annotated[float, Field(gt=0, lt=1)] = 0.03
    why: Why


class EvidenceLimit(Settings):
    """G7: groups that must be in the extract, by the name they have in `plus_group`."""

    plus_groups: tuple[str, ...] = ()
    plan: str = ""
    why: Why


class LevelLimit(Settings):
    """G8: the risks of everyone against the outcomes of everyone.

    Range of observed over expected, range of the slope of the calibration line, and the least and the most that the
    ranking quality (AUROC) of a forecast can be: below, it has no skill; above, it knew the outcomes.
    """

    low: Annotated[float, Field(gt=0, le=1)] = 0.90
    high: Annotated[float, Field(ge=1)] = 1.10
    slope_low: Annotated[float, Field(gt=0, le=1)] = 0.80
    slope_high: Annotated[float, Field(ge=1)] = 1.25
    least_ranking: Annotated[float, Field(ge=0.5, lt=1)] = 0.55
    most_ranking: Annotated[float, Field(gt=0.5, le=1)] = 0.98
    # Above this a named person checks when the scores were made: published forecasts stay below.
    doubtful_ranking: Annotated[float, Field(gt=0.5, le=1)] = 0.90
    why: Why = "A list ranks people by risk; where all risks are off, that is reported once, not for each group."


class CauseLimit(Settings):
    """How near to everyone else's a group's figures must be shown to be before lower need is reported.

    Ratios: 1.35 is a range of 1/1.35 to 1.35. `risk` is observed over expected relative to everyone else,
    `risk_by_call` that of the called and of the others apart, `slope` the relative slope; `recorded` is the share of
    missed appointments by which reasons on the trust's side must be more common before the records are the cause.
    """

    risk: Annotated[float, Field(gt=1)] = 1.35
    risk_by_call: Annotated[float, Field(gt=1)] = 2.0
    slope: Annotated[float, Field(gt=1)] = 1.5
    recorded: Share = 0.05
    why: Why = (
        "Lower need is reported only where it is shown. Risks that are a quarter too low cost a group about 5 points "
        "of reach; narrower limits could not be shown for a group of 5 in 100 among 120,000 appointments."
    )


class GateLimits(Settings):
    """One table a gate."""

    records: RecordsLimit
    label: LabelLimit
    calibration: CalibrationLimit
    reach: ReachLimit
    ranking: ReachLimit
    allocation: AllocationLimit
    change: ChangeLimit
    evidence: EvidenceLimit
    level: LevelLimit = LevelLimit()
    causes: CauseLimit = CauseLimit()


class Disclosure(Settings):
    """Small-number rule for everything that is written; `suppress_below = 0` opts out, visibly."""

    suppress_below: Annotated[int, Field(ge=0, le=100)] = 8
    round_to: Annotated[int, Field(ge=1, le=100)] = 5
    why: Why


class Pooling(Settings):
    """How counts leave a trust for the audit of a care board (`audit-counts`).

    `none`: exact counts, under a data sharing agreement; the pooled audit is that of the pooled rows. `suppressed`:
    small groups of each grouping are put together, risks are told in bands, and what cannot be protected is left out.
    """

    protect: Literal["none", "suppressed"] = "suppressed"
    why: Why = "Counts that leave the trust follow the small-number rule until an agreement allows more."


class Owners(Settings):
    """Who acts on what an audit finds, as page 1 names them."""

    model: str = "the team that looks after the model"
    records: str = "the team that looks after the records"
    calls: str = "the team that makes the calls"
    review: str = "the equality lead"


class Change(Settings):
    """A limit that was changed after a result had been seen, with the two people who agreed to it."""

    limit: str
    was: bool | int | float | str | tuple[str, ...]
    now: bool | int | float | str | tuple[str, ...]
    on: datetime.date
    by: Annotated[str, Field(min_length=2)]
    seconded_by: Annotated[str, Field(min_length=2)]
    why: Why

    @model_validator(mode="after")
    def _two_people(self) -> "Change":
        if self.by.strip().casefold() == self.seconded_by.strip().casefold():
            raise ValueError("'seconded_by' must be another person than 'by'")
        return self


class Signatory(Settings):
    """A person who may sign, and how they prove who they are.

    `key_sha256` is the SHA-256 of a personal key (`dnapredict keys personal` makes one), `openid_subject` the subject
    of their OpenID tokens. Neither is written to a report.
    """

    name: Annotated[str, Field(min_length=2)]
    role: Annotated[str, Field(min_length=2)]
    key_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$", exclude=True)] = ""
    openid_subject: Annotated[str, Field(max_length=200, exclude=True)] = ""

    @model_validator(mode="after")
    def _can_be_proven(self) -> "Signatory":
        if not self.key_sha256 and not self.openid_subject:
            raise ValueError(f"signatory '{self.name}' needs 'key_sha256' or 'openid_subject'")
        return self


class Policy(Settings):
    """The whole of `fairness/policy.toml`.

    The extract must hold every grouping in `compared`, except those that `may_be_absent` names too; the report
    then says that they are missing. With `judge_unknown`, people whose group is not known (declined, not asked, blank)
    are judged as a group is.
    """

    version: str
    use: str
    agreed_by: str
    agreed_on: datetime.date
    next_review: datetime.date | None = None
    smallest_group: Annotated[int, Field(ge=30)] = 100
    confidence: Annotated[float, Field(ge=0.90, le=0.99)] = 0.95
    compared: tuple[str, ...] = ("core20", "ethnicity", "interpreter", "plus")
    may_be_absent: tuple[str, ...] = ()
    # Off where the file does not say: a policy that was agreed before is judged as it was agreed.
    judge_unknown: bool = False
    limits: GateLimits
    disclosure: Disclosure
    pooling: Pooling = Pooling()
    changes: tuple[Change, ...] = ()
    # Once any are named, only they sign reports.
    signatories: tuple[Signatory, ...] = ()
    owners: Owners = Owners()

    @field_validator("use")
    @classmethod
    def _use_helps_the_patient(cls, use: str) -> str:
        plain = " ".join(use.replace("_", " ").replace("-", " ").casefold().split())
        joined = plain.replace("over booking", "overbooking").replace("over book", "overbook")
        refused = _SYNONYMS.get(joined, joined)
        if refused in REFUSED_USES:
            raise ValueError(
                f"dnapredict is never for {refused}: {REFUSED_USES[refused]}. Permitted: {', '.join(USES)}"
            )
        if plain not in USES:
            raise ValueError(f"is not a use that has been thought through. Permitted: {', '.join(USES)}")
        return plain

    @field_validator("compared", "may_be_absent")
    @classmethod
    def _groupings_are_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in _COMPARABLE]
        if unknown:
            raise ValueError(f"must name groupings among {', '.join(_COMPARABLE)}")
        return names

    @field_validator("compared")
    @classmethod
    def _something_is_compared(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"must name groupings among {', '.join(_COMPARABLE)}")
        return names

    @field_validator("signatories")
    @classmethod
    def _signatories_are_different_people(cls, people: tuple[Signatory, ...]) -> tuple[Signatory, ...]:
        for values in (
            [" ".join(person.name.casefold().split()) for person in people],
            [person.key_sha256 for person in people if person.key_sha256],
            [person.openid_subject for person in people if person.openid_subject],
        ):
            if len(set(values)) < len(values):
                raise ValueError("must be different people, each with a name and a key of their own")
        return people

    @property
    def primary(self) -> str:
        """The metric that shows the worst harm of this use: `reach` or `calibration`."""
        return USES[self.use]

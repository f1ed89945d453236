"""Worlds: scenarios of the simulation in which the truth is known, to test models and audits."""

from dataclasses import dataclass, replace
from typing import Final

from dnapredict.errors import UsageError

# Attribute of a group -> values it may take; without a value ("core20") it is a flag.
ATTRIBUTES: Final = {
    "ethnicity": tuple("ABCDEFGHJKLMNPRS"),
    "decile": tuple(str(decile) for decile in range(1, 11)),
    "core20": ("",),
    "sex": ("1", "2"),
    "interpreter": ("",),
    "disability": ("",),
}

# DNAs that are the trust's own recording errors: 2.5% of kept appointments against 0.5% makes a perfect model look
# as if it under-predicted (fairness audit, section 1); the ordinary rate is our assumption.
_ORDINARY_ERRORS: Final = 0.002
_FEW_ERRORS: Final = 0.005
_MANY_ERRORS: Final = 0.025


@dataclass(frozen=True)
class TargetGroup:
    """The group that a world treats differently: `core20`, `ethnicity=N`, `decile=1`.

    Ethnicity is the true one; its record may still be Z, 99 or blank.

    >>> TargetGroup.parse("ethnicity=N")
    TargetGroup(attribute='ethnicity', value='N')
    """

    attribute: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> "TargetGroup":
        """Read `attribute` or `attribute=value`.

        Raises
        ------
        UsageError
            If there is no such attribute, or it does not take that value.
        """
        attribute, _, value = text.partition("=")
        if attribute not in ATTRIBUTES:
            raise UsageError(f"No group '{text}': it starts with one of {', '.join(sorted(ATTRIBUTES))}.")
        if value not in ATTRIBUTES[attribute]:
            values = ", ".join(allowed or "no value" for allowed in ATTRIBUTES[attribute])
            raise UsageError(f"No group '{text}': '{attribute}' takes {values}.")
        return cls(attribute, value)

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.attribute}={self.value}" if self.value else self.attribute


@dataclass(frozen=True)
class World:
    """A scenario, as parameters of the simulation.

    Parameters
    ----------
    name
        One of `WORLDS`.
    group
        The group that differs, if there is one.
    group_effects
        1 where age, sex, deprivation, ethnicity, distance and need change the risk, 0 where nothing does.
    trust_errors, trust_errors_in_group
        Share of kept appointments that the trust wrongly records as missed.
    risk_before, risk_after
        Added to the log-odds of the group's true risk, by a cause that is in no column: until
        `true_risk.CHANGE_DAYS` before the extract was drawn, and from then on.
    thin_history
        Whether each appointment of the group belongs to a new patient without a past.
    drift
        Change of everybody's log-odds by the time the extract is drawn, linear over `true_risk.CHANGE_DAYS`.

    >>> str(World.parse("under-scored:ethnicity=N"))
    'under-scored:ethnicity=N'
    """

    name: str = "standard"
    group: TargetGroup | None = None
    group_effects: float = 1.0
    trust_errors: float = _ORDINARY_ERRORS
    trust_errors_in_group: float = _ORDINARY_ERRORS
    risk_before: float = 0.0
    risk_after: float = 0.0
    thin_history: bool = False
    drift: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "World":
        """Read `NAME` or `NAME:GROUP` (a space serves as well as the colon).

        Raises
        ------
        UsageError
            If there is no such world, or it takes no group and got one.
        """
        name, _, group = text.strip().replace(" ", ":", 1).partition(":")
        if name not in WORLDS:
            raise UsageError(f"No world '{name}': choose one of {', '.join(sorted(WORLDS))}.")
        world = WORLDS[name]
        if not group:
            return world
        if world.group is None:
            raise UsageError(f"The world '{name}' takes no group.")
        return replace(world, group=TargetGroup.parse(group))

    def __str__(self) -> str:
        """The text that `parse` reads."""
        return f"{self.name}:{self.group}" if self.group else self.name


WORLDS: Final = {
    world.name: world
    for world in (
        World(),
        World("null", group_effects=0.0, trust_errors=0.0, trust_errors_in_group=0.0),
        World("biased-label", TargetGroup("core20"), trust_errors=_FEW_ERRORS, trust_errors_in_group=_MANY_ERRORS),
        World("under-scored", TargetGroup("ethnicity", "N"), risk_before=-0.8, risk_after=0.4),
        World("thin-history", TargetGroup("ethnicity", "N"), thin_history=True),
        World("drift", drift=-0.6),
    )
}

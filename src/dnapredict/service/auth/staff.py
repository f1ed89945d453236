"""The person behind a request: name, team and role, and whose lists the person may see.

A personal key, or the trust's own sign-in (`auth.openid_sign_in`), identifies a person. A team key is shared: it has
the name of a team or of a system, and works as before personal keys existed.
"""

from collections.abc import Collection
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from starlette.types import Scope

from dnapredict.errors import UsageError

# The key of an ASGI scope for the `Person`, beside `HOLDER` of `access_control`.
PERSON: Final = "dnapredict.person"
SIGNED_IN: ContextVar["Person | None"] = ContextVar("SIGNED_IN", default=None)
"""The person of the current request, for the header of a page; worker threads inherit the context."""

_LONGEST_NAME: Final = 80


class StaffRole(StrEnum):
    """The role of a person; `auth.permissions` says what each may do."""

    CLERK = "clerk"
    TEAM_LEAD = "team lead"
    REVIEWER = "reviewer"
    ADMINISTRATOR = "administrator"

    @property
    def sees_patients(self) -> bool:
        """Whether the role may see lists of patients at all."""
        return self is not StaffRole.REVIEWER

    @property
    def needs_team(self) -> bool:
        """Whether the role works on the lists of one team."""
        return self in _OF_A_TEAM


_OF_A_TEAM: Final = frozenset({StaffRole.CLERK, StaffRole.TEAM_LEAD})


@dataclass(frozen=True)
class Person:
    """The person, or the team with a shared key, that sent a request.

    Attributes
    ----------
    key_id
        The id under which the scoring log records what was done.
    name
        Name of the person; of a shared key, its name.
    team
        The team whose lists are worked on; "" for a key of an earlier release, which sees all of them.
    is_shared
        Whether several people or a program use the key.
    """

    key_id: str
    name: str
    team: str
    role: StaffRole
    is_shared: bool = False

    @property
    def words(self) -> str:
        """The person as the header of a page shows them.

        >>> Person("0123abcd", "Ada Okafor", "North", StaffRole.CLERK).words
        'Ada Okafor, clerk, North'
        >>> Person("0123abcd", "booking-team", "", StaffRole.CLERK, is_shared=True).words
        'booking-team (team key)'
        """
        if self.is_shared:
            return f"{self.name} (team key)"
        return ", ".join(part for part in (self.name, self.role.value, self.team) if part)


THIS_MACHINE: Final = Person("this machine", "this machine", "", StaffRole.ADMINISTRATOR, is_shared=True)
"""The user of a service without keys: nobody has to sign in, and everything is allowed."""


def person_of(scope: Scope) -> Person | None:
    """The person of a request; None on a public page without a sign-in."""
    person: Person | None = scope.get(PERSON)
    return person


def may_see(person: Person | None, team: str) -> bool:
    """Whether a person may see the lists of a team; `tests/spec/test_service_access.py` holds the table.

    Parameters
    ----------
    team
        The team that a list belongs to; "" for a list of no team, such as one that `score` made or that was kept
        before lists belonged to teams. Everybody who works with patients sees such a list.
    """
    if person is None or not person.role.sees_patients:
        return False
    return person.role is StaffRole.ADMINISTRATOR or "" in (person.team, team) or person.team == team


def may_delete(person: Person, team: str) -> bool:
    """Whether a person may delete the lists of a team; `tests/spec/test_service_access.py` holds the table.

    A list of no team ("") belongs to everybody, so the lead of one team cannot delete it.
    """
    if person.role is StaffRole.TEAM_LEAD:
        return team != "" and may_see(person, team)
    return person.role is StaffRole.ADMINISTRATOR


def require_person(name: str, *, team: str, role: StaffRole) -> None:
    """Check the name, team and role of a person.

    Raises
    ------
    UsageError
        If a name is empty or too long, or if the role needs a team and there is none.
    """
    for what, text in (("name", name), ("team", team)):
        if len(text) > _LONGEST_NAME or not text.isprintable() or text != text.strip():
            raise UsageError(f"The {what} of a person has at most {_LONGEST_NAME} printable characters.")
    if not name:
        raise UsageError("A personal key needs the name of the person: --person 'A. Name'.")
    if role.needs_team and not team:
        raise UsageError(f"A {role} works on the lists of a team: name it with --team.")


def highest(roles: Collection[StaffRole]) -> StaffRole | None:
    """The role that applies if an issuer gives several; None if it gives none."""
    return next((role for role in _BY_RANK if role in roles), None)


_BY_RANK: Final = (StaffRole.ADMINISTRATOR, StaffRole.TEAM_LEAD, StaffRole.CLERK, StaffRole.REVIEWER)

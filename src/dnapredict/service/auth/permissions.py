"""Permissions: one table of which role or scope may use which address of the pages and of the API.

For a personal key the role decides, for a team key or a program's token the scopes. Addresses that are not in the table
are for roles that work with patients, so a page that somebody forgets to add is closed to reviewers and programs.
`staff.may_see` decides which lists a team sees.
"""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from dnapredict.service.auth.staff import StaffRole


class KeyScope(StrEnum):
    """The scopes of a key."""

    SCORE = "score"  # POST /v1/score
    LIST = "list"  # the page and the lists
    ADMIN = "admin"  # metrics, and all of the above


Holds = KeyScope | StaffRole
"""What decides whether an address may be used: a scope of a shared key, or the role of a person."""

_ADMINISTRATORS: Final[frozenset[Holds]] = frozenset({KeyScope.ADMIN, StaffRole.ADMINISTRATOR})
_PROGRAMS: Final = _ADMINISTRATORS | {KeyScope.SCORE}
_CALLERS: Final = _ADMINISTRATORS | {KeyScope.LIST, StaffRole.CLERK, StaffRole.TEAM_LEAD}
_LEADS: Final = _ADMINISTRATORS | {StaffRole.TEAM_LEAD}
_PEOPLE: Final = _CALLERS | {StaffRole.REVIEWER}
_ALL: Final = _PEOPLE | _PROGRAMS
# Those who answer for the model. A clerk works the list in the same way whatever the monitor says.
_WATCHERS: Final = _LEADS | {StaffRole.REVIEWER}


# The first pattern that matches a whole path decides.
_RULES: Final = (
    (re.compile(r"/v1/score"), _PROGRAMS),
    (re.compile(r"/metrics"), _ADMINISTRATORS),
    (re.compile(r"/v1/model|/docs\.json|/schema\.json"), _ALL),
    (re.compile(r"/model/monitor"), _WATCHERS),
    # Pages without a patient: the model and its audit, and the figures of a week.
    (re.compile(r"/model(/.*)?|/week(/.*)?"), _PEOPLE),
    (re.compile(r"/sign-out"), _PEOPLE),
    (re.compile(r"/lists/[^/]+/delete"), _LEADS),
)


def may_reach(held: Collection[Holds], path: str) -> bool:
    """Whether a key may use a path: see the table in `tests/spec/test_service_access.py`.

    Parameters
    ----------
    held
        The scopes of a shared key or of a token, or the one role of a person.
    """
    openers = next((opened_by for paths, opened_by in _RULES if paths.fullmatch(path)), _CALLERS)
    return not openers.isdisjoint(held)


def first_page(held: Collection[Holds]) -> str:
    """The page to show after signing in: the list, or the model for those who see no patients."""
    return "/" if may_reach(held, "/") else "/model"

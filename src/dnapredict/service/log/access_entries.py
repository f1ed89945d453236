"""Entries of the scoring log about accesses: who signed in, and who saw, downloaded, printed or deleted which list.

An access is logged before the page is sent. Answers and recorded actions are entries of their own, so an upload or an
outcome is not logged a second time here. The same page of a list, opened again by the same person within ten minutes,
is one access: an open page loads itself again at each entry of a colleague.
"""

import datetime
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from starlette.requests import Request

from dnapredict.service.log.answer_entries import REQUESTED_BY, Hashes
from dnapredict.service.log.scoring_log import ScoringLog

_SEEN: Final = "dnapredict.seen"
_SECONDS_SAME: Final = 600.0
_MOST_REMEMBERED: Final = 10_000


class Access(StrEnum):
    """What a person did; the values are stored in the log and never change."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    LIST_OPENED = "list_opened"
    PATIENT_OPENED = "patient_opened"
    SEARCHED = "searched"
    DOWNLOADED = "downloaded"
    PRINTED = "printed"
    DELETED = "deleted"

    @property
    def is_a_view(self) -> bool:
        """Whether doing it again within ten minutes is the same access."""
        return self in _VIEWS


_VIEWS: Final = frozenset({Access.LIST_OPENED, Access.PATIENT_OPENED})


@dataclass
class Seen:
    """What one request showed, filled in by the page that answers it.

    Attributes
    ----------
    access
        What was done, where the address alone does not say.
    list_id
        The list that was shown, where the address does not name it.
    appointment_id
        The appointment, for a page about one.
    key_id
        The person, where the request came without a session: on signing in.
    """

    access: Access | None = None
    list_id: str = ""
    appointment_id: str = field(default="", repr=False)
    key_id: str = ""


def seen_by(request: Request) -> Seen:
    """What the request showed, to be filled in; one that is not logged where no middleware logs accesses."""
    seen: Seen = request.scope.setdefault(_SEEN, Seen())
    return seen


class AccessLog:
    """Adds accesses to the scoring log."""

    def __init__(self, log: ScoringLog, hashes: Hashes, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `log`, and hash appointments with `hashes`."""
        self._log = log
        self._hashes = hashes
        self._clock = clock
        self._views: OrderedDict[tuple[str, ...], float] = OrderedDict()
        self._remembering = threading.Lock()

    def note(self, access: Access, seen: Seen) -> None:
        """Log an access by the person of this request, unless it is the same view as a few minutes ago.

        Raises
        ------
        StoreError
            If it cannot be logged: then nothing may be shown.
        """
        person = seen.key_id or REQUESTED_BY.get()
        # Hashed also where there is none: a log with entries but without a secret is one whose secret was lost.
        hashed = self._hashes.of("appointment", seen.appointment_id)
        appointment = hashed if seen.appointment_id else None
        view = (person, access.value, seen.list_id, appointment or "")
        if access.is_a_view and self._is_known(view):
            return
        now = datetime.datetime.now(datetime.UTC).isoformat()
        entry = {"at": now, "asked_by": person, "access": access.value}
        self._log.write_accesses([{**entry, "list": seen.list_id or None, "appointment": appointment}])
        if access.is_a_view:
            self._remember(view)

    def _is_known(self, view: tuple[str, ...]) -> bool:
        with self._remembering:
            logged_at = self._views.get(view)
            return logged_at is not None and self._clock() - logged_at < _SECONDS_SAME

    def _remember(self, view: tuple[str, ...]) -> None:
        with self._remembering:
            self._views[view] = self._clock()
            self._views.move_to_end(view)
            if len(self._views) > _MOST_REMEMBERED:
                self._views.popitem(last=False)

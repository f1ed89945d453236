"""People who signed in with an account of the trust's issuer: their records and their sessions.

A record holds the issuer's last claims: subject, name, team and role. Pages show the name. The records are outside the
folder of the keys, whose files mean that keys were made.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dnapredict.data.files.atomic_write import write_private
from dnapredict.data.files.json_records import StoredRecord, read_record
from dnapredict.errors import StoreError
from dnapredict.service.auth.permissions import Holds
from dnapredict.service.auth.sessions import Sessions
from dnapredict.service.auth.staff import Person, StaffRole

_FOLDER: Final = "sign-in"
_RECORDS: Final = "people"
_ID_DIGITS: Final = 16
_PREFIX: Final = "openid:"


class _StoredPerson(StoredRecord):
    key_id: str
    name: str
    team: str
    role: StaffRole | None  # None if the issuer no longer gives a role: earlier entries keep the name


@dataclass(frozen=True)
class PersonHolder:
    """A person who signed in at the issuer, with the interface of an API key."""

    person: Person

    @property
    def key_id(self) -> str:
        """The issuer's subject, as the scoring log records it."""
        return self.person.key_id

    @property
    def held(self) -> frozenset[Holds]:
        """What decides which addresses the person may use: the role."""
        return frozenset({self.person.role})


class OpenIdPeople:
    """The people of a home who signed in at the issuer."""

    def __init__(self, home: Path) -> None:
        """Read nothing yet."""
        self._folder = home / _FOLDER / _RECORDS
        self.sessions = Sessions(home / _FOLDER)

    def note(self, person: Person) -> PersonHolder:
        """Save the issuer's claims about a person.

        Raises
        ------
        StoreError
            If the home cannot be written to.
        """
        record = _StoredPerson(key_id=person.key_id, name=person.name, team=person.team, role=person.role)
        write_private(self._path(_id(person.key_id)), record.model_dump_json(indent=2))
        return PersonHolder(person)

    def withdraw_role(self, key_id: str) -> None:
        """End the sessions of a person to whom the issuer gives no role any more; nothing for somebody unknown.

        Raises
        ------
        StoreError
            If the record cannot be read or written.
        """
        record = self._record(_id(key_id))
        if record is not None:
            write_private(self._path(_id(key_id)), record.model_copy(update={"role": None}).model_dump_json(indent=2))

    def start_session(self, holder: PersonHolder) -> str:
        """A new session of a person, the value of a browser's cookie."""
        return self.sessions.start(_id(holder.key_id))

    def session_holder(self, session: str) -> PersonHolder | None:
        """The person of a session, if it is valid.

        Raises
        ------
        StoreError
            If a record or the ended sessions cannot be read.
        """
        if not _is_of_person(session):
            return None
        holder = self.sessions.holder(session)
        return None if holder is None else self._find(holder)

    def renewed_session(self, session: str) -> str | None:
        """A session with a new end of its idle time; None if it is not one of these, or does not need one yet."""
        return self.sessions.renewed(session) if _is_of_person(session) else None

    def end_session(self, session: str) -> None:
        """End a session for every worker.

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        if _is_of_person(session):
            self.sessions.end(session)

    def name_of(self, key_id: str) -> str:
        """The name of the person with that id in the scoring log, "" where there is none.

        Raises
        ------
        StoreError
            If the record cannot be read.
        """
        found = self._record(_id(key_id)) if key_id.startswith(_PREFIX) else None
        return "" if found is None else found.name

    def damaged(self) -> Iterator[str]:
        """A sentence for each record that cannot be read."""
        for path in sorted(self._folder.glob("[!.]*.json")):
            try:
                self._record(path.stem)
            except StoreError as error:
                yield str(error)

    def _find(self, number: str) -> PersonHolder | None:
        record = self._record(number)
        if record is None or record.role is None:
            return None
        return PersonHolder(Person(record.key_id, record.name, record.team, record.role))

    def _record(self, number: str) -> _StoredPerson | None:
        """The record of a person; None if there is none, or it was deleted to end the sessions."""
        return read_record(self._path(number), _StoredPerson, advice="Remove it; the person signs in again.")

    def _path(self, number: str) -> Path:
        return self._folder / f"{number}.json"


def _is_of_person(session: str) -> bool:
    return len(session.partition(".")[0]) == _ID_DIGITS


def _id(key_id: str) -> str:
    return hashlib.sha256(key_id.encode()).hexdigest()[:_ID_DIGITS]

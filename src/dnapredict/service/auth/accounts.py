"""The accounts of a home: holders of keys, and people with an account at the trust's issuer."""

from dataclasses import dataclass
from pathlib import Path

from dnapredict.config.service_config import OpenId
from dnapredict.service.auth.api_keys import Key, KeyRing
from dnapredict.service.auth.openid import Issuer
from dnapredict.service.auth.openid_people import OpenIdPeople, PersonHolder
from dnapredict.service.auth.openid_sign_in import CodeFlow


@dataclass(frozen=True)
class Accounts:
    """The keys of a home, and the people and the sign-in of its issuer, where there is one."""

    ring: KeyRing
    people: OpenIdPeople
    issuer: Issuer | None = None
    flow: CodeFlow | None = None

    @classmethod
    def of(cls, home: Path, config: OpenId | None = None) -> "Accounts":
        """The accounts of a home; nothing is read or fetched yet."""
        ring, people = KeyRing(home), OpenIdPeople(home)
        issuer = None if config is None else Issuer(config)
        if config is None or issuer is None or config.sign_in is None:
            return cls(ring, people, issuer)
        return cls(ring, people, issuer, CodeFlow(config.sign_in, issuer, people))

    @property
    def required(self) -> bool:
        """Whether anybody has to sign in: there is an issuer, or a key was ever made.

        Raises
        ------
        StoreError
            If the keys cannot be read.
        """
        return self.issuer is not None or self.ring.required

    def session_holder(self, session: str) -> Key | PersonHolder | None:
        """Who a session belongs to, if it is valid.

        A session of the issuer's accounts is valid only while an issuer is configured.

        Raises
        ------
        StoreError
            If keys, people or ended sessions cannot be read.
        """
        holder = self.ring.session_holder(session)
        return self.people.session_holder(session) if holder is None and self.flow is not None else holder

    def renewed_session(self, session: str) -> str | None:
        """The session that the browser of an accepted request keeps from now on; None if the one that it has will do.

        Raises
        ------
        StoreError
            If the secret of the sessions cannot be read.
        """
        return self.ring.renewed_session(session) or self.people.renewed_session(session)

    def end_session(self, session: str) -> None:
        """End a session for every worker.

        Raises
        ------
        StoreError
            If that cannot be written.
        """
        self.ring.end_session(session)
        self.people.end_session(session)

    def colleagues(self) -> tuple[str, ...]:
        """The names of the people who have a personal key and work in the team of the person of this request."""
        return self.ring.colleagues()

    def name_of(self, key_id: str) -> str:
        """The name beside an entry of the scoring log, by the id that it was recorded under; "" where none is known."""
        return self.ring.name_of(key_id) or self.people.name_of(key_id)

"""`serving/service.toml`: load limits, retention periods, and trusted identity providers and proxies."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dnapredict.config.loading import Settings, load, shipped

# The file of settings that `serve` hands on to its worker processes.
SETTINGS_VARIABLE: Final = "DNAPREDICT_SERVICE"
# Asymmetric algorithms only: a verifier of tokens with a shared secret could also sign them.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


class ServiceLimits(Settings):
    """Limits on load; each worker process counts for itself.

    `requests_a_minute` is the sustained rate of one key, and `burst` the number of requests that it may send
    at once after a pause; with two workers a key may reach up to twice as many. `at_once` requests
    are processed in parallel, and `waiting` more are queued for up to `seconds_to_wait`; others are told
    to try again later. At most `connections` are open, fewer where the system allows few open files.
    `live_pages` open lists show at once what colleagues record, at most half of the connections.
    """

    requests_a_minute: Annotated[float, Field(gt=0, le=1_000_000)] = 6_000
    burst: Annotated[int, Field(ge=1, le=100_000)] = 300
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    waiting: Annotated[int, Field(ge=0, le=1_000)] = 32
    seconds_to_wait: Annotated[float, Field(gt=0, le=60)] = 5
    seconds_to_answer: Annotated[float, Field(gt=0, le=600)] = 60
    seconds_to_send: Annotated[float, Field(gt=0, le=600)] = 30
    bodies_at_once: Annotated[int, Field(ge=1, le=1_000)] = 64
    largest_body_mb: Annotated[float, Field(gt=0, le=64)] = 8
    largest_form_kb: Annotated[float, Field(gt=0, le=1_024)] = 8
    connections: Annotated[int, Field(ge=16, le=30_000)] = 1_000
    live_pages: Annotated[int, Field(ge=0, le=10_000)] = 200
    seconds_to_ask: Annotated[float, Field(gt=0, le=600)] = 10
    seconds_to_read: Annotated[float, Field(gt=0, le=600)] = 30


class Anonymous(Settings):
    """Limits for clients without a key or a session, for each address and in total.

    Each worker process counts for itself, and an IPv6 address counts as its /64 network. An address that sends
    few requests is served even while others use up `requests_a_minute_in_all`.
    `failures` wrong keys from one address, or for one key, are answered at once on the sign-in page, and
    `failures_of_programs` elsewhere; each further one doubles the delay of the next, up to
    `longest_wait` seconds. `proxies` are the addresses or networks whose `X-Forwarded-For` and `X-Forwarded-Proto`
    headers are trusted.
    """

    requests_a_minute: Annotated[float, Field(gt=0, le=1_000_000)] = 1_200
    burst: Annotated[int, Field(ge=2, le=100_000)] = 600
    requests_a_minute_in_all: Annotated[float, Field(gt=0, le=1_000_000)] = 6_000
    burst_in_all: Annotated[int, Field(ge=2, le=100_000)] = 2_000
    connections: Annotated[int, Field(ge=1, le=30_000)] = 100
    bodies_at_once: Annotated[int, Field(ge=1, le=1_000)] = 64
    bodies_of_address: Annotated[int, Field(ge=1, le=1_000)] = 16
    seconds_to_send: Annotated[float, Field(gt=0, le=600)] = 10
    failures: Annotated[int, Field(ge=1, le=1_000)] = 10
    failures_of_programs: Annotated[int, Field(ge=1, le=10_000)] = 100
    longest_wait: Annotated[float, Field(ge=1, le=86_400)] = 300
    proxies: tuple[str, ...] = ()

    @field_validator("proxies")
    @classmethod
    def _proxies_are_addresses(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            try:
                network = ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError("expected IP addresses or networks, such as 10.1.2.0/24") from None
            if network.prefixlen == 0:
                raise ValueError("must name the proxy: with every address any client could write its own")
        return proxies


class Retention(Settings):
    """Retention periods in days; without `log_days` the scoring log is kept for ever.

    A list older than the newest `lists` is deleted once its appointments are over and nothing was recorded on it.
    Names, telephone numbers and notes of a list are deleted `contact_days` days after the day of its last appointment,
    or with the list.
    What was scored, as hashes, is kept for `scored_days`, and rows of the outcome store for `outcome_days` after the
    appointment.
    A history is deleted `old_history_days` after another one replaced it. What a version was trained, tested and
    audited on, as keyed fingerprints, is deleted after `tested_days`, unless the version is or was last in use, or is
    the challenger. An interrupted scoring is deleted `staging_days` after it began; lists of a watched folder
    `done_days` after they were scored, or `failed_days` after they were refused.
    Stored lists take at most `list_mb` megabytes; beyond that, no further list is accepted.
    """

    log_days: Annotated[int, Field(ge=1, le=36_525)] | None = None
    list_days: Annotated[int, Field(ge=1, le=36_525)] = 90
    lists: Annotated[int, Field(ge=1, le=100_000)] = 50
    list_mb: Annotated[float, Field(gt=0, le=1_000_000)] = 2_000
    contact_days: Annotated[int, Field(ge=0, le=366)] = 0
    scored_days: Annotated[int, Field(ge=31, le=36_525)] = 400
    outcome_days: Annotated[int, Field(ge=31, le=36_525)] = 1_096
    old_history_days: Annotated[int, Field(ge=1, le=36_525)] = 7
    tested_days: Annotated[int, Field(ge=31, le=36_525)] = 1_096
    staging_days: Annotated[int, Field(ge=1, le=366)] = 7
    done_days: Annotated[int, Field(ge=1, le=36_525)] = 30
    failed_days: Annotated[int, Field(ge=1, le=36_525)] = 30


class OpenIdSignIn(Settings):
    """The sign-in of people with their accounts at the issuer (code flow with PKCE).

    `authorize` and `token` are the issuer's addresses, and `redirect` is the address of the service's own page
    `/sign-in/openid/return` as people's browsers reach it. `roles` maps words of `role_claim` to the roles of
    dnapredict. Without `client_secret_file`, the client is public and protected by PKCE alone. With
    `answers_name_issuer`, an answer that does not name the issuer (RFC 9207) is refused.

    With `acr_values`, the issuer is asked for one of these levels of authentication, and a token without one of them is
    refused (claim `acr`). With `methods`, a token must name each of them (claim `amr`), such as `mfa`.
    """

    authorize: Annotated[str, Field(min_length=1)]
    token: Annotated[str, Field(min_length=1)]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: str = ""
    redirect: Annotated[str, Field(min_length=1)]
    button: Annotated[str, Field(min_length=1, max_length=80)] = "Sign in with your work account"
    request_scopes: str = "openid profile"
    name_claim: str = "name"
    team_claim: str = "team"
    role_claim: str = "roles"
    roles: dict[str, Literal["clerk", "team lead", "reviewer", "administrator"]]
    answers_name_issuer: bool = False
    acr_values: tuple[Annotated[str, Field(pattern=r"^\S+$")], ...] = ()
    methods: tuple[Annotated[str, Field(pattern=r"^\S+$")], ...] = ()

    @field_validator("authorize", "token", "redirect")
    @classmethod
    def _comes_safely(cls, text: str) -> str:
        address = urlsplit(text)
        is_safe = address.scheme == "https" or (address.scheme == "http" and address.hostname in _THIS_MACHINE)
        if not is_safe or not address.hostname:
            raise ValueError("must be https, or anybody on the network could sign in as somebody else")
        return text

    @field_validator("redirect")
    @classmethod
    def _is_our_page(cls, text: str) -> str:
        address = urlsplit(text)
        if address.path != "/sign-in/openid/return" or address.query or address.fragment:
            raise ValueError("must end with /sign-in/openid/return, the page to which the issuer sends people back")
        return text

    @field_validator("request_scopes")
    @classmethod
    def _asks_for_an_id_token(cls, text: str) -> str:
        if "openid" not in text.split():
            raise ValueError("must hold 'openid', or the issuer sends no ID token")
        return text


class OpenId(Settings):
    """An OpenID Connect issuer whose bearer tokens are accepted in addition to API keys.

    `keys` is the address of the issuer's keys (its `jwks_uri`), or a file that holds them. The claim
    `scope_claim` holds a token's scopes, as a list or separated by spaces; `scopes` maps them to
    `score`, `list` and `admin`. With `sign_in`, people sign in to the pages with their accounts at the issuer.
    """

    issuer: Annotated[str, Field(min_length=1)]
    audience: Annotated[str, Field(min_length=1)]
    keys: Annotated[str, Field(min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256")
    scope_claim: str = "scope"
    scopes: dict[str, Literal["score", "list", "admin"]] = {
        "dnapredict.score": "score",
        "dnapredict.list": "list",
        "dnapredict.admin": "admin",
    }
    leeway_seconds: Annotated[float, Field(ge=0, le=300)] = 30
    keys_minutes: Annotated[float, Field(gt=0, le=1_440)] = 10
    sign_in: OpenIdSignIn | None = None

    @field_validator("keys")
    @classmethod
    def _keys_come_safely(cls, keys: str) -> str:
        address = urlsplit(keys)
        if address.scheme == "http" and address.hostname not in _THIS_MACHINE:
            raise ValueError("must be https, or anybody on the network could replace the keys")
        return keys

    @property
    def keys_are_remote(self) -> bool:
        """Whether the keys are fetched from an address, and not read from a file."""
        return self.keys.startswith(("https://", "http://"))


class ServiceConfig(Settings):
    """The whole of `serving/service.toml`.

    `database` is the address of the scoring log, such as `postgresql://log@db.example/dnapredict`; without
    it, the log is in the home. `DNAPREDICT_DATABASE` has precedence, so that no file need hold a password.
    """

    workers: Annotated[int, Field(ge=1, le=64)] = 2
    database: str | None = None
    limits: ServiceLimits = ServiceLimits()
    anonymous: Anonymous = Anonymous()
    retention: Retention = Retention()
    openid: OpenId | None = None

    @model_validator(mode="after")
    def _a_database_is_postgresql(self) -> "ServiceConfig":
        if self.database is not None and not self.database.startswith("postgresql"):
            raise ValueError("'database' must begin with postgresql://; without it the log is in the home")
        return self


def served_config(settings: Path | None = None) -> ServiceConfig:
    """The settings in `settings`, or in the file that the environment names, or in `serving/service.toml`.

    Raises
    ------
    ConfigurationError
        If the file is missing or holds something it must not.
    """
    path = settings or os.environ.get(SETTINGS_VARIABLE)
    return load(Path(path) if path else shipped("serving/service.toml"), ServiceConfig)

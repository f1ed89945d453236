"""The BentoML service: the only module that knows BentoML.

It is thin: middleware checks each request, `scoring_endpoints` scores, and Starlette serves everything else.
"""

import logging
import os
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import bentoml

from dnapredict.config.mapping_config import IDENTITY, Mapping
from dnapredict.config.service_config import Anonymous, ServiceConfig, served_config
from dnapredict.errors import DnapredictError, StoreError
from dnapredict.pipeline.run_inputs import worklist_config
from dnapredict.service.api import pending_uploads
from dnapredict.service.api.champion import Champion, ExpectedModel
from dnapredict.service.api.model_documents import DocumentCache, ModelDocuments
from dnapredict.service.api.request_models import ScoreRequest
from dnapredict.service.api.response_models import ScoreAnswer
from dnapredict.service.api.scoring_endpoints import answer
from dnapredict.service.api.smoke_test import run_smoke_test
from dnapredict.service.api.team_lists import TeamLists
from dnapredict.service.api.uploaded_lists import ListScoring
from dnapredict.service.auth.access_control import AccessControl, FailedKeys, is_guarded
from dnapredict.service.auth.accounts import Accounts
from dnapredict.service.background.challenger_thread import ChallengerThread, no_challenger
from dnapredict.service.call_actions import Actions
from dnapredict.service.client_address import networks
from dnapredict.service.connections import (
    Connections,
    ConnectionsMiddleware,
    use_guarded_protocol,
)
from dnapredict.service.error_responses import error_response
from dnapredict.service.home_checks.file_checks import remove_leftovers
from dnapredict.service.log.access_entries import AccessLog
from dnapredict.service.log.action_feed import ActionFeed
from dnapredict.service.log.answer_entries import AnswerLog, Hashes
from dnapredict.service.log.log_redaction import redact_logs
from dnapredict.service.log.retention import RetentionThread
from dnapredict.service.log.scoring_log import ScoringLog
from dnapredict.service.logged_contacts import LoggedContacts, logged_contacts
from dnapredict.service.middleware.access_trail import AccessTrail
from dnapredict.service.middleware.ambiguous_requests import UnambiguousHeaders, UniqueJsonKeys
from dnapredict.service.middleware.body_limits import AnonymousBodies, BodyLimits
from dnapredict.service.middleware.request_limits import AnonymousRate, Buckets, ConcurrencyLimit, RateLimit
from dnapredict.service.middleware.safe_responses import PlainErrors, SecurityHeaders
from dnapredict.service.middleware.same_home import SameHome
from dnapredict.service.open_files import connections_for, raise_file_limit
from dnapredict.service.pages.live import LiveLists, is_live
from dnapredict.service.pages.page_routes import STATIC_PATH
from dnapredict.service.prometheus_metrics import Metrics
from dnapredict.service.readiness import first_identity, require_answerable
from dnapredict.service.scorer_protocol import ScorerProtocol
from dnapredict.service.start import served_home, served_mapping
from dnapredict.service.web import access_of, body_types, route_of, web_app

if TYPE_CHECKING:
    from dnapredict.registry import Registry
    from dnapredict.worklist.scorer import Scorer
from dnapredict.worklist.calls.calls_ledger import Ledger

# The time-out of `ConcurrencyLimit` comes first and answers with a sentence; this one is a fallback.
_LAST_RESORT: Final = 30
_LOG: Final = logging.getLogger("dnapredict.service")


def remove_left_files(home: Path) -> int:
    """Remove what killed processes left in a home, and uploads that nobody came back to; return their number."""
    return remove_leftovers(home) + pending_uploads.remove_expired(home)


def build(
    home: Path,
    champion: Champion,
    *,
    mapping: Mapping = IDENTITY,
    config: ServiceConfig = ServiceConfig(),  # noqa: B008 - frozen
    documents: Callable[[str], ModelDocuments] = lambda _: ModelDocuments(),
    challenger: ChallengerThread | None = None,
) -> Any:
    """The service that scores with `champion` and keeps its lists in `home`.

    The champion begins to watch the registry when a worker starts, not when this is called.
    Uploaded lists are read through `mapping`. `documents` reads the documents about a version. `challenger` scores what
    was answered, by default nothing.
    """

    log = ScoringLog(home, config.database)
    hashes = Hashes(home, log)
    logbook = AnswerLog(log, hashes)
    keeper = RetentionThread(home, log, config.retention, remove_leftovers=remove_left_files)
    connections = _connections(config)
    failed = FailedKeys(config.anonymous.failures, config.anonymous.longest_wait)
    rival = challenger or no_challenger()

    class Dnapredict:
        """Order outpatient appointments by the chance that they are missed, to offer help to attend."""

        def __init__(self) -> None:
            redact_logs()
            connections.most = connections_for(raise_file_limit(), wanted=connections.most)
            champion.watch()
            keeper.watch()
            rival.start()

        def __is_ready__(self) -> bool:
            return champion.is_ready

        @bentoml.api(route="/v1/score")  # type: ignore[untyped-decorator]
        def score(self, request: ScoreRequest, /) -> ScoreAnswer:
            """Score appointments and put them in the order in which to call."""
            try:
                return answer(request, champion=champion, logbook=logbook, home=home, challenger=rival)
            except DnapredictError as error:
                # BentoML passes a response on as it is; its own exceptions would lose the sentence.
                return cast("ScoreAnswer", error_response(error))

    limits = config.limits
    service = bentoml.service(
        name="dnapredict",
        workers=config.workers,
        threads=limits.at_once,
        traffic={"timeout": limits.seconds_to_wait + limits.seconds_to_answer + _LAST_RESORT},
        logging={"access": {"enabled": False}},
        metrics={"enabled": False},  # replaced by `prometheus_metrics`, which counts known routes only
        tracing={"excluded_urls": ".*"},  # no traces are sent to other machines
    )(Dnapredict)
    accounts = Accounts.of(home, config.openid)
    lists = TeamLists(home, config.retention)
    actions = Actions(log, hashes, Ledger(home, LoggedContacts(log, hashes)))
    web = web_app(
        champion,
        accounts=accounts,
        failed=failed,
        lists=lists,
        scoring=ListScoring(lists, champion=champion, logbook=logbook, mapping=mapping, log=log, scored=rival.submit),
        actions=actions,
        documents=DocumentCache(documents),
        worklist=worklist_config,
        live=LiveLists(
            lists,
            actions,
            ActionFeed(log, hashes),
            # At least half of the connections are for pages and programs, however few the system allows.
            most=lambda: min(config.limits.live_pages, connections.most // 2),
        ),
    )
    service.mount_asgi_app(web, path="/")
    service.add_asgi_middleware(ConnectionsMiddleware, connections=connections)
    _guard(service, config, home=home, accounts=accounts, private=_private_texts(home, log))
    service.add_asgi_middleware(AccessTrail, log=AccessLog(log, hashes), access_of=access_of)
    use_guarded_protocol()
    return service


def _private_texts(home: Path, log: ScoringLog) -> dict[str, str]:
    """Texts that no error response may contain: the folder of the home, the address of the database."""
    folders = {str(path) for path in (home.absolute(), home.resolve())}
    paths = {f"{folder}{os.sep}": "" for folder in folders} | dict.fromkeys(folders, "the home")
    return paths if log.is_file else paths | {log.name: "the database"}


def _connections(config: ServiceConfig) -> Connections:
    return Connections(
        most=config.limits.connections,
        most_of_address=config.anonymous.connections,
        seconds_to_ask=config.limits.seconds_to_ask,
        seconds_to_read=config.limits.seconds_to_read,
        proxies=networks(config.anonymous.proxies),
    )


def _guard(
    service: Any, config: ServiceConfig, *, home: Path, accounts: Accounts, private: MappingOf[str, str]
) -> None:
    """Add the middleware that a request passes before it reaches the service, the outermost first."""
    limits = config.limits
    guarded = partial(is_guarded, static_path=STATIC_PATH)
    service.add_asgi_middleware(Metrics, route_of=route_of)
    service.add_asgi_middleware(SecurityHeaders, static_path=STATIC_PATH)
    service.add_asgi_middleware(PlainErrors, private=private)
    service.add_asgi_middleware(UnambiguousHeaders)
    service.add_asgi_middleware(SameHome, home=home, identity=first_identity(home))
    service.add_asgi_middleware(
        AccessControl,
        accounts=accounts,
        static_path=STATIC_PATH,
        anonymous=_anonymous_rate(config.anonymous),
        failed=FailedKeys(config.anonymous.failures_of_programs, config.anonymous.longest_wait),
        route_of=route_of,
        proxies=networks(config.anonymous.proxies),
    )
    buckets = Buckets(limits.requests_a_minute / 60, limits.burst)
    service.add_asgi_middleware(RateLimit, buckets=buckets, guarded=guarded)
    _limit_bodies(service, config, guarded=guarded)
    service.add_asgi_middleware(
        ConcurrencyLimit,
        at_once=limits.at_once,
        waiting=limits.waiting,
        seconds_to_wait=limits.seconds_to_wait,
        seconds_to_answer=limits.seconds_to_answer,
        guarded=lambda path: guarded(path) and not is_live(path),
    )
    service.add_asgi_middleware(UniqueJsonKeys)


def _anonymous_rate(settings: Anonymous) -> AnonymousRate:
    return AnonymousRate(
        a_second=settings.requests_a_minute / 60,
        burst=settings.burst,
        a_second_in_all=settings.requests_a_minute_in_all / 60,
        burst_in_all=settings.burst_in_all,
    )


def _limit_bodies(service: Any, config: ServiceConfig, *, guarded: Callable[[str], bool]) -> None:
    limits, anonymous = config.limits, config.anonymous
    largest, largest_form = int(limits.largest_body_mb * 1_048_576), int(limits.largest_form_kb * 1_024)
    service.add_asgi_middleware(
        BodyLimits,
        largest=largest_form,
        body_types=body_types(largest=largest, largest_form=largest_form),
        seconds=limits.seconds_to_send,
        at_once=limits.bodies_at_once,
        anonymous=AnonymousBodies(
            at_once=anonymous.bodies_at_once,
            of_address=anonymous.bodies_of_address,
            seconds=anonymous.seconds_to_send,
        ),
        guarded=guarded,
    )


def run(*, host: str, port: int) -> None:
    """Serve until interrupted, in worker processes that BentoML watches over."""
    bentoml.serve(f"{__name__}:service", host=host, port=port, blocking=True)


def champion_of(home: Path, database: str | None = None) -> Champion:
    """The champion of a home's registry, with the home's history; nothing is loaded yet.

    `database` is the address of the scoring log, which records who was reached.
    """
    recorded = logged_contacts(home, database)

    @cache
    def kept_registry() -> "Registry":
        # One for the life of the service: it notices a ledger without an entry that it has seen.
        from dnapredict.registry import Registry

        return Registry(home)

    def expected() -> ExpectedModel:
        from dnapredict.pipeline import history_in_use

        registry = kept_registry()
        version, warning = registry.in_use()  # first: a rejection counts even if other things are wrong
        notice = registry.notice(version)
        history = history_in_use(home)
        if history is not None:
            history.verify()  # a damaged one is refused before a model is tried out with it
        return ExpectedModel(version, history.folder.name if history else "", warning=warning, notice=notice)

    def open_scorer(version: str) -> ScorerProtocol:
        from dnapredict import pipeline

        # The scorer keeps the history that was verified here; a damaged one that replaces it later is not used.
        history = pipeline.history_in_use(home)
        return replace(pipeline.open_scorer(home, model=version, recorded=recorded), history=lambda: history)

    def require_usable(version: str) -> None:
        kept_registry().usable(version)

    return Champion(
        expected=expected,
        open_scorer=open_scorer,
        run_smoke_test=run_smoke_test,
        require_usable=require_usable,
        require_answerable=partial(require_answerable, home, ScoringLog(home, database)),
    )


def challenger_of(home: Path, database: str | None = None) -> ChallengerThread:
    """The thread that scores with the challenger of a home what was answered; nothing is loaded yet."""
    recorded = logged_contacts(home, database)

    def version() -> str:
        from dnapredict.pipeline.comparison.challenger_scoring import challenger_version

        return challenger_version(home)

    def open_version(name: str) -> "Scorer":
        from dnapredict.pipeline.comparison.challenger_scoring import open_challenger

        return open_challenger(home, name, recorded=recorded)

    return ChallengerThread(
        version=version, open_challenger=open_version, run_smoke_test=partial(run_smoke_test, challenger=True)
    )


def _card(registry: "Registry", version: str) -> str:
    """The card of a version, or a sentence in its place where it is damaged: the page shows what else it has."""
    try:
        return registry.card(version)
    except StoreError as error:
        _LOG.error("%s", error)
        return "The card of this version is damaged or missing. The log of the service names the file to restore."


def documents_of(home: Path) -> Callable[[str], ModelDocuments]:
    """The documents of a home about a version; the registry is read only on demand."""

    def read(version: str) -> ModelDocuments:
        from dnapredict.fairness.report.first_page import stored_report
        from dnapredict.registry import Registry

        registry = Registry(home)
        tags, folder = registry.tags(version), registry.report(version)
        digest = tags.get("audit_sha256", "")
        report = None if folder is None else stored_report(folder, sha256=digest)
        seal = registry.seal_of_decision(digest)
        return ModelDocuments(_card(registry, version), tags, report, seal, registry.notice(version))

    return read


def _production() -> Any:
    home = served_home()
    config = served_config()
    champion, documents = champion_of(home, config.database), documents_of(home)
    challenger = challenger_of(home, config.database)
    return build(home, champion, mapping=served_mapping(), config=config, documents=documents, challenger=challenger)


def __getattr__(name: str) -> Any:
    """Build `service` when BentoML first asks for it, and not when this module is imported.

    Building reads the configuration and fixes the home; an import must not. BentoML looks `service` up among the
    module's variables afterwards, so that it is stored there.
    """
    if name != "service":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = built = _production()
    return built

"""The composition root: the only place that knows every concrete class."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from whatsit.cache.breaker import CircuitBreaker
from whatsit.cache.codec import Seal
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.cache.memory import MemoryCache
from whatsit.cache.reasons import Trouble
from whatsit.cache.redis import RedisCache, connect
from whatsit.cache.tiers import TieredCache
from whatsit.cache.write_behind import WriteBehind
from whatsit.classifier import Classifier, Computed
from whatsit.drift.signals import describe_signals
from whatsit.drift.watch import Watch
from whatsit.errors import CacheError
from whatsit.models.catalogue import Progress
from whatsit.models.folder import ModelFolder
from whatsit.models.live import LiveAlias, resolve_served
from whatsit.models.store import LIVE, ModelStore
from whatsit.running import Running
from whatsit.service.follower import Follower
from whatsit.service.line_up import LineUp
from whatsit.service.service import Service
from whatsit.service.workers import Workers, give_way
from whatsit.settings import Settings
from whatsit.telemetry.drift_metrics import DriftMetrics
from whatsit.telemetry.metrics import Telemetry
from whatsit.telemetry.processes import ExpositionFolder

if TYPE_CHECKING:
    from whatsit.feedback.corrections import Corrections
    from whatsit.feedback.store import FeedbackStore

_log = logging.getLogger(__name__)

_FRONT_TTL_SECONDS = 30.0
"""The process forgets sooner than Redis, so that clearing Redis takes effect everywhere."""
_SLOW_RATIO = 0.5
"""Share of the time-out: a Redis that always takes longer is treated as failing."""


@contextmanager
def open_service(
    settings: Settings,
    progress: Progress | None = None,
    expositions: ExpositionFolder | None = None,
    *,
    takes_feedback: bool = False,
    follows_live: bool = False,
) -> Iterator[Running]:
    """Open everything that answering takes, in order; close it in reverse.

    Args:
        settings: The settings of the service.
        progress: Called during the download of a model that is not there yet.
        expositions: Where to leave the metrics for processes that share the port.
        takes_feedback: True if answers can be corrected.
        follows_live: True to change the model with the live one, if the settings ask for ``live``.

    Raises:
        WhatsitError: Something can't be opened; everything opened until then is closed again.
    """
    with ExitStack() as stack:
        telemetry, watch = Telemetry(), Watch()
        telemetry.registry.register(DriftMetrics(watch))
        events = _Events(telemetry, watch)
        store = ModelStore(settings.store)
        model = resolve_served(store, settings.store, settings.model, progress=progress)
        if model.note is not None:
            _log.warning(model.note)

        def open_classifier(folder: ModelFolder) -> Classifier:
            opened = Classifier.from_folder(
                folder,
                engine=settings.engine,
                max_upload_bytes=settings.max_upload_bytes,
                max_pixels=settings.max_pixels,
            )
            if opened.complaint is not None:
                # It answers as it always did; `pipeline.trial` refuses a new model like this.
                _log.warning("%s", opened.complaint)
            return opened

        # Threads have the priority of the one that starts them, those of the engine as well.
        with ThreadPoolExecutor(1, initializer=give_way) as opener:
            classifier = opener.submit(open_classifier, model.folder).result()
        opened = stack.enter_context(ExitStack())
        opened.enter_context(classifier)
        redis_url = open_redis(settings, stack)
        shared, cache = None, None
        if settings.cache == "on":
            shared = _open_shared_cache(settings, redis_url, telemetry, telemetry.cache_troubled)
            cache = _join_tiers(settings, shared, telemetry)
            stack.callback(cache.close)
        workers = Workers(
            settings.inference_threads,
            max_queue=settings.max_queue,
            max_wait_seconds=settings.max_wait_seconds,
        )
        stack.callback(workers.close)
        telemetry.watch_queue(workers)
        telemetry.limited(
            queue=settings.max_queue,
            working=settings.inference_threads,
            held_bytes=settings.max_held_bytes,
        )
        service = Service(
            classifier,
            cache,
            workers=workers,
            namespace=settings.cache_namespace,
            events=events,
        )
        # From here on it may be others that are open.
        opened.pop_all()
        opened.callback(_close_models, service)
        events.serving(service.line_up)
        follower = None
        if follows_live and settings.model == LIVE:
            alias = LiveAlias(settings.store)
            follower = Follower(alias, store, service, open_classifier, events)
            follower.start()
            stack.callback(follower.close)
        if expositions is not None:
            stack.enter_context(expositions.publish(telemetry, watch))
        feedback = _open_corrections(settings, stack) if takes_feedback else None
        yield Running(
            service=service,
            model=model,
            store=store,
            telemetry=telemetry,
            watch=watch,
            shared_cache=shared,
            redis_url=redis_url,
            settings=settings,
            expositions=expositions,
            feedback=feedback,
            follower=follower,
        )


class _Events:
    """Passes what the service and its follower report on to the metrics and to the watch."""

    def __init__(self, telemetry: Telemetry, watch: Watch) -> None:
        self._telemetry, self._watch = telemetry, watch
        self.answered = telemetry.answered
        self.swapped = telemetry.swapped

    def computed(self, computed: Computed) -> None:
        signals = describe_signals(computed.prediction, computed.familiarity, computed.statistics)
        self._watch.computed(computed.prediction, signals)

    def serving(self, line_up: LineUp) -> None:
        live = line_up.live
        self._watch.serve(live.model, live.classifier.card.reference)
        self._telemetry.serving(line_up)


def _close_models(service: Service) -> None:
    for serving in service.line_up.servings:
        serving.classifier.close()


def open_feedback_store(settings: Settings) -> "FeedbackStore":
    """The store of corrections. It makes nothing and connects to nothing before the first one.

    Raises:
        SettingsError: The address of the database is wrong, or its driver is missing.
    """
    # Loading SQLAlchemy takes longer than classifying a picture does.
    from whatsit.feedback.connect import parse_url, url_in_store
    from whatsit.feedback.database import FeedbackDatabase
    from whatsit.feedback.pictures import KeptPictures
    from whatsit.feedback.store import FeedbackStore

    if settings.feedback_url is None:
        url = url_in_store(settings.store)
    else:
        url = parse_url(settings.feedback_url.get_secret_value())
    pictures = KeptPictures(settings.store, settings.feedback_max_kept_bytes)
    return FeedbackStore(FeedbackDatabase(url, settings.feedback_max_corrections), pictures)


def _open_corrections(settings: Settings, stack: ExitStack) -> "Corrections":
    from whatsit.feedback.corrections import Corrections

    return stack.enter_context(Corrections(open_feedback_store(settings)))


@contextmanager
def open_shared_cache(settings: Settings) -> Iterator[RedisCache]:
    """The shared tier of the cache alone, for its maintenance.

    Raises:
        CacheError: It does not exist, or does not answer.
    """
    if settings.cache == "off":
        raise CacheError("The cache is off (WHATSIT_CACHE).")
    with ExitStack() as stack:
        url = open_redis(settings, stack)
        # The caller gets an error in the end, so nothing is logged.
        cache = _open_shared_cache(settings, url, Telemetry(), on_trouble=lambda trouble: None)
        if cache is None:
            raise CacheError("No Redis or Valkey is available.")
        stack.callback(cache.close)
        if not cache.ping():
            raise CacheError(_sentence(cache.trouble))
        yield cache


def _join_tiers(settings: Settings, shared: RedisCache | None, telemetry: Telemetry) -> TieredCache:
    keep_seconds: float = settings.cache_ttl_seconds
    if shared is not None:
        keep_seconds = min(_FRONT_TTL_SECONDS, keep_seconds)
    front = MemoryCache(settings.cache_memory_entries, keep_seconds)
    back = None if shared is None else WriteBehind(shared, telemetry.cache_failed)
    return TieredCache(front, back, telemetry.cache_failed)


def open_redis(settings: Settings, stack: ExitStack) -> SecretStr | None:
    """The address of the Redis to share: the one that is set, else that of an embedded Valkey.

    Args:
        settings: Say if there is a cache, and where.
        stack: Stops the embedded one when it is closed.

    Returns:
        None where no cache can be shared; the log says why.
    """
    if settings.redis_url is not None or settings.cache == "off":
        return settings.redis_url
    try:
        return SecretStr(stack.enter_context(EmbeddedValkey(settings.store / "cache")).url)
    except CacheError as error:
        _log.warning("%s Answers are kept in this process only.", error)
        return None


def _open_shared_cache(
    settings: Settings,
    url: SecretStr | None,
    telemetry: Telemetry,
    on_trouble: Callable[[Trouble | None], None],
) -> RedisCache | None:
    if url is None:
        return None
    client = connect(url.get_secret_value(), timeout_seconds=settings.redis_timeout_seconds)
    breaker = CircuitBreaker(
        slow_seconds=settings.redis_timeout_seconds * _SLOW_RATIO,
        on_change=telemetry.cache_held_back,
    )
    secret = settings.cache_secret
    seal = Seal(None if secret is None else secret.get_secret_value())
    cache = RedisCache(client, settings.cache_ttl_seconds, breaker, seal, on_trouble)
    if cache.ping():
        cache.require_single()
        cache.try_writing(settings.cache_namespace)
    return cache


def _sentence(trouble: Trouble | None) -> str:
    return "Redis does not answer." if trouble is None else trouble.sentence

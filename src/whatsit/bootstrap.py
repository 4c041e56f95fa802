"""The composition root: the only place that knows every concrete class."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from whatsit.cache.behind import WriteBehind
from whatsit.cache.embedded import EmbeddedValkey
from whatsit.cache.memory import MemoryCache
from whatsit.cache.redis import RedisCache, connect
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import Classifier
from whatsit.errors import CacheError
from whatsit.models.catalogue import Progress
from whatsit.models.store import ModelStore, ResolvedModel, resolve_model
from whatsit.service import Service
from whatsit.settings import Settings
from whatsit.telemetry import Telemetry

CacheState = Literal["reachable", "unreachable", "process", "off"]
"""Of the shared tier; ``process`` where there is none and answers are kept in memory only."""

_log = logging.getLogger(__name__)

_FRONT_TTL_SECONDS = 300.0
"""The process forgets sooner than Redis, so that clearing Redis takes effect everywhere."""


@dataclass(frozen=True)
class Running:
    """Everything that is open while whatsit runs.

    Attributes:
        service: Answers pictures.
        model: Which model it found, and why, if it is another one than was asked for.
        store: The models on this machine.
        telemetry: What the service reports to.
        shared_cache: The cache's shared tier; None where there is none.
        redis_url: Where all processes of this service can share something; None where nowhere.
        settings: What all of it was built from.
    """

    service: Service
    model: ResolvedModel
    store: ModelStore
    telemetry: Telemetry
    shared_cache: RedisCache | None
    redis_url: SecretStr | None
    settings: Settings

    def cache_state(self) -> CacheState:
        """How the cache is doing; asks Redis, so it takes up to the time-out."""
        if self.settings.cache == "off":
            return "off"
        if self.shared_cache is None:
            return "process"
        return "reachable" if self.shared_cache.ping() else "unreachable"


@contextmanager
def open_service(settings: Settings, progress: Progress | None = None) -> Iterator[Running]:
    """Open everything that answering takes, in order; close it in reverse.

    Args:
        settings: What to open.
        progress: Told about the download of a model that is not there yet.

    Raises:
        WhatsitError: Something can't be opened; what was opened until then is closed again.
    """
    with ExitStack() as stack:
        telemetry = Telemetry()
        store = ModelStore(settings.store)
        model = resolve_model(store, settings.model, progress=progress)
        if model.note is not None:
            _log.warning(model.note)
        classifier = stack.enter_context(
            Classifier.from_folder(
                model.folder,
                engine=settings.engine,
                max_upload_bytes=settings.max_upload_bytes,
                max_pixels=settings.max_pixels,
            )
        )
        telemetry.serving(classifier.model)
        redis_url = _redis_url(settings, stack)
        shared = cache = None
        if settings.cache == "on":
            front = MemoryCache(
                settings.cache_memory_entries, min(_FRONT_TTL_SECONDS, settings.cache_ttl_seconds)
            )
            shared = _open_shared_cache(settings, redis_url)
            back = None if shared is None else WriteBehind(shared, telemetry.cache_failed)
            cache = TieredCache(front, back, telemetry.cache_failed)
            stack.callback(cache.close)
        service = Service(classifier, cache, namespace=settings.cache_namespace, events=telemetry)
        yield Running(service, model, store, telemetry, shared, redis_url, settings)


def _redis_url(settings: Settings, stack: ExitStack) -> SecretStr | None:
    if settings.redis_url is not None or settings.cache == "off":
        return settings.redis_url
    try:
        return SecretStr(stack.enter_context(EmbeddedValkey(settings.store / "cache")).url)
    except CacheError as error:
        _log.warning("%s Answers are kept in this process only.", error)
        return None


def _open_shared_cache(settings: Settings, url: SecretStr | None) -> RedisCache | None:
    if url is None:
        return None
    client = connect(url.get_secret_value(), timeout_seconds=settings.redis_timeout_seconds)
    cache = RedisCache(client, settings.cache_ttl_seconds)
    if not cache.ping():
        _log.warning("Redis does not answer. Pictures are answered without it until it does.")
    return cache

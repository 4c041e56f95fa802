"""Everything that is open while whatsit runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import SecretStr

from whatsit.cache.redis import RedisCache
from whatsit.drift.watch import Watch, WatchReport
from whatsit.models.resolve import ResolvedModel
from whatsit.models.store import ModelStore
from whatsit.service.follower import Follower
from whatsit.service.service import Service
from whatsit.settings import Settings
from whatsit.telemetry.metrics import Telemetry
from whatsit.telemetry.processes import ExpositionFolder

if TYPE_CHECKING:
    from whatsit.feedback.corrections import Corrections

CacheState = Literal["reachable", "unreachable", "process", "off"]
"""Of the shared tier; ``process`` where there is none and answers are kept in memory only."""


@dataclass(frozen=True)
class Running:
    """Everything that is open while whatsit runs.

    Attributes:
        service: Answers pictures.
        model: The model found at the start, and why, if it is not the one asked for.
        store: The models on this machine.
        telemetry: Counts what the service does.
        watch: Compares what the live model is asked with its reference.
        shared_cache: The cache's shared tier; None where there is none.
        redis_url: Address of the Redis that all processes of this service share; None without one.
        settings: The settings that all of it was built from.
        expositions: Where the metrics of processes that share the port meet, if there are any.
        feedback: Corrections of answers; None where corrections are off.
        follower: Follows the live model; None where the same model always answers.
    """

    service: Service
    model: ResolvedModel
    store: ModelStore
    telemetry: Telemetry
    watch: Watch
    shared_cache: RedisCache | None
    redis_url: SecretStr | None
    settings: Settings
    expositions: ExpositionFolder | None = None
    feedback: "Corrections | None" = None
    follower: Follower | None = None

    @property
    def note(self) -> str | None:
        """Why another model answers than the one that was asked for, as a sentence."""
        if self.follower is None or not self.follower.read().history:
            return self.model.note
        return self.follower.note

    def exposition(self) -> bytes:
        """The metrics of this process, or of all that share the port."""
        if self.expositions is None:
            return self.telemetry.exposition()
        return self.expositions.exposition(self.telemetry)

    def drift(self) -> WatchReport | None:
        """The traffic seen by this process, or by all that share the port."""
        others = () if self.expositions is None else self.expositions.watched_by_others()
        return self.watch.report(others)

    def cache_state(self) -> CacheState:
        """The state of the cache; asks Redis, so it takes up to the time-out."""
        if self.settings.cache == "off":
            return "off"
        if self.shared_cache is None:
            return "process"
        return "reachable" if self.shared_cache.ping() else "unreachable"

    @property
    def cache_note(self) -> str | None:
        """Why the shared cache does not keep or give answers, as a sentence; None if it works."""
        trouble = None if self.shared_cache is None else self.shared_cache.trouble
        return None if trouble is None else trouble.sentence

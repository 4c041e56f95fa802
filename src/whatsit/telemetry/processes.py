"""The metrics of several processes that share a port, joined."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from whatsit.drift.watch import Watch
from whatsit.files import replace_file
from whatsit.telemetry.metrics import Telemetry

_PUBLISH_SECONDS = 1.0
_EXPOSITION = ".prom"
_SNAPSHOT = ".watched"


class ExpositionFolder:
    """Where the processes write their metrics, so that each can answer for all.

    A scrape of the port reaches one of them by chance.

    Args:
        folder: Theirs alone.
        number: Of this process among them.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number

    @contextmanager
    def publish(self, telemetry: Telemetry, watch: Watch) -> Iterator[None]:
        """Write what this process has counted every second, until the block ends."""
        ended = threading.Event()

        def work() -> None:
            while True:
                self._write(telemetry.exposition(), _EXPOSITION)
                self._write(watch.snapshot().encode(), _SNAPSHOT)
                if ended.wait(_PUBLISH_SECONDS):
                    return

        publisher = threading.Thread(target=work, name="whatsit-metrics", daemon=True)
        publisher.start()
        try:
            yield
        finally:
            ended.set()
            publisher.join()

    def exposition(self, telemetry: Telemetry) -> bytes:
        """The metrics of all processes, each sample with the number of its process.

        Those of the others are up to a second old.
        """
        self._write(telemetry.exposition(), _EXPOSITION)
        files = sorted(self._folder.glob(f"*{_EXPOSITION}"))
        return _join({file.stem: file.read_text(encoding="utf-8") for file in files})

    def watched_by_others(self) -> tuple[str, ...]:
        """The snapshots of all other processes' watches, up to a second old."""
        own = f"{self._number}{_SNAPSHOT}"
        files = sorted(self._folder.glob(f"*{_SNAPSHOT}"))
        texts = (file.read_text(encoding="utf-8") for file in files if file.name != own)
        return tuple(text for text in texts if text)

    def _write(self, content: bytes, ending: str) -> None:
        # After a crash of the machine no process is there any more to ask for it.
        replace_file(self._folder / f"{self._number}{ending}", content, durable=False)


class _Families:
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _join(expositions: Mapping[str, str]) -> bytes:
    families: dict[str, Metric] = {}
    for process, text in expositions.items():
        for family in text_string_to_metric_families(text):
            joined = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            joined.samples += [
                sample._replace(labels={**sample.labels, "process": process})
                for sample in family.samples
            ]
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return generate_latest(registry)

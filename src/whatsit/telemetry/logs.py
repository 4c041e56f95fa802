"""Log lines, one for each request among them, as text or as JSON."""

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

from whatsit.clock import format_time
from whatsit.telemetry.request import FinishedRequest

_RECORD_FIELDS = frozenset({"message", "asctime", *vars(logging.makeLogRecord({}))})


def configure_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Send log lines of whatsit and its libraries to standard error. Called once, by `main`."""
    # No line of ours says these, and finding them out takes as long as writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = _LineHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if log_format == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("whatsit").setLevel(level.upper())


class _LineHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream that sends each line on by itself, as standard error does."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(f"{self.format(record)}\n")
        except Exception:  # noqa: BLE001 - the logging module's own way to report it
            self.handleError(record)


class RequestLog:
    """One line for each request."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("whatsit.requests")

    def write(self, request: FinishedRequest) -> None:
        """Write the line, if lines of this kind are wanted."""
        if self._logger.isEnabledFor(logging.INFO):
            self._logger.handle(_RequestRecord(request))

    def failed(self, request_id: str) -> None:
        """Write down the exception that is being handled."""
        self._logger.exception("A request failed.", extra={"request_id": request_id})


class _RequestRecord(logging.LogRecord):
    """Made without looking for its caller, which takes longer than all the rest."""

    _alike = vars(logging.LogRecord("whatsit.requests", logging.INFO, "", 0, "", None, None))

    def __init__(self, request: FinishedRequest) -> None:
        # In the place of the base's, which finds out much that no line says.
        self.__dict__.update(self._alike)
        self.msg = f"{request.method} {request.route} {request.status}"
        self.created = time.time()
        self.msecs = self.created % 1 * 1000
        self.request = request


class _Seconds:
    """Times as text, to the second; each second is put into words only once.

    Args:
        word: Puts seconds since 1970 into words.
    """

    def __init__(self, word: Callable[[int], str]) -> None:
        self._word = word
        self._latest = (0, "")

    def text(self, seconds: float) -> str:
        second = int(seconds)
        known, text = self._latest
        if known != second:
            text = self._word(second)
            # Both at once: another thread never sees the one without the other.
            self._latest = (second, text)
        return text


class _TextLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")
        self._clock = _Seconds(lambda second: time.strftime("%H:%M:%S", time.localtime(second)))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        return self._clock.text(record.created)

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, _RequestRecord):
            request = record.request
            return (
                f"{self._clock.text(record.created)} INFO    {record.msg}"
                f"  request_id={request.request_id}"
                f"{f' cache={request.cache}' if request.cache else ''}"
                f"{f' code={request.code}' if request.code else ''}"
                f" received_bytes={request.received_bytes} sent_bytes={request.sent_bytes}"
                f" ms={request.seconds * 1000:.3f}"
            )
        facts = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        line = super().format(record)
        return f"{line}  {facts}" if facts else line


class _JsonLines(logging.Formatter):
    # Made once: making one takes as long as encoding a line.
    _encode = staticmethod(json.JSONEncoder(ensure_ascii=False, default=str).encode)

    def __init__(self) -> None:
        super().__init__()
        self._clock = _Seconds(lambda second: format_time(second).removesuffix("Z"))

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": f"{self._clock.text(record.created)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if isinstance(record, _RequestRecord):
            line.update(_facts_of(record.request))
        else:
            line.update(_extra(record))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line)


def _facts_of(request: FinishedRequest) -> dict[str, object]:
    facts: dict[str, object] = {
        "request_id": request.request_id,
        "method": request.method,
        "route": request.route,
        "status": request.status,
    }
    if request.cache:
        facts["cache"] = request.cache
    if request.code:
        facts["code"] = request.code
    facts["received_bytes"] = request.received_bytes
    facts["sent_bytes"] = request.sent_bytes
    facts["ms"] = round(request.seconds * 1000, 3)
    return facts


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}

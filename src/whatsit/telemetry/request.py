"""The facts that are recorded of an HTTP request."""

from collections.abc import Mapping
from typing import NamedTuple

from whatsit.prediction import CacheOutcome


class FinishedRequest(NamedTuple):
    """A request after its answer has left: nothing of its content, and not who sent it.

    Attributes:
        request_id: As in the header ``X-Request-Id``.
        method: As it was sent.
        route: The pattern of its path, so that labels stay few.
        status: 499 where the client did not wait for one.
        seconds: From its first byte to its answer's last.
        received_bytes: Of the body that were read.
        sent_bytes: Of the answer's body.
        cache: The source of the answer; None without an answer to a picture.
        code: Of the problem; None without one.
        timings_ms: Milliseconds by stage, where a picture was answered.
    """

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    received_bytes: int
    sent_bytes: int
    cache: CacheOutcome | None
    code: str | None
    timings_ms: Mapping[str, float]

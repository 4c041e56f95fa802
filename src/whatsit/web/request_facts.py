"""Facts about one request that its layers share."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from whatsit.errors import WhatsitError
from whatsit.prediction import Reply
from whatsit.service.service import Explanation

_KEY = "whatsit.facts"


def _unknown() -> bool:
    return False


@dataclass(slots=True)
class RequestFacts:
    """Facts that one layer leaves for another; one object for each connection or request.

    Attributes:
        request_id: Identifies the request in its answer, the log and the traces.
        key_id: Of the valid API key that came with it; None without one.
        key_name: Of the same key.
        refusal: The reason for which the door refuses it.
        route: Pattern of the path, where no router has looked at it.
        answer: Its timings and its cache outcome go to the log and the traces.
        problem_code: Of the problem document that was sent.
        declared_bytes: Length of the body by its head; 0 where that does not state one.
        received_bytes: How many bytes of the body have been read.
        has_unread_body: True while a part of the body is still to come. The connection can't be
            used again after an answer then.
        body_has_arrived: True if the whole body is there, so that reading it waits for nothing;
            False where the connection does not know.
    """

    request_id: str = ""
    key_id: str | None = None
    key_name: str | None = None
    refusal: WhatsitError | None = None
    route: str | None = None
    answer: Reply | Explanation | None = None
    problem_code: str | None = None
    declared_bytes: int = 0
    received_bytes: int = 0
    has_unread_body: bool = False
    body_has_arrived: Callable[[], bool] = _unknown


def facts_of(scope: Scope) -> RequestFacts:
    """The facts about the request of `scope`; made by the first layer that asks."""
    facts: RequestFacts | None = scope.get(_KEY)
    if facts is None:
        facts = scope[_KEY] = RequestFacts()
    return facts

"""The most used route without a server: a model that fails is logged, not explained."""

import asyncio
import hashlib
import json

from starlette.types import Message

from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.errors import InferenceFailed
from whatsit.feedback.correction import Correction
from whatsit.service.service import Service
from whatsit.testing import FakeEngine, fake_classifier, plain_picture
from whatsit.web.api.classify import CLASSIFY_PATH, Classify
from whatsit.web.intake.intake import Intake


class FailingEngine(FakeEngine):
    """Fails at every picture."""

    def infer(self, pixels):
        raise InferenceFailed("the secret reason")


def test_a_model_that_fails_is_logged_and_not_explained(workers, caplog):
    service = Service(fake_classifier(FailingEngine()), None, workers=workers)
    messages = [{"type": "http.request", "body": plain_picture("red")}]
    sent: list[Message] = []

    async def receive() -> Message:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": CLASSIFY_PATH, "query_string": b"", "headers": []}
    asyncio.run(Classify(service, Intake(10**6, 5), 10)(scope, receive, send))

    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["code"] == "inference"
    assert b"secret" not in sent[1]["body"]
    assert "the secret reason" in caplog.text


def test_an_answer_that_was_rendered_shows_what_was_corrected_since(workers):
    picture = plain_picture("red")
    corrections: dict[str, Correction] = {}
    service = Service(fake_classifier(), TieredCache(MemoryCache(9, 60)), workers=workers)
    route = Classify(service, Intake(10**6, 5), 10, correction_of=corrections.get)

    def told() -> object:
        return json.loads(answer(route, picture)).get("correction")

    sha256 = hashlib.sha256(picture).hexdigest()
    assert told() is None
    first = Correction("1" * 16, sha256, "other", "blue thing", None, "2026-01-31T10:34:29.067Z")
    corrections[sha256] = first
    for _ in range(2):
        assert told() == {
            "id": first.id,
            "verdict": "other",
            "label": "blue thing",
            "wnid": None,
            "at": first.at,
        }
    corrections[sha256] = Correction("2" * 16, sha256, "none", None, None, first.at)
    assert '"verdict":"none"' in answer(route, picture).decode()
    del corrections[sha256]
    assert told() is None


def answer(route: Classify, picture: bytes) -> bytes:
    """The body of the answer to a picture."""
    messages = [{"type": "http.request", "body": picture}]
    sent: list[Message] = []

    async def receive() -> Message:
        if not messages:
            await asyncio.sleep(60)
        return messages.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": CLASSIFY_PATH,
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(route(scope, receive, send))
    return bytes(sent[1]["body"])

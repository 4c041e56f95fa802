"""The most used route without a server: a model that fails is logged, not explained."""

import asyncio
import json

from starlette.types import Message

from whatsit.errors import InferenceFailed
from whatsit.service import Service
from whatsit.testing import FakeEngine, fake_classifier, plain_picture
from whatsit.web.api.classify import CLASSIFY_PATH, Classify
from whatsit.web.intake import Intake


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

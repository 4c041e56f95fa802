"""The envelope of every API request: an id, security headers, a record, and 500 for a defect."""

import random
import re
import time

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whatsit.web.api.problems import unexpected
from whatsit.web.guard.headers import with_security_headers
from whatsit.web.journal import CLIENT_LEFT, Journal
from whatsit.web.request_facts import facts_of

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ids = random.Random()
_CLOSE = (b"connection", b"close")


class Envelope:
    """Gives each request an id and security headers, records it, and answers 500 for a defect.

    Args:
        app: Answers the requests.
        journal: Records them.
    """

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        facts = facts_of(scope)
        facts.request_id = _request_id(scope)
        status, sent_bytes = CLIENT_LEFT, 0

        async def send_in_envelope(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = with_security_headers(message.get("headers", ()), scope["path"])
                headers.append((b"x-request-id", facts.request_id.encode()))
                if facts.has_unread_body:
                    headers.append(_CLOSE)
                message["headers"] = headers
            else:
                sent_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_in_envelope)
        except ClientDisconnect:
            pass
        except Exception:
            self._journal.record_failure(facts.request_id)
            if status != CLIENT_LEFT:
                raise
            await unexpected()(scope, receive, send_in_envelope)
        finally:
            self._journal.record(scope, status, sent_bytes, time.perf_counter() - started)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            offered = value.decode("latin-1")
            return offered if _SANE_ID.fullmatch(offered) else _new_id()
    return _new_id()


def _new_id() -> str:
    # It distinguishes requests and guards nothing; asking the system for secrets takes ten times
    # as long.
    return f"{_ids.getrandbits(64):016x}"

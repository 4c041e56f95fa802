"""The floor of a known picture: an ASGI app that hashes the body and asks Redis once.

Runs under a plain ``uvicorn``; FLOOR_REDIS_URL is the address of Redis.
"""

import hashlib
import os
from typing import Any

import redis.asyncio as redis

_client = redis.Redis.from_url(os.environ.get("FLOOR_REDIS_URL", "redis://localhost:6379"))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer any request with what Redis has under the digest of its body."""
    if scope["type"] != "http":
        return
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body", False)
    stored = await _client.get(digest.hexdigest()) or b"{}"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(stored))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": stored})

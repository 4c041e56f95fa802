"""``POST /api/v1/classify``, as a plain ASGI application.

A picture that is known is answered in a fraction of a millisecond. Routing, parameter parsing and
response models would take longer than that, so the most used route does without them; the API's
description is declared in `whatsit.web.api.answers` like that of any other route.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from whatsit.documents import describe_prediction, encode
from whatsit.errors import InvalidParameter, UrlsOff, WhatsitError
from whatsit.feedback.correction import Correction, describe_correction
from whatsit.picture import Picture
from whatsit.prediction import MAX_TOP_K, CacheMode, Prediction, Reply
from whatsit.service.service import DEFAULT_TOP_K, Explanation, Pending, Service
from whatsit.web.api.body import read_picture, read_url
from whatsit.web.api.fetching.fetcher import Fetcher
from whatsit.web.api.problems import report
from whatsit.web.caller import caller_of
from whatsit.web.intake.intake import Intake
from whatsit.web.request_facts import facts_of

CLASSIFY_PATH = "/api/v1/classify"

_TOP_KS = {str(top_k): top_k for top_k in range(1, MAX_TOP_K + 1)}
CorrectionOf = Callable[[str], Correction | None]
"""Looks up the correction of a picture by its digest, without waiting."""

_CACHE_MODES: dict[str, CacheMode] = {"use": "use", "refresh": "refresh", "bypass": "bypass"}


class Classify:
    """Answers one picture after the other.

    Args:
        service: Looks up or computes the answers.
        intake: Receives the pictures.
        max_rendered: How many answers to keep as text; as many as the process keeps at all.
        fetcher: Fetches pictures whose address is sent; None where that is off.
        correction_of: Looks up corrections.
    """

    def __init__(
        self,
        service: Service,
        intake: Intake,
        max_rendered: int,
        fetcher: Fetcher | None = None,
        correction_of: CorrectionOf = lambda sha256: None,
    ) -> None:
        self._service = service
        self._intake = intake
        self._max_rendered = max_rendered
        self._fetcher = fetcher
        self._correction_of = correction_of
        self._rendered: OrderedDict[
            tuple[str, int], tuple[Prediction, Correction | None, bytes]
        ] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        facts_of(scope).route = CLASSIFY_PATH
        try:
            top_k, cache = _parse_query(scope["query_string"])
            async with self._intake.take(scope, receive) as body:
                reply = await self._answer(scope, body, top_k, cache)
        except WhatsitError as error:
            await report(error)(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await self._send(reply, top_k, scope, send)

    async def _answer(self, scope: Scope, receive: Receive, top_k: int, cache: CacheMode) -> Reply:
        limit = self._service.max_upload_bytes
        picture = await read_picture(scope, receive, limit)
        known = self._service.recall(picture, top_k=top_k, cache=cache)
        if known is not None:
            return known
        # Looked at only now: what is known already is a picture, not the address of one.
        url = read_url(scope, picture.image_bytes)
        if url is not None:
            return await self._answer_url(url, caller_of(scope), receive, top_k, cache)
        return await self._compute(picture, receive, top_k, cache)

    async def _answer_url(
        self, url: str, caller: str, receive: Receive, top_k: int, cache: CacheMode
    ) -> Reply:
        if self._fetcher is None:
            raise UrlsOff
        start = time.perf_counter()
        with self._intake.hold(caller) as hold:
            fetching = self._fetcher.fetch(url, caller, hold)
            picture = await _while_there(fetching, receive)
            elapsed_ms = (time.perf_counter() - start) * 1000
            reply = self._service.recall(picture, top_k=top_k, cache=cache) or await self._compute(
                picture, receive, top_k, cache
            )
        return replace(reply, timings_ms={"fetch": elapsed_ms, **reply.timings_ms})

    async def _compute(
        self, picture: Picture, receive: Receive, top_k: int, cache: CacheMode
    ) -> Reply:
        pending = self._service.submit(picture, top_k=top_k, cache=cache)
        return await await_reply(pending, receive)

    async def _send(self, reply: Reply, top_k: int, scope: Scope, send: Send) -> None:
        facts = facts_of(scope)
        facts.answer = reply
        timings = reply.timings_ms.items()
        times = ",".join(f'"{stage}":{ms:.3f}' for stage, ms in timings)
        header = ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in timings)
        body = (
            f'{{"id":"{facts.request_id}","cache":"{reply.cache}","timings_ms":{{{times}}},'
        ).encode() + self._render(reply.prediction, top_k)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"x-cache", reply.cache.encode()),
            (b"server-timing", header.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _render(self, prediction: Prediction, top_k: int) -> bytes:
        """The members that are the same in every reply, as the end of a document."""
        sha256 = prediction.image.sha256
        key = (sha256, top_k)
        correction = self._correction_of(sha256)
        kept = self._rendered.get(key)
        if kept is not None and kept[0] is prediction and kept[1] is correction:
            return kept[2]
        document = describe_prediction(prediction, prediction.top[:top_k])
        if correction is not None:
            document["correction"] = describe_correction(correction)
        rendered = encode(document)[1:]
        self._rendered[key] = (prediction, correction, rendered)
        self._rendered.move_to_end(key)
        if len(self._rendered) > self._max_rendered:
            self._rendered.popitem(last=False)
        return rendered


def receipt(reply: Reply | Explanation) -> dict[str, str]:
    """The headers that name the source of an answer and its time by stage."""
    timing = ", ".join(f"{stage};dur={ms:.3f}" for stage, ms in reply.timings_ms.items())
    return {"X-Cache": reply.cache, "Server-Timing": timing}


async def await_reply(pending: Pending, receive: Receive) -> Reply:
    """Wait for a reply as long as the client does.

    Args:
        pending: The picture that was submitted.
        receive: Reports that the client has left, once its body is read.

    Raises:
        ClientDisconnect: The client has left, and its place in the queue was given back.
        WhatsitError: See `Pending.reply`.
    """
    if pending.future.done():
        return pending.reply()
    loop = asyncio.get_running_loop()
    either = asyncio.Event()
    leaving = loop.create_task(_until_disconnect(receive))
    leaving.add_done_callback(lambda left: either.set())

    def wake(answered: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and so has the connection
            loop.call_soon_threadsafe(either.set)

    pending.future.add_done_callback(wake)
    try:
        await either.wait()
        if not pending.future.done():
            pending.abandon()
            raise ClientDisconnect
        return pending.reply()
    finally:
        leaving.cancel()


async def _while_there(work: Coroutine[Any, Any, Picture], receive: Receive) -> Picture:
    """Wait for `work` as long as the client does."""
    loop = asyncio.get_running_loop()
    working = loop.create_task(work)
    leaving = loop.create_task(_until_disconnect(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _parse_query(query: bytes) -> tuple[int, CacheMode]:
    if not query:
        return DEFAULT_TOP_K, "use"
    asked = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    top_k = _TOP_KS.get(asked.get("top_k", str(DEFAULT_TOP_K)))
    cache = _CACHE_MODES.get(asked.get("cache", "use"))
    if top_k is None:
        raise InvalidParameter(f"top_k must be a whole number from 1 to {MAX_TOP_K}.")
    if cache is None:
        raise InvalidParameter(f"cache must be one of: {', '.join(_CACHE_MODES)}.")
    return top_k, cache

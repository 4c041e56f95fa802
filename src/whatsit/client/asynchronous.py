"""A client for programs with an event loop."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from itertools import islice
from typing import Self

import httpx

from whatsit.client.pictures import Picture, read_picture
from whatsit.client.protocol import (
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_URL,
    MODELS,
    READY,
    Models,
    Outcome,
    Request,
    classify_request,
    explain_request,
    judge,
    parse_target,
    read_models,
    read_reply,
)
from whatsit.client.retries import (
    DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_WAIT_SECONDS,
    Attempts,
    RetryPolicy,
)
from whatsit.errors import WhatsitError
from whatsit.prediction import CacheMode, Reply


class AsyncClient:
    """Asks a running server, like `whatsit.Client`, whose arguments and errors it has.

    It belongs to the event loop that it is first used in. Files are read in threads.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        max_retries: int = DEFAULT_MAX_RETRIES,
        max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
    ) -> None:
        self._target = parse_target(url, key, timeout)
        self._policy = RetryPolicy(max_retries, max_wait_seconds)
        self._http = httpx.AsyncClient(**self._target.options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def classify(
        self, picture: Picture, *, top_k: int = 5, cache: CacheMode = "use"
    ) -> Reply:
        """Say what a picture shows; see `whatsit.Client.classify`."""
        image_bytes = await _read(picture)
        response = await self._send(classify_request(image_bytes, top_k, cache))
        return read_reply(response, self._target)

    async def classify_many(
        self,
        pictures: Iterable[Picture],
        *,
        concurrency: int = 8,
        top_k: int = 5,
        cache: CacheMode = "use",
    ) -> AsyncGenerator[Outcome, None]:
        """Yield the outcome of each picture, as soon as it is known; `Outcome.index` says which.

        Takes at most `concurrency` pictures ahead of the outcomes fetched, so `pictures` may be
        endless. One that is refused, or whose file can't be read, does not stop the rest. Leaving
        the loop early cancels what was under way.

        Args:
            pictures: As for `classify`.
            concurrency: How many are asked for at a time.
            top_k: As for `classify`.
            cache: As for `classify`.
        """

        async def ask(index: int, picture: Picture) -> Outcome:
            try:
                reply = await self.classify(picture, top_k=top_k, cache=cache)
            except (WhatsitError, OSError) as error:
                return Outcome(index, picture, error=error)
            return Outcome(index, picture, reply)

        under_way: set[asyncio.Task[Outcome]] = set()
        numbered = enumerate(pictures)
        try:
            while True:
                for index, picture in islice(numbered, concurrency - len(under_way)):
                    under_way.add(asyncio.create_task(ask(index, picture)))
                if not under_way:
                    return
                first = asyncio.FIRST_COMPLETED
                done, under_way = await asyncio.wait(under_way, return_when=first)
                for task in done:
                    yield task.result()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def explain(self, picture: Picture, label: str | int | None = None) -> bytes:
        """A PNG of the picture, bright where it supports a label.

        See `whatsit.Client.explain`.
        """
        return (await self._send(explain_request(await _read(picture), label))).content

    async def models(self) -> Models:
        """The model that answers, and those that could; see `whatsit.Client.models`."""
        return read_models(await self._send(MODELS), self._target)

    async def is_ready(self) -> bool:
        """True if pictures are answered now. Asks once; an unreachable server is not ready."""
        try:
            return (await self._http.request(**READY.options)).status_code == httpx.codes.OK
        except httpx.RequestError:
            return False

    async def _send(self, request: Request) -> httpx.Response:
        attempts = Attempts(self._policy)
        while True:
            result: httpx.Response | httpx.RequestError
            try:
                result = await self._http.request(**request.options)
                if result.status_code == httpx.codes.OK:
                    return result
            except httpx.RequestError as error:
                result = error
            failure, pause = judge(result, attempts, self._target)
            if pause is None:
                raise failure
            await asyncio.sleep(pause)


async def _read(picture: Picture) -> bytes:
    if isinstance(picture, bytes):
        return picture
    return await asyncio.to_thread(read_picture, picture)

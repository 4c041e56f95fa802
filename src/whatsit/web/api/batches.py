"""The common parts of other programs' protocols: names, JSON, base64, several pictures."""

import asyncio
import binascii
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack
from typing import Any, Never, TypeVar

from starlette.types import Receive

from whatsit.errors import InvalidParameter, UnknownModel
from whatsit.picture import Picture
from whatsit.prediction import MAX_TOP_K, Reply
from whatsit.service.line_up import Serving
from whatsit.service.service import DEFAULT_TOP_K, Pending, Service
from whatsit.web.api.classify import await_reply

MODEL_ALIAS = "whatsit"
"""A name that the model which answers always has, besides its own."""

ENVELOPE_BYTES = 64_000
"""The largest size of a request without its pictures."""

_MAX_PARTS = 2_000
_LARGE_BYTES = 1_000_000
"""Parsing and hashing as much takes milliseconds, which the event loop should not lose."""
_BASE64_SLICE = 1 << 20
_AT_ONCE = 4
"""The most pictures of one request that wait at the same time, so that others get their turn."""

_Result = TypeVar("_Result")


def served_names(service: Service) -> tuple[str, ...]:
    """The names of the model that answers."""
    return service.line_up.live.model.name, MODEL_ALIAS


def require_served(service: Service, name: str) -> None:
    """Refuse the name of a model that does not answer here.

    Raises:
        UnknownModel: It is neither the model's own name nor the alias.
    """
    if name not in served_names(service):
        raise UnknownModel(name, served_names(service))


def json_limit(max_picture_bytes: int) -> int:
    """The limit in bytes of a JSON document that holds so many bytes of pictures in base64."""
    return max_picture_bytes * 4 // 3 + ENVELOPE_BYTES


def parse_json(text: bytes) -> dict[str, Any]:
    """A JSON object that a client sent.

    Takes no more memory than a few times the bytes of the text.

    Raises:
        InvalidParameter: It is not a JSON object, or has far more parts than a request needs.
    """
    # A part may take thirty times the memory of its text. Base64 has none of these signs.
    if sum(map(text.count, (b",", b"[", b"{"))) > _MAX_PARTS:
        raise InvalidParameter(f"The JSON document has more than {_MAX_PARTS:,} parts.")
    if len(text) > ENVELOPE_BYTES and not text.isascii():
        # One letter outside of Latin-1 would make all others take four bytes.
        raise InvalidParameter("A JSON document of this size may only have ASCII letters.")
    try:
        document = json.loads(text.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter("The body can't be read as JSON.") from error
    if not isinstance(document, dict):
        raise InvalidParameter("The body must be a JSON object.")
    return document


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON.")


def parse_base64(text: object, name: str) -> bytes:
    r"""The bytes that a member of a JSON document stands for.

    White space between the letters and a ``data:`` address around them are accepted.

    Args:
        text: The member.
        name: Its name in the refusal.

    Raises:
        InvalidParameter: It is not base64.

    Example:
        >>> parse_base64("data:image/gif;base64,R0lG\n", "inputs")
        b'GIF'
    """
    if not isinstance(text, str):
        raise InvalidParameter(f"{name} must be a text: a picture in base64.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        letters = text.encode("ascii").translate(None, b" \t\r\n")
        if letters.find(b"=", 0, max(0, len(letters) - 2)) >= 0:
            raise ValueError("It is padded before its end.")
        # In slices, so that other threads get their turn.
        return b"".join(
            binascii.a2b_base64(letters[at : at + _BASE64_SLICE], strict_mode=True)
            for at in range(0, len(letters), _BASE64_SLICE)
        )
    except ValueError as error:
        raise InvalidParameter(f"{name} must be a picture in base64.") from error


def parse_top_k(value: object) -> int:
    """The number of labels that a member of a JSON document asks for; the default if it is null.

    Raises:
        InvalidParameter: It is not a number from 1 to 20.
    """
    if value is None:
        return DEFAULT_TOP_K
    return parse_count(value, "top_k", MAX_TOP_K)


def parse_count(value: object, name: str, most: int) -> int:
    """A number from 1 to `most`.

    Raises:
        InvalidParameter: It is not such a number.
    """
    # To JSON, 3.0 is a whole number; to Python, true is one.
    is_whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    if is_whole and isinstance(value, int | float) and 1 <= value <= most:
        return int(value)
    raise InvalidParameter(f"{name} must be a whole number from 1 to {most}.")


class LargeBodies:
    """Parses bodies; large ones beside the event loop, and one at a time, for the memory they take.

    One for each event loop.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def parse(self, body: bytes, parse: Callable[[bytes], _Result]) -> _Result:
        """Parse `body` with `parse`."""
        if len(body) <= _LARGE_BYTES:
            return parse(body)
        async with self._lock:
            return await asyncio.to_thread(parse, body)


async def answer_each(
    service: Service, pictures: Sequence[bytes], receive: Receive, top_k: int
) -> AsyncGenerator[Reply, None]:
    """The replies to the pictures of one request, in their order, as they come.

    One model answers all of them; of several pictures none goes to a canary.

    Args:
        service: Looks up or computes them.
        pictures: No larger than the limit.
        receive: Reports that the client has left, once its body is read.
        top_k: How many labels.

    Raises:
        ClientDisconnect: The client has left; its pictures no longer wait.
        WhatsitError: Of the picture after the last one that was answered; see `Pending.reply`.
    """
    begun: deque[Reply | Pending] = deque()
    with ExitStack() as stack:
        # One answer names one model, so a share of its pictures can't go to another one.
        serving = stack.enter_context(service.hold_live()) if len(pictures) > 1 else None
        try:
            for image_bytes in pictures:
                if len(begun) == _AT_ONCE:
                    yield await _finish(begun.popleft(), receive)
                begun.append(await _begin(service, image_bytes, top_k, serving))
            while begun:
                yield await _finish(begun.popleft(), receive)
        finally:
            for other in begun:
                if isinstance(other, Pending):
                    other.abandon()


async def _begin(
    service: Service, image_bytes: bytes, top_k: int, serving: Serving | None
) -> Reply | Pending:
    if len(image_bytes) <= _LARGE_BYTES:
        picture = Picture.of(image_bytes)
    else:
        picture = await asyncio.to_thread(Picture.of, image_bytes)
    known = service.recall(picture, top_k=top_k, serving=serving)
    return known or service.submit(picture, top_k=top_k, serving=serving)


async def _finish(begun: Reply | Pending, receive: Receive) -> Reply:
    return begun if isinstance(begun, Reply) else await await_reply(begun, receive)

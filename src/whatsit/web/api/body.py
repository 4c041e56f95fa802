"""Reading the picture out of a request, never more of it than the limit."""

import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from whatsit.errors import ImageTooLarge, ImageUnreadable, InvalidParameter
from whatsit.picture import Picture
from whatsit.web.request_facts import facts_of

FILE_FIELD = "file"

_FORM_OVERHEAD_BYTES = 64_000
_PATIENCE_RATIO = 2
"""A client that is a little over the limit may finish sending, so that it reads our answer."""
_FORM = b"multipart/form-data"
_JSON = b"application/json"
_MAX_JSON_BYTES = 16_000


async def read_picture(scope: Scope, receive: Receive, max_bytes: int) -> Picture:
    """The picture of a request: its raw body, or the field ``file`` of a multipart form.

    The declared type of a raw body is not looked at; its content is, later.

    Raises:
        ImageTooLarge: More than `max_bytes`; nothing beyond them was kept.
        ImageUnreadable: The form is broken.
        InvalidParameter: The form has no file ``file``, or others besides.
        ClientDisconnect: The client has left.
    """
    if is_form(scope):
        return Picture.of(await _read_form(scope, receive, max_bytes))
    _require_claim(scope, max_bytes, reported=max_bytes)
    # Hashed as it comes, so that a large picture does not hold the event loop up at its end.
    digest, gathered = hashlib.sha256(), _Gathered()
    async for chunk in _bounded(receive, max_bytes, reported=max_bytes):
        digest.update(chunk)
        gathered.add(chunk)
    return Picture(gathered.whole(), digest.hexdigest())


async def read_whole(scope: Scope, receive: Receive, max_bytes: int, *, reported: int) -> bytes:
    """A body that holds pictures among other things.

    Args:
        scope: Of the request.
        receive: Where the body comes from.
        max_bytes: Of all of it.
        reported: The limit on pictures, for the refusal.

    Raises:
        ImageTooLarge: More than `max_bytes`; nothing beyond them was kept.
        ClientDisconnect: The client has left.
    """
    _require_claim(scope, max_bytes, reported=reported)
    gathered = _Gathered()
    async for chunk in _bounded(receive, max_bytes, reported=reported):
        gathered.add(chunk)
    return gathered.whole()


class _Gathered:
    """The chunks of a body; many small ones take no more memory than one large one.

    A list of them would: thirty times as much where each has two bytes.
    """

    def __init__(self) -> None:
        self._first = b""
        self._all = bytearray()

    def add(self, chunk: bytes) -> None:
        if not self._first:
            self._first = chunk  # most pictures come in one, which need not be copied
            return
        if not self._all:
            self._all += self._first
        self._all += chunk

    def whole(self) -> bytes:
        return bytes(self._all) if self._all else self._first


def read_url(scope: Scope, body: bytes) -> str | None:
    """The address of a picture, where a body is JSON that names one instead of being one.

    A picture that is declared as JSON is still a picture: its content counts.

    Args:
        scope: Of the request.
        body: All of it.

    Raises:
        InvalidParameter: It is JSON, but not ``{"url": "..."}``.
    """
    if media_type_of(scope) != _JSON:
        return None
    try:
        document = json.loads(body.decode()) if len(body) <= _MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        document = None
    match document:
        case {"url": str(url), **others} if not others:
            return url
        case None if body[:64].lstrip()[:1] not in (b"{", b"[", b"n"):
            return None
        case _:
            raise InvalidParameter('The JSON must be like {"url": "https://example.org/bee.jpg"}.')


def is_form(scope: Scope) -> bool:
    """True if the body of a request is a multipart form."""
    return media_type_of(scope) == _FORM


def media_type_of(scope: Scope) -> bytes:
    """The declared media type of a body, in lower case, without parameters."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            declared: bytes = value.partition(b";")[0].strip().lower()
            return declared
    return b""


async def read_text(scope: Scope, receive: Receive, max_bytes: int, *, most: int) -> bytes:
    """A small body that is not a picture.

    Args:
        scope: Of the request.
        receive: Where the body comes from.
        max_bytes: Of it.
        most: The limit on pictures, bytes.

    Raises:
        InvalidParameter: It has more than `max_bytes`.
        ImageTooLarge: It claims to have more than `most`.
        ClientDisconnect: The client has left.
    """
    _require_claim(scope, most, reported=most)
    try:
        return await read_whole(scope, receive, max_bytes, reported=0)
    except ImageTooLarge as error:
        raise InvalidParameter(
            f"The document has more than {max_bytes:,} bytes. Send less."
        ) from error


def _require_claim(scope: Scope, max_bytes: int, *, reported: int) -> None:
    """Refuse a body by the length that its head claims, before anything of it is asked for.

    The connection reads a little too much away, so that its sender sees the answer.

    Raises:
        ImageTooLarge: It would have more than `max_bytes`.
    """
    if facts_of(scope).declared_bytes > max_bytes:
        raise ImageTooLarge(reported)


async def _bounded(
    receive: Receive, max_bytes: int, *, reported: int
) -> AsyncGenerator[bytes, None]:
    """The chunks of a body until it gets too long; then the rest is read away, within reason."""
    seen, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        seen += len(chunk)
        if seen <= max_bytes:
            if chunk:
                yield chunk
        elif not more or seen > max_bytes * _PATIENCE_RATIO:
            raise ImageTooLarge(reported)


class _FormInMemory(MultiPartParser):
    # Pictures of people are never written to a disk, and the container's is read-only anyway.
    spool_max_size = 2**31


@asynccontextmanager
async def open_form(
    scope: Scope, receive: Receive, max_bytes: int, fields: Collection[str] = (FILE_FIELD,)
) -> AsyncIterator[FormData]:
    """The fields of a multipart form; its files are gone when the block ends.

    Args:
        scope: Of the request.
        receive: Where the body comes from.
        max_bytes: Of the picture.
        fields: Those that mean something; each may be there once. Others are ignored.

    Raises:
        InvalidParameter: It has several files, or one of the fields twice.
        ImageTooLarge: More than `max_bytes`, but for what a form needs around its fields.
        ImageUnreadable: The form is broken.
        ClientDisconnect: The client has left.
    """
    _require_claim(scope, max_bytes + _FORM_OVERHEAD_BYTES, reported=max_bytes)
    chunks = _bounded(receive, max_bytes + _FORM_OVERHEAD_BYTES, reported=max_bytes)
    parser = _FormInMemory(Headers(scope=scope), chunks, max_files=8, max_fields=32)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, UnicodeError) as error:
        # Some text encodings that a form may name refuse to decode anything.
        raise ImageUnreadable("The multipart form is broken. Send it again.") from error
    try:
        _require_single(form, fields)
        yield form
    finally:
        await form.close()


def _require_single(form: FormData, fields: Collection[str]) -> None:
    if sum(isinstance(value, UploadFile) for _, value in form.multi_items()) > 1:
        raise InvalidParameter("The form has several files. Send one picture in each request.")
    for name in fields:
        if len(form.getlist(name)) > 1:
            raise InvalidParameter(f"The form has the field {name!r} twice. Send it once.")


async def _read_form(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    async with open_form(scope, receive, max_bytes) as form:
        picture = form.get(FILE_FIELD)
        if not isinstance(picture, UploadFile):
            raise InvalidParameter(f"The form has no file field called {FILE_FIELD!r}.")
        return await picture.read()

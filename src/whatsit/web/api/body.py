"""Reading the picture out of a request, never more of it than the limit."""

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

from whatsit.errors import ImageTooLarge, ImageUnreadable, InvalidParameter

FILE_FIELD = "file"

_FORM_OVERHEAD_BYTES = 64_000
_PATIENCE_RATIO = 2
"""A client that is a little over the limit may finish sending, so that it reads our answer."""


async def read_image_bytes(request: Request, max_bytes: int) -> bytes:
    """The image bytes of a request: its raw body, or the field ``file`` of a multipart form.

    The declared type of a raw body is not looked at; its content is, later.

    Raises:
        ImageTooLarge: More than `max_bytes`; nothing beyond them was kept.
        ImageUnreadable: The form is broken.
        InvalidParameter: The form has no field ``file``.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _read_form(request, max_bytes)
    body = _BoundedBody(request.receive, max_bytes)
    chunks = [chunk async for chunk in Request(request.scope, body.receive).stream()]
    return b"".join(chunks)


async def _read_form(request: Request, max_bytes: int) -> bytes:
    body = _BoundedBody(request.receive, max_bytes + _FORM_OVERHEAD_BYTES, reported=max_bytes)
    try:
        async with Request(request.scope, body.receive).form(max_files=8, max_fields=32) as form:
            picture = form.get(FILE_FIELD)
            if not isinstance(picture, UploadFile):
                raise InvalidParameter(f"The form has no file field called {FILE_FIELD!r}.")
            return await picture.read()
    except (HTTPException, UnicodeError) as error:
        # Some text encodings that a form may name refuse to decode anything.
        raise ImageUnreadable("The multipart form is broken. Send it again.") from error


class _BoundedBody:
    """Passes a request body on until it gets too long; then reads the rest away, within reason."""

    def __init__(self, receive: Receive, max_bytes: int, reported: int | None = None) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._reported = max_bytes if reported is None else reported
        self._seen = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > self._max_bytes:
            while message.get("more_body") and self._seen < self._max_bytes * _PATIENCE_RATIO:
                message = await self._receive()
                self._seen += len(message.get("body", b""))
            raise ImageTooLarge(self._reported)
        return message

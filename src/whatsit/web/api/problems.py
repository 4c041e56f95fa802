"""Errors as RFC 9457 problem documents: the one table from error class to HTTP status."""

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from whatsit.errors import (
    AnswerUnknown,
    BodyPacked,
    FeedbackFull,
    FeedbackUnavailable,
    FeedbackUnknown,
    HeadTooLarge,
    HostNotAllowed,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InferenceFailed,
    InvalidParameter,
    LabelUnknown,
    MalformedRequest,
    ModelNotReady,
    OriginNotAllowed,
    Overloaded,
    PageBusy,
    RateLimited,
    RequestTooSlow,
    TooManyConnections,
    Unauthorized,
    UnknownModel,
    UrlsOff,
    UrlUnreachable,
    WhatsitError,
)
from whatsit.web.request_facts import facts_of

_log = logging.getLogger(__name__)

_NOT_EXPLAINED = "Something went wrong here. It has been logged."

MEDIA_TYPE = "application/problem+json"

STATUS_BY_ERROR: Mapping[type[WhatsitError], HTTPStatus] = {
    ImageUnreadable: HTTPStatus.BAD_REQUEST,
    ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageTooManyPixels: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ImageUnsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    InvalidParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    HostNotAllowed: HTTPStatus.MISDIRECTED_REQUEST,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    PageBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    RequestTooSlow: HTTPStatus.REQUEST_TIMEOUT,
    BodyPacked: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    OriginNotAllowed: HTTPStatus.FORBIDDEN,
    MalformedRequest: HTTPStatus.BAD_REQUEST,
    HeadTooLarge: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    TooManyConnections: HTTPStatus.SERVICE_UNAVAILABLE,
    UnknownModel: HTTPStatus.NOT_FOUND,
    AnswerUnknown: HTTPStatus.NOT_FOUND,
    UrlsOff: HTTPStatus.FORBIDDEN,
    UrlUnreachable: HTTPStatus.UNPROCESSABLE_ENTITY,
    FeedbackUnknown: HTTPStatus.NOT_FOUND,
    FeedbackFull: HTTPStatus.CONFLICT,
    LabelUnknown: HTTPStatus.NOT_FOUND,
    Overloaded: HTTPStatus.SERVICE_UNAVAILABLE,
    FeedbackUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    ModelNotReady: HTTPStatus.SERVICE_UNAVAILABLE,
    InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Errors that are not listed are ours, not the caller's: 500."""

_RENAMED_TITLES: Mapping[int, str] = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""The names of RFC 9110, where Python before 3.13 has older ones."""


def title_of(status: int) -> str:
    """The name of an HTTP status, the same under every version of Python."""
    return _RENAMED_TITLES.get(status) or HTTPStatus(status).phrase


def repeats_error(path: str) -> bool:
    """True if the clients of a path show only the member ``error`` of a refusal.

    The problem documents of such a path repeat their sentence in that member.
    """
    return path == "/v2" or path.startswith(("/v2/", "/api/hf/"))


class _Problem(Response):
    """A problem document that leaves its code for the metrics and the log."""

    media_type = MEDIA_TYPE

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        document = {
            "type": f"urn:whatsit:problem:{code}",
            "title": title_of(status),
            "status": int(status),
            "detail": detail,
            "code": code,
        }
        content = json.dumps(document, ensure_ascii=False)
        super().__init__(content, status_code=int(status), headers=dict(headers or {}))
        self._code = code
        self._document = document

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see the ASGI specification."""
        facts_of(scope).problem_code = self._code
        if repeats_error(scope["path"]):
            self.body = with_error(self._document)
            self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def with_error(document: Mapping[str, object]) -> bytes:
    """A problem document that repeats its sentence in the member ``error``."""
    return json.dumps({**document, "error": document["detail"]}, ensure_ascii=False).encode()


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem document.

    Args:
        status: HTTP status.
        code: Stable name of the problem, for programs.
        detail: A sentence for people.
        headers: Further headers, such as ``Retry-After``.
    """
    return _Problem(status, code, detail, headers)


def unexpected() -> Response:
    """The problem document of a fault of the server, without its reason."""
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        WhatsitError.code,
        _NOT_EXPLAINED,
    )


def report(error: WhatsitError) -> Response:
    """The problem document of an error; a fault of the server is logged."""
    response = problem_for(error)
    if response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("A request failed.", exc_info=error)
    return response


def problem_for(error: WhatsitError, about: str = "") -> Response:
    """The problem document of an error; that of a fault of the server has no reason.

    Args:
        error: The reason of the refusal.
        about: Put before its sentence, such as the number of the picture.
    """
    status = STATUS_BY_ERROR.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem(status, error.code, _NOT_EXPLAINED)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, BodyPacked):
        headers["Accept-Encoding"] = "identity"
    return problem(status, error.code, about + error.detail, headers)

"""The refusals in the OpenAPI document: one problem of each kind, by the routes that meet it."""

import json
from collections.abc import Collection
from typing import Any

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
    OriginNotAllowed,
    Overloaded,
    RateLimited,
    RequestTooSlow,
    Unauthorized,
    UnknownModel,
    UrlsOff,
    UrlUnreachable,
    WhatsitError,
)
from whatsit.images.decode import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES
from whatsit.web.api import problems
from whatsit.web.api.openapi import REQUEST_ID_HEADER

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    }
}
_AUTHENTICATE = {
    "WWW-Authenticate": {
        "description": "How to send the key.",
        "required": True,
        "schema": {"type": "string"},
        "example": "Bearer",
    }
}
_HEADERS_BY_STATUS: dict[int, dict[str, Any]] = {
    401: _AUTHENTICATE,
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}

OTHER_ORIGIN = OriginNotAllowed("A page of another site can't do this.")
_REFUSALS: tuple[WhatsitError, ...] = (
    ImageUnreadable("The picture is cut off. Send the whole file."),
    Unauthorized("An API key is needed. Send it as: Authorization: Bearer KEY"),
    UrlsOff(),
    AnswerUnknown(),
    RequestTooSlow(
        "The body of the request arrived too slowly. Send it again on a faster connection."
    ),
    ImageTooLarge(DEFAULT_MAX_UPLOAD_BYTES),
    ImageTooManyPixels(DEFAULT_MAX_PIXELS, 61_000_000),
    ImageUnsupported("a PDF document"),
    BodyPacked("gzip"),
    UnknownModel("resnet18", ("efficientnet-lite2", "whatsit")),
    HostNotAllowed("This server does not answer to the host name of this request."),
    OTHER_ORIGIN,
    MalformedRequest("The header Host may be there only once."),
    HeadTooLarge("The request line and the headers have more than 64,000 bytes. Send less."),
    InvalidParameter("top_k must be a whole number from 1 to 20."),
    UrlUnreachable(),
    RateLimited("120/minute", 12),
    InferenceFailed("Not shown to callers."),
    Overloaded(1),
)
"""One of each that a request to the API can meet; what is shown of them is what they say."""
NO_FEEDBACK = FeedbackUnavailable("Not shown to callers.")
NO_ROOM = FeedbackFull(1_000_000)
NO_CORRECTION = FeedbackUnknown("0123456789abcdef")
NO_LABEL = LabelUnknown("n00000000")
"""Those that only few routes answer with."""


def problem_responses(
    *statuses: int,
    path: str = "",
    without: Collection[type[WhatsitError]] = (),
    also: tuple[WhatsitError, ...] = (),
) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problem documents that a route may answer with.

    Args:
        statuses: Of what many routes answer with.
        path: Of the route; some repeat the sentence as ``error``.
        without: Errors that have one of these statuses, but do not come from this route.
        also: Refusals of only a few routes, whatever their status.
    """
    repeats = problems.repeats_error(path)
    wanted = dict.fromkeys((*statuses, *(int(problems.STATUS_BY_ERROR[type(e)]) for e in also)))
    common = [
        error
        for error in _REFUSALS
        if problems.STATUS_BY_ERROR[type(error)] in statuses and type(error) not in without
    ]
    return {status: _problem_response(status, repeats, (*common, *also)) for status in wanted}


def _problem_response(
    status: int, repeats_error: bool, known: tuple[WhatsitError, ...]
) -> dict[str, Any]:
    errors = [error for error in known if problems.STATUS_BY_ERROR[type(error)] == status]
    name = "ErrorDocument" if repeats_error else "ProblemDocument"
    sentences = [(type(error).__doc__ or "").splitlines()[0] for error in errors]
    return {
        "description": " ".join(sentences),
        "headers": {**REQUEST_ID_HEADER, **_HEADERS_BY_STATUS.get(status, {})},
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": f"#/components/schemas/{name}"},
                "examples": {error.code: {"value": _example(error, name)} for error in errors},
            }
        },
    }


def _example(error: WhatsitError, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(bytes(problems.problem_for(error).body))
    if name == "ErrorDocument":
        document["error"] = document["detail"]
    return document

"""What the OpenAPI document says beyond what follows from the routes: refusals and examples."""

import json
from typing import Any, get_args

from whatsit.errors import (
    HostNotAllowed,
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InferenceFailed,
    InvalidParameter,
    Overloaded,
    RateLimited,
    RequestTooSlow,
    Unauthorized,
    WhatsitError,
)
from whatsit.images import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES
from whatsit.service import CacheOutcome
from whatsit.web.api import problems
from whatsit.web.api.body import FILE_FIELD

DESCRIPTION = (
    "Post a picture, read what is in it. "
    "An error is a problem document (RFC 9457) whose `code` never changes its meaning; an unknown "
    "path is answered with 404 `not_found`, another method with 405 `method_not_allowed`. "
    "A request may bring its own `X-Request-Id`, and every response names one."
)

_BINARY = {"type": "string", "format": "binary"}
PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture.",
        "content": {
            "image/*": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FILE_FIELD: _BINARY},
                    "required": [FILE_FIELD],
                }
            },
        },
    }
}

REQUEST_ID_HEADER: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Names the request in the log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": "5a5cba0bcd924505",
    }
}
PICTURE_HEADERS: dict[str, Any] = {
    **REQUEST_ID_HEADER,
    "X-Cache": {
        "description": "Where the answer came from.",
        "required": True,
        "schema": {"type": "string", "enum": list(get_args(CacheOutcome))},
        "example": "hit",
    },
    "Server-Timing": {
        "description": "Milliseconds by stage.",
        "required": True,
        "schema": {"type": "string"},
        "example": "cache;dur=0.021, total;dur=0.021",
    },
}
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

_REFUSALS: tuple[WhatsitError, ...] = (
    ImageUnreadable("The picture is cut off. Send the whole file."),
    Unauthorized("An API key is needed. Send it as: Authorization: Bearer KEY"),
    RequestTooSlow("The body of the request arrived too slowly. Send it again on a better line."),
    ImageTooLarge(DEFAULT_MAX_UPLOAD_BYTES),
    ImageTooManyPixels(DEFAULT_MAX_PIXELS, 61_000_000),
    ImageUnsupported("a PDF document"),
    HostNotAllowed("This server does not answer to the host name of this request."),
    InvalidParameter("top_k must be a whole number from 1 to 20."),
    RateLimited("120/minute", 12),
    InferenceFailed("Not shown to callers."),
    Overloaded(1),
)
"""One of each that a request to the API can meet; what is shown of them is what they say."""


def ok(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of an answer in JSON, with an example of it."""
    content = {"application/json": {"example": example}}
    return {200: {"description": "Ok", "headers": REQUEST_ID_HEADER, "content": content}}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the problem documents that a route may answer with."""
    return {status: _problem_response(status) for status in statuses}


def _problem_response(status: int) -> dict[str, Any]:
    errors = [error for error in _REFUSALS if problems.STATUS_BY_ERROR[type(error)] == status]
    sentences = [(type(error).__doc__ or "").splitlines()[0] for error in errors]
    return {
        "description": " ".join(sentences),
        "headers": {**REQUEST_ID_HEADER, **_HEADERS_BY_STATUS.get(status, {})},
        "content": {
            problems.MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                "examples": {
                    error.code: {"value": json.loads(bytes(problems.problem_for(error).body))}
                    for error in errors
                },
            }
        },
    }


_MODEL = {"name": "efficientnet-lite2", "fingerprint": "9f0c" * 16}
_IMAGE = {"width": 451, "height": 300, "format": "JPEG", "sha256": "e3b0" * 16}
CLASSIFY_EXAMPLE: dict[str, Any] = {
    "id": "5a5cba0bcd924505",
    "cache": "miss",
    "timings_ms": {"decode": 2.1, "preprocess": 0.6, "infer": 9.4, "total": 12.9},
    "model": _MODEL,
    "answer": {
        "text": "A bee (99 %).",
        "label": "bee",
        "wnid": "n02206856",
        "score": 0.99,
        "certainty": "sure",
        "recognised": True,
        "level": "class",
        "path": ["animal", "insect", "bee"],
        "set": [{"label": "bee", "wnid": "n02206856", "index": 309, "score": 0.99}],
    },
    "top": [
        {"label": "bee", "wnid": "n02206856", "index": 309, "score": 0.99},
        {"label": "ringlet butterfly", "wnid": "n02277742", "index": 322, "score": 0.001},
    ],
    "image": _IMAGE,
}
EXPLAIN_EXAMPLE: dict[str, Any] = {
    "id": "5a5cba0bcd924505",
    "model": _MODEL,
    "label": "bee",
    "wnid": "n02206856",
    "index": 309,
    "method": "activation",
    "grid": [[0.0, 0.2], [0.4, 1.0]],
    "box": {"left": 75.5, "top": 0.0, "right": 375.5, "bottom": 300.0},
    "cache": "miss",
    "timings_ms": {"decode": 2.1, "preprocess": 0.6, "infer": 10.2, "total": 14.0},
    "image": _IMAGE,
}
MODELS_EXAMPLE: dict[str, Any] = {
    "requested": "resnet50",
    "serving": _MODEL,
    "note": "resnet50 is not here yet, so efficientnet-lite2 answers.",
    "models": [
        {
            "name": "efficientnet-lite2",
            "description": "EfficientNet-Lite2, 8 bits",
            "licence": "Apache-2.0",
            "present": True,
            "serving": True,
        }
    ],
}
READY_EXAMPLE: dict[str, Any] = {
    "status": "ready",
    "model": "efficientnet-lite2",
    "cache": "reachable",
}

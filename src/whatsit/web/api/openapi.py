"""What the OpenAPI document says beyond what follows from the routes: refusals and examples."""

import json
from collections.abc import Collection
from typing import Any, get_args

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
from whatsit.feedback.correction import MAX_LABEL_CHARACTERS, Verdict
from whatsit.images.decode import DEFAULT_MAX_PIXELS, DEFAULT_MAX_UPLOAD_BYTES
from whatsit.prediction import CacheOutcome
from whatsit.web.api import problems
from whatsit.web.api.body import FILE_FIELD
from whatsit.web.api.fetching.addresses import MAX_URL_LENGTH

DESCRIPTION = (
    "Post a picture, read what is in it. "
    "An error is a problem document (RFC 9457) whose `code` never changes its meaning; an unknown "
    "path is answered with 404 `not_found`, another method with 405 `method_not_allowed`. "
    "A request may bring its own `X-Request-Id`, and every response names one."
)

_BINARY = {"type": "string", "format": "binary"}
_SHA256 = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "SHA-256 of the picture's bytes, as in the answer.",
}
_VERDICT = {
    "type": "string",
    "enum": list(get_args(Verdict)),
    "description": "The answer is right; the picture shows something else, then a label is "
    "needed; or it shows none of the labels.",
}
_LABEL = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_LABEL_CHARACTERS,
    "description": "One of the model's labels, or an own one.",
}
_WNID = {
    "type": "string",
    "pattern": "^n[0-9]{8}$",
    "description": "WordNet id of one of the model's labels or groups; it counts more than the "
    "label.",
}
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

_URL_SCHEMA = {
    "type": "object",
    "properties": {
        "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_URL_LENGTH,
            "examples": ["https://example.org/bee.jpg"],
        }
    },
    "required": ["url"],
    "additionalProperties": False,
}
PICTURE_OR_URL_BODY: dict[str, Any] = {
    "requestBody": {
        **PICTURE_BODY["requestBody"],
        "description": f"{PICTURE_BODY['requestBody']['description']} As JSON, its address on the "
        "public internet, where pictures are fetched (`WHATSIT_FETCH_URLS`).",
        "content": {
            **PICTURE_BODY["requestBody"]["content"],
            "application/json": {"schema": _URL_SCHEMA},
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
ANSWER_HEADERS: dict[str, Any] = {
    **PICTURE_HEADERS,
    "Cache-Control": {
        "description": "Nobody else should keep it.",
        "required": True,
        "schema": {"type": "string"},
        "example": "no-store",
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

OTHER_ORIGIN = OriginNotAllowed("A page of another site can't do this.")
_REFUSALS: tuple[WhatsitError, ...] = (
    ImageUnreadable("The picture is cut off. Send the whole file."),
    Unauthorized("An API key is needed. Send it as: Authorization: Bearer KEY"),
    UrlsOff(),
    AnswerUnknown(),
    RequestTooSlow("The body of the request arrived too slowly. Send it again on a better line."),
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


def ok(example: object) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of an answer in JSON, with an example of it."""
    content = {"application/json": {"example": example}}
    return {200: {"description": "Ok", "headers": REQUEST_ID_HEADER, "content": content}}


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
        also: What only few routes answer with, whatever its status.
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
        "parts": [
            {
                "role": "stated",
                "hedge": "certain",
                "label": "bee",
                "wnid": "n02206856",
                "level": "class",
                "score": 0.99,
            }
        ],
    },
    "top": [
        {"label": "bee", "wnid": "n02206856", "index": 309, "score": 0.99},
        {"label": "ringlet butterfly", "wnid": "n02277742", "index": 322, "score": 0.001},
    ],
    "image": _IMAGE,
}
ANSWER_EXAMPLE: dict[str, Any] = {
    **CLASSIFY_EXAMPLE,
    "cache": "hit",
    "timings_ms": {"cache": 0.021, "total": 0.021},
}
FEEDBACK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What the picture shows, and the picture itself only if it may be kept: "
        "as a form with the field `file`.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "sha256": _SHA256,
                        "verdict": _VERDICT,
                        "label": {"anyOf": [_LABEL, {"type": "null"}]},
                        "wnid": {"anyOf": [_WNID, {"type": "null"}]},
                    },
                    "required": ["sha256", "verdict"],
                    "additionalProperties": False,
                },
                "example": {
                    "sha256": "e3b0" * 16,
                    "verdict": "other",
                    "label": "ladybug",
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "sha256": _SHA256
                        | {"description": "May be left out where the picture is sent."},
                        "verdict": _VERDICT,
                        "label": _LABEL,
                        "wnid": _WNID,
                        FILE_FIELD: _BINARY,
                    },
                    "required": ["verdict"],
                    "anyOf": [{"required": ["sha256"]}, {"required": [FILE_FIELD]}],
                    "additionalProperties": False,
                }
            },
        },
    }
}
CORRECTION_EXAMPLE: dict[str, Any] = {
    "id": "0123456789abcdef",
    "verdict": "other",
    "label": "ladybug",
    "wnid": "n02165456",
    "at": "2026-01-31T10:34:29.067Z",
}
FEEDBACK_EXAMPLE: dict[str, Any] = {
    **CORRECTION_EXAMPLE,
    "sha256": "e3b0" * 16,
    "picture_kept": False,
}
LABEL_EXAMPLE: dict[str, Any] = {
    "label": "bee",
    "wnid": "n02206856",
    "index": 309,
    "synonyms": ["honeybee"],
    "definition": "any of numerous hairy-bodied insects including social and solitary species",
}
LABELS_EXAMPLE: dict[str, Any] = {"labels": [LABEL_EXAMPLE]}
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
    "requested": "live",
    "serving": _MODEL,
    "serving_since": "2026-01-31T10:34:29Z",
    "note": "birds.v3 is live but can't be opened, so efficientnet-lite2 answers.",
    "live": {
        "history": [
            {"name": "birds.v3", "since": "2026-01-31T10:40:02Z"},
            {"name": "efficientnet-lite2", "since": "2026-01-31T10:34:27Z"},
        ],
        "canary": {
            "name": "birds.v4",
            "since": "2026-01-31T10:41:17Z",
            "ratio": 0.1,
            "serving": {"name": "birds.v4", "fingerprint": "27ae" * 16},
        },
    },
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
DRIFT_EXAMPLE: dict[str, Any] = {
    "model": _MODEL,
    "since": "2026-01-31T10:34:29.067Z",
    "reference": {"pictures": 300, "dataset": "photographs"},
    "windows": [
        {
            "window": "day",
            "pictures": 120,
            "since": "2026-01-31T11:02:10.500Z",
            "drift": "different",
            "signals": [
                {
                    "signal": "certainty",
                    "psi": 1.31,
                    "drift": "different",
                    "edges": [0.5, 1.5, 2.5],
                    "reference": [0.83, 0.05, 0.06, 0.06],
                    "pictures": [40, 15, 30, 35],
                }
            ],
        }
    ],
    "feedback": [
        {
            "monday": "2026-01-26",
            "model": "efficientnet-lite2",
            "right": 12,
            "wrong": 4,
            "accuracy": 0.75,
        }
    ],
    "next_step": "Look at some of the pictures that come now.",
}
READY_EXAMPLE: dict[str, Any] = {
    "status": "ready",
    "model": "efficientnet-lite2",
    "cache": "unreachable",
    "cache_note": "Redis refuses the user or the password of WHATSIT_REDIS_URL.",
}

"""The parts of the OpenAPI document that several routes share: bodies and headers."""

from typing import Any, get_args

from whatsit.prediction import CacheOutcome
from whatsit.web.api.body import FILE_FIELD
from whatsit.web.api.fetching.addresses import MAX_URL_LENGTH

DESCRIPTION = (
    "Post a picture, and read what it shows. "
    "An error is a problem document (RFC 9457) whose `code` never changes its meaning; an unknown "
    "path is answered with 404 `not_found`, another method with 405 `method_not_allowed`. "
    "A request may bring its own `X-Request-Id`, and every response names one."
)

BINARY = {"type": "string", "format": "binary"}
PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture.",
        "content": {
            "image/*": {"schema": BINARY},
            "application/octet-stream": {"schema": BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {FILE_FIELD: BINARY},
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
        "description": "The answer must not be stored.",
        "required": True,
        "schema": {"type": "string"},
        "example": "no-store",
    },
}


def ok(example: object) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of an answer in JSON, with an example of it."""
    content = {"application/json": {"example": example}}
    return {200: {"description": "Ok", "headers": REQUEST_ID_HEADER, "content": content}}

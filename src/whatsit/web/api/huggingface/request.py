"""Requests of Hugging Face's clients: a picture, or JSON with a picture in base64."""

from dataclasses import dataclass
from typing import Any

from whatsit.errors import InvalidParameter
from whatsit.prediction import MAX_TOP_K
from whatsit.service.service import DEFAULT_TOP_K
from whatsit.web.api.batches import parse_base64, parse_json, parse_top_k
from whatsit.web.api.openapi import PICTURE_BODY

_PARAMETERS = ("top_k", "function_to_apply")
_JSON_BODY: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "inputs": {"type": "string", "format": "byte", "description": "A picture in base64."},
            "parameters": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {
                    "top_k": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_TOP_K},
                    "function_to_apply": {"enum": ["softmax", None]},
                },
            },
        },
    }
}

TASK_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF picture, or one in JSON.",
        "content": {**PICTURE_BODY["requestBody"]["content"], "application/json": _JSON_BODY},
    }
}


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """A picture, and the number of labels that the client asks for."""

    image_bytes: bytes
    top_k: int = DEFAULT_TOP_K


def parse_task(body: bytes) -> ClassificationTask:
    """The task in a JSON document: ``{"inputs": base64, "parameters": {"top_k": 3}}``.

    Raises:
        InvalidParameter: The document is malformed, or asks for something that is not supported.
    """
    document = parse_json(body)
    parameters = document.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise InvalidParameter("parameters must be an object.")
    if not parameters.keys() <= set(_PARAMETERS):
        raise InvalidParameter(f"parameters may have {' and '.join(_PARAMETERS)}, no others.")
    if parameters.get("function_to_apply") not in (None, "softmax"):
        raise InvalidParameter(
            "function_to_apply must be softmax or left out: scores are calibrated probabilities."
        )
    top_k = parse_top_k(parameters.get("top_k"))
    if "inputs" not in document:
        raise InvalidParameter("inputs is missing: a picture in base64.")
    return ClassificationTask(parse_base64(document["inputs"], "inputs"), top_k)

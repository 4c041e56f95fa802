"""What the OpenAPI document says about the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Any

from whatsit.prediction import MAX_TOP_K
from whatsit.web.api.oip.documents import config_of, metadata_of
from whatsit.web.api.oip.request import (
    HEADER_LENGTH,
    INPUT_NAME,
    MAX_ID_LETTERS,
    MAX_PICTURES,
    OUTPUT_NAMES,
)
from whatsit.web.api.oip.response import MODEL_VERSION
from whatsit.web.api.openapi import PICTURE_HEADERS
from whatsit.web.api.refusals import problem_responses

_NAME = "efficientnet-lite2"
METADATA_EXAMPLE = metadata_of(_NAME, "9f0c" * 16).model_dump()
CONFIG_EXAMPLE = config_of(_NAME).model_dump()
INDEX_EXAMPLE = [{"name": _NAME, "version": MODEL_VERSION, "state": "READY", "reason": ""}]
INFERENCE_EXAMPLE: dict[str, Any] = {
    "model_name": _NAME,
    "model_version": MODEL_VERSION,
    "outputs": [
        {
            "name": "label",
            "datatype": "BYTES",
            "shape": [1, 2],
            "data": ["bee", "ringlet butterfly"],
        },
        {"name": "score", "datatype": "FP32", "shape": [1, 2], "data": [0.99, 0.001]},
        {"name": "answer", "datatype": "BYTES", "shape": [1], "data": ["A bee (99 %)."]},
    ],
}
_BINARY = {"type": "string", "format": "binary"}
INFERENCE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answers; with an output in binary, JSON and then bytes.",
        "headers": {
            **PICTURE_HEADERS,
            HEADER_LENGTH: {
                "description": "How many bytes are JSON, if not all.",
                "schema": {"type": "integer", "minimum": 1},
                "example": 240,
            },
        },
        "content": {
            "application/json": {"example": INFERENCE_EXAMPLE},
            "application/octet-stream": {"schema": _BINARY},
        },
    },
    **problem_responses(400, 404, 408, 413, 415, 422, 500, 503, path="/v2/"),
}
_NULLABLE_OBJECT = ["object", "null"]
INFERENCE_BODY: dict[str, Any] = {
    "required": True,
    "description": "A request in JSON; or, with the binary extension, JSON and then the bytes.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": ["string", "null"], "maxLength": MAX_ID_LETTERS},
                    "parameters": {
                        "type": _NULLABLE_OBJECT,
                        "properties": {
                            "top_k": {
                                "type": ["integer", "null"],
                                "minimum": 1,
                                "maximum": MAX_TOP_K,
                            },
                            "binary_data_output": {"type": "boolean"},
                        },
                    },
                    "inputs": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "type": "object",
                            "required": ["name", "shape", "datatype", "data"],
                            "properties": {
                                "name": {"const": INPUT_NAME},
                                "datatype": {"const": "BYTES"},
                                "shape": {
                                    "type": "array",
                                    "description": "[N] or [N, 1].",
                                    "minItems": 1,
                                    "maxItems": 2,
                                    "items": {
                                        "type": "integer",
                                        "minimum": 1,
                                        "maximum": MAX_PICTURES,
                                    },
                                },
                                "data": {
                                    "type": "array",
                                    "description": "Pictures in base64.",
                                    "minItems": 1,
                                    "maxItems": MAX_PICTURES,
                                    "items": {"type": "string", "format": "byte"},
                                },
                            },
                        },
                    },
                    "outputs": {
                        "type": ["array", "null"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {"name": {"enum": list(OUTPUT_NAMES)}},
                        },
                    },
                },
            }
        },
        "application/octet-stream": {"schema": _BINARY},
    },
}
HEADER_PARAMETER: dict[str, Any] = {
    "name": HEADER_LENGTH,
    "in": "header",
    "description": "How many bytes are JSON, if not all. 0: the body is just one picture.",
    "schema": {"type": "integer", "minimum": 0},
    "example": 0,
}


def path_parameters(names: Sequence[str], path: str) -> list[dict[str, Any]]:
    """The OpenAPI entries of the parameters in a path.

    Args:
        names: Of the model.
        path: With or without a version.
    """
    values = {"name": list(names), "version": [MODEL_VERSION]}
    return [
        {
            "name": parameter,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "enum": allowed},
            "example": allowed[0],
        }
        for parameter, allowed in values.items()
        if f"{{{parameter}}}" in path
    ]

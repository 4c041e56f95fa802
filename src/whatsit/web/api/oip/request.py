"""Inference requests of the Open Inference Protocol: JSON, and the binary extension.

The lengths, shapes and types that a client sends are never trusted.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from whatsit.errors import ImageTooLarge, InvalidParameter
from whatsit.prediction import MAX_TOP_K
from whatsit.service.service import DEFAULT_TOP_K
from whatsit.web.api.batches import parse_base64, parse_count, parse_json, parse_top_k
from whatsit.web.api.openapi import BINARY

OutputName = Literal["label", "score", "index", "wnid", "answer"]
OUTPUT_NAMES: tuple[OutputName, ...] = get_args(OutputName)
INPUT_NAME = "image"
MAX_PICTURES = 16
MAX_ID_LETTERS = 256
HEADER_LENGTH = "Inference-Header-Content-Length"
"""The number of bytes of a body that are JSON; the bytes of the tensors follow."""

_LENGTH_BYTES = 4
_LENGTH = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """One output of the reply.

    Attributes:
        name: Name of the output.
        is_binary: True if it follows the JSON, false if it is part of it.
        classes: If not None, so many of the best, as texts ``score:index:label``.
    """

    name: OutputName
    is_binary: bool
    classes: int | None = None


@dataclass(frozen=True, slots=True)
class InferenceRequest:
    """The pictures of a client, and the outputs that it asks for.

    Attributes:
        pictures: From 1 to `MAX_PICTURES`.
        outputs: In the order in which they are wanted.
        top_k: How many labels of each picture.
        id: Comes back with the reply.
    """

    pictures: tuple[bytes, ...]
    outputs: tuple[WantedOutput, ...]
    top_k: int = DEFAULT_TOP_K
    id: str | None = None


def parse_header_length(values: Iterable[str]) -> int | None:
    """The number of bytes of a body that are JSON; None where all are.

    Args:
        values: Of all headers `HEADER_LENGTH` of a request.

    Raises:
        InvalidParameter: There are several, or it is not a number.
    """
    lengths = list(values)
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise InvalidParameter(f"{HEADER_LENGTH} must be one whole number of bytes.")
    return int(lengths[0])


def parse_request(body: bytes, json_bytes: int | None, max_picture_bytes: int) -> InferenceRequest:
    """The request that a body holds.

    Args:
        body: All of it.
        json_bytes: How many of its bytes are JSON; None where all are, 0 where it is just the
            bytes of one picture.
        max_picture_bytes: Of all pictures together.

    Raises:
        InvalidParameter: The request is malformed; the sentence names the mistake.
        ImageTooLarge: The pictures have too many bytes.
    """
    if json_bytes is None:
        document, binary = parse_json(body), None
    elif json_bytes > len(body):
        raise InvalidParameter(f"{HEADER_LENGTH} is {json_bytes}, but {len(body)} bytes came.")
    elif json_bytes == 0:
        document, binary = {}, None
    else:
        document, binary = parse_json(body[:json_bytes]), memoryview(body)[json_bytes:]
    parameters = _object(document, "parameters")
    identity = document.get("id")
    if identity is not None:
        _require_id(identity)
    top_k = parse_top_k(parameters.get("top_k"))
    outputs = _parse_outputs(document, is_binary=_flag(parameters, "binary_data_output", False))
    pictures = (body,) if json_bytes == 0 else _parse_pictures(document, binary)
    if sum(map(len, pictures)) > max_picture_bytes:
        raise ImageTooLarge(max_picture_bytes, several=len(pictures) > 1)
    return InferenceRequest(pictures, outputs, top_k, identity)


def _parse_pictures(document: dict[str, Any], binary: memoryview | None) -> tuple[bytes, ...]:
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise InvalidParameter(f"inputs must hold one input, called {INPUT_NAME}.")
    tensor = inputs[0]
    if tensor.get("name") != INPUT_NAME:
        raise InvalidParameter(f"The input must be called {INPUT_NAME}.")
    if tensor.get("datatype") != "BYTES":
        raise InvalidParameter(
            f"The datatype of {INPUT_NAME} must be BYTES; each element is a picture file."
        )
    count = _parse_shape(tensor.get("shape"))
    parameters = _object(tensor, "parameters")
    _refuse_shared_memory(parameters)
    size = parameters.get("binary_data_size")
    if size is None:
        if binary:
            raise InvalidParameter(f"{INPUT_NAME} has no binary_data_size, but bytes follow.")
        return _parse_elements(tensor.get("data"), count)
    if "data" in tensor:
        raise InvalidParameter(f"{INPUT_NAME} has both data and binary_data_size.")
    if binary is None:
        raise InvalidParameter(f"With binary_data_size, the header {HEADER_LENGTH} is needed.")
    if type(size) is not int or size != len(binary):
        raise InvalidParameter(
            f"binary_data_size must be the number of bytes after the JSON, {len(binary)}."
        )
    return tuple(_split(binary, count))


def _parse_shape(shape: object) -> int:
    is_list = isinstance(shape, list) and all(type(side) is int for side in shape)
    if not is_list or len(shape) not in (1, 2) or shape[1:] not in ([], [1]):  # type: ignore[arg-type, index]
        raise InvalidParameter(f"The shape of {INPUT_NAME} must be [N] or [N, 1].")
    return parse_count(shape[0], f"The number of pictures in {INPUT_NAME}", MAX_PICTURES)  # type: ignore[index]


def _parse_elements(data: object, count: int) -> tuple[bytes, ...]:
    if not isinstance(data, list):
        raise InvalidParameter(f"The data of {INPUT_NAME} must be a list of texts in base64.")
    # Rows of one are what a shape of [N, 1] looks like.
    flat = [each[0] if isinstance(each, list) and len(each) == 1 else each for each in data]
    if len(flat) != count:
        raise InvalidParameter(
            f"The shape of {INPUT_NAME} promises {count} elements; data has {len(flat)}."
        )
    return tuple(parse_base64(each, f"Each element of {INPUT_NAME}") for each in flat)


def _split(binary: memoryview, count: int) -> Iterator[bytes]:
    """The elements of a tensor: each its length, in four bytes, and so many bytes."""
    at = 0
    for number in range(count):
        start = at + _LENGTH_BYTES
        length = int.from_bytes(binary[at:start], "little")
        at = start + length
        if at > len(binary):
            raise InvalidParameter(
                f"The bytes of {INPUT_NAME} end within element {number + 1} of {count}."
            )
        yield bytes(binary[start:at])
    if at != len(binary):
        raise InvalidParameter(
            f"The bytes of {INPUT_NAME} go on after its {count} elements by {len(binary) - at}."
        )


def _parse_outputs(document: dict[str, Any], *, is_binary: bool) -> tuple[WantedOutput, ...]:
    outputs = document.get("outputs")
    if outputs is None or outputs == []:
        return tuple(WantedOutput(name, is_binary) for name in OUTPUT_NAMES)
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise InvalidParameter("outputs must be a list of objects.")
    wanted = tuple(_parse_output(each, is_binary=is_binary) for each in outputs)
    if len({each.name for each in wanted}) < len(wanted):
        raise InvalidParameter("Each output can be asked for once.")
    return wanted


def _parse_output(output: dict[str, Any], *, is_binary: bool) -> WantedOutput:
    name = output.get("name")
    if name not in OUTPUT_NAMES:
        raise InvalidParameter(f"An output must be one of: {', '.join(OUTPUT_NAMES)}.")
    parameters = _object(output, "parameters")
    _refuse_shared_memory(parameters)
    classes = parameters.get("classification")
    if classes is not None:
        if name != "score":
            raise InvalidParameter("classification can be asked of the output score only.")
        classes = parse_count(classes, "classification", MAX_TOP_K)
    return WantedOutput(name, _flag(parameters, "binary_data", is_binary), classes)


def _object(holder: dict[str, Any], name: str) -> dict[str, Any]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParameter(f"{name} must be an object.")
    return value


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidParameter(f"{name} must be true or false.")
    return value


def _require_id(identity: object) -> None:
    is_text = isinstance(identity, str) and len(identity) <= MAX_ID_LETTERS
    if not is_text or not identity.isprintable():  # type: ignore[attr-defined]
        raise InvalidParameter(f"id must be a printable text of up to {MAX_ID_LETTERS} letters.")


def _refuse_shared_memory(parameters: dict[str, Any]) -> None:
    if "shared_memory_region" in parameters:
        raise InvalidParameter("Shared memory is not supported; put the bytes into the request.")


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
        "application/octet-stream": {"schema": BINARY},
    },
}
HEADER_PARAMETER: dict[str, Any] = {
    "name": HEADER_LENGTH,
    "in": "header",
    "description": "How many bytes are JSON, if not all. 0: the body is just one picture.",
    "schema": {"type": "integer", "minimum": 0},
    "example": 0,
}

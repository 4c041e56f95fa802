"""Responses of the Open Inference Protocol: JSON, and the binary extension."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from whatsit.documents import encode
from whatsit.prediction import Reply, ScoredLabel
from whatsit.web.api.classify import receipt
from whatsit.web.api.examples import MODEL, REPLY
from whatsit.web.api.oip.request import (
    HEADER_LENGTH,
    INPUT_NAME,
    OUTPUT_NAMES,
    InferenceRequest,
    OutputName,
    WantedOutput,
)
from whatsit.web.api.openapi import BINARY, PICTURE_HEADERS
from whatsit.web.api.refusals import problem_responses

MODEL_VERSION = "1"
EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository"]

DATATYPES: dict[OutputName, str] = {
    "label": "BYTES",
    "score": "FP32",
    "index": "INT32",
    "wnid": "BYTES",
    "answer": "BYTES",
}
_SIGNS = {"FP32": "f", "INT32": "i"}


@dataclass(frozen=True, slots=True)
class _Tensor:
    datatype: str
    shape: list[int]
    values: list[Any]

    def to_bytes(self) -> bytes:
        if self.datatype != "BYTES":
            return struct.pack(f"<{len(self.values)}{_SIGNS[self.datatype]}", *self.values)
        encoded = [str(value).encode() for value in self.values]
        return b"".join(len(each).to_bytes(4, "little") + each for each in encoded)


def build_response(
    model_name: str, request: InferenceRequest, replies: Sequence[Reply]
) -> Response:
    """The response to a request: its outputs, in JSON or after it, as each was asked for.

    Args:
        model_name: Name of the model that answered.
        request: Names the outputs.
        replies: One to each picture, in the order of the pictures, with at least as many labels
            as any output wants.
    """
    document, binary = _describe(model_name, request, replies)
    text = encode(document)
    headers = receipt(slowest(replies))
    if not binary:
        return Response(text, media_type="application/json", headers=headers)
    headers[HEADER_LENGTH] = str(len(text))
    return Response(
        b"".join((text, *binary)), media_type="application/octet-stream", headers=headers
    )


def _describe(
    model_name: str, request: InferenceRequest, replies: Sequence[Reply]
) -> tuple[dict[str, object], list[bytes]]:
    """The JSON of a response, and the outputs that follow it."""
    outputs, binary = [], []
    for wanted in request.outputs:
        tensor = _tensor(wanted, request.top_k, replies)
        output: dict[str, Any] = {
            "name": wanted.name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if wanted.is_binary:
            binary.append(tensor.to_bytes())
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = tensor.values
        outputs.append(output)
    document: dict[str, object] = {
        "model_name": model_name,
        "model_version": MODEL_VERSION,
        "outputs": outputs,
    }
    if request.id is not None:
        document["id"] = request.id
    return document, binary


def slowest(replies: Sequence[Reply]) -> Reply:
    """The reply that took longest, which stands for the request in the log."""
    return max(replies, key=lambda reply: reply.timings_ms["total"])


def _tensor(wanted: WantedOutput, top_k: int, replies: Sequence[Reply]) -> _Tensor:
    if wanted.name == "answer":
        texts = [reply.prediction.answer.text for reply in replies]
        return _Tensor("BYTES", [len(replies)], texts)
    rows = [reply.top[: wanted.classes or top_k] for reply in replies]
    if wanted.classes is not None:
        texts = [f"{it.score:.6f}:{it.index}:{it.label}" for row in rows for it in row]
        return _Tensor("BYTES", [len(rows), len(rows[0])], texts)
    values = [_value(wanted.name, entry) for row in rows for entry in row]
    return _Tensor(DATATYPES[wanted.name], [len(rows), len(rows[0])], values)


def _value(name: OutputName, entry: ScoredLabel) -> object:
    if name == "score":
        return round(entry.score, 6)
    if name == "index":
        return entry.index
    # A tensor has no way to say "none".
    return entry.label if name == "label" else entry.wnid or ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LiveDocument(_Document):
    """The process answers."""

    live: bool


class ServerReadyDocument(_Document):
    """Pictures are answered."""

    ready: bool


class ModelReadyDocument(_Document):
    """A model answers."""

    name: str
    ready: bool


class ServerDocument(_Document):
    """The server and its version."""

    name: Literal["whatsit"] = "whatsit"
    version: str
    extensions: list[str]


class TensorDocument(_Document):
    """An input or output."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1: any number.")


class ModelMetadataDocument(_Document):
    """The inputs and outputs of the model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDocument]
    outputs: list[TensorDocument]
    properties: dict[str, str] = Field(description="`fingerprint`: all that decides an answer.")


class ConfiguredTensorDocument(_Document):
    """An input or output, in the terms of Triton."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfigDocument(_Document):
    """The inputs and outputs of the model, in the terms of Triton."""

    name: str
    platform: str
    backend: str
    max_batch_size: int = Field(description="0: the shapes hold the number of pictures.")
    input: list[ConfiguredTensorDocument]
    output: list[ConfiguredTensorDocument]


class IndexedModelDocument(_Document):
    """A model in the repository."""

    name: str
    version: str
    state: Literal["READY"]
    reason: str


class OutputDocument(_Document):
    """One output."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] = Field([], description="Row by row; not there if it follows the JSON.")
    parameters: dict[str, int] = Field({}, description="`binary_data_size`, if it does.")


class InferenceDocument(_Document):
    """The answers to the pictures."""

    model_name: str
    model_version: str
    id: str | None = Field(None, description="As in the request.")
    outputs: list[OutputDocument]


TENSORS_IN = [TensorDocument(name=INPUT_NAME, datatype="BYTES", shape=[-1])]
TENSORS_OUT = [
    TensorDocument(
        name=name, datatype=DATATYPES[name], shape=[-1] if name == "answer" else [-1, -1]
    )
    for name in OUTPUT_NAMES
]
_TRITON_TYPES = {"BYTES": "TYPE_STRING", "FP32": "TYPE_FP32", "INT32": "TYPE_INT32"}


def metadata_of(name: str, fingerprint: str) -> ModelMetadataDocument:
    """The inputs and outputs of a model of that name."""
    return ModelMetadataDocument(
        name=name,
        versions=[MODEL_VERSION],
        platform="whatsit",
        inputs=TENSORS_IN,
        outputs=TENSORS_OUT,
        properties={"fingerprint": fingerprint},
    )


def config_of(name: str) -> ModelConfigDocument:
    """The inputs and outputs of a model of that name, in the terms of Triton."""

    def configured(tensors: Sequence[TensorDocument]) -> list[ConfiguredTensorDocument]:
        return [
            ConfiguredTensorDocument(
                name=it.name, data_type=_TRITON_TYPES[it.datatype], dims=it.shape
            )
            for it in tensors
        ]

    return ModelConfigDocument(
        name=name,
        platform="whatsit",
        backend="whatsit",
        max_batch_size=0,
        input=configured(TENSORS_IN),
        output=configured(TENSORS_OUT),
    )


def indexed(name: str) -> IndexedModelDocument:
    """The entry of a model of that name in the index of the repository."""
    return IndexedModelDocument(name=name, version=MODEL_VERSION, state="READY", reason="")


METADATA_EXAMPLE = metadata_of(MODEL.name, MODEL.fingerprint).model_dump()
CONFIG_EXAMPLE = config_of(MODEL.name).model_dump()
INDEX_EXAMPLE = [indexed(MODEL.name).model_dump()]
_INFERENCE_EXAMPLE, _ = _describe(
    MODEL.name,
    InferenceRequest(
        (),
        (
            WantedOutput("label", is_binary=False),
            WantedOutput("score", is_binary=False),
            WantedOutput("answer", is_binary=False),
        ),
    ),
    [REPLY],
)
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
            "application/json": {"example": _INFERENCE_EXAMPLE},
            "application/octet-stream": {"schema": BINARY},
        },
    },
    **problem_responses(400, 404, 408, 413, 415, 422, 500, 503, path="/v2/"),
}

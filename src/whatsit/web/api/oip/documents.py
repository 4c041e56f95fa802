"""The shapes of the documents of the Open Inference Protocol."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from whatsit.web.api.oip.request import INPUT_NAME, OUTPUT_NAMES
from whatsit.web.api.oip.response import DATATYPES, MODEL_VERSION


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "model_repository"]


class LiveDocument(_Document):
    """Whether the process answers."""

    live: bool


class ServerReadyDocument(_Document):
    """Whether pictures are answered."""

    ready: bool


class ModelReadyDocument(_Document):
    """Whether a model answers."""

    name: str
    ready: bool


class ServerDocument(_Document):
    """Which server this is."""

    name: Literal["whatsit"] = "whatsit"
    version: str
    extensions: list[str]


class TensorDocument(_Document):
    """An input or output."""

    name: str
    datatype: str
    shape: list[int] = Field(description="-1: any number.")


class ModelMetadataDocument(_Document):
    """What the model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDocument]
    outputs: list[TensorDocument]
    properties: dict[str, str] = Field(description="`fingerprint`: all that decides an answer.")


class ConfiguredTensorDocument(_Document):
    """An input or output, in the words of Triton."""

    name: str
    data_type: str
    dims: list[int]


class ModelConfigDocument(_Document):
    """The same in the words of Triton."""

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
    """What a model of that name takes and gives."""
    return ModelMetadataDocument(
        name=name,
        versions=[MODEL_VERSION],
        platform="whatsit",
        inputs=TENSORS_IN,
        outputs=TENSORS_OUT,
        properties={"fingerprint": fingerprint},
    )


def config_of(name: str) -> ModelConfigDocument:
    """The same in the words of Triton."""

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

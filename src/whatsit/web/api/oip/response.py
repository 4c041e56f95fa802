"""Replies of the Open Inference Protocol: JSON, and the binary extension."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from whatsit.prediction import Reply, ScoredLabel
from whatsit.web.api.classify import receipt
from whatsit.web.api.oip.request import HEADER_LENGTH, InferenceRequest, OutputName, WantedOutput

MODEL_VERSION = "1"

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


def build_reply(model_name: str, request: InferenceRequest, replies: Sequence[Reply]) -> Response:
    """The response to a request: its outputs, in JSON or after it, as each was asked for.

    Args:
        model_name: Who answered.
        request: What was asked for.
        replies: One to each picture, in the order of the pictures, with at least as many labels
            as any output wants.
    """
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
    document = {"model_name": model_name, "model_version": MODEL_VERSION, "outputs": outputs}
    if request.id is not None:
        document["id"] = request.id
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    headers = receipt(slowest(replies))
    if not binary:
        return Response(text, media_type="application/json", headers=headers)
    headers[HEADER_LENGTH] = str(len(text))
    return Response(
        b"".join((text, *binary)), media_type="application/octet-stream", headers=headers
    )


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

"""The facts that an ONNX file states about itself, read without the libraries that run it.

ONNX is a protobuf message: a sequence of numbered fields. The numbers here are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Only the fields that lead to a tensor are
read, because a tensor's values may lie in another file ("external data"), which
is how exporters write models that one message could not hold, and some write every model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from whatsit.engines.protobuf import BYTES, Field, fields, number_of
from whatsit.errors import WeightsRejected
from whatsit.files import is_there, read_plain
from whatsit.printable import make_printable

MAX_WEIGHTS_BYTES = 2_147_483_647
"""Longest protobuf message, and so the longest ONNX file."""

_MAX_DATA_FILES = 10_000
_MAX_DEPTH = 64

TENSOR = "tensor"
MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: TENSOR, 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: TENSOR, 10: TENSOR, 6: "graph", 11: "graph"},
        **{22: "sparse tensor", 23: "sparse tensor"},
    },
    "sparse tensor": {1: TENSOR, 2: TENSOR},
}
"""Of each message the fields that lead to a tensor, by number, and which message they hold."""
RAW_DATA, EXTERNAL_DATA, DATA_LOCATION = 9, 13, 14
"""Fields of a tensor."""
_PRODUCER, _PRODUCER_VERSION, _OPSET = 2, 3, 8

_SAFE_OPSET = 17
"""It contains every operator of classifiers, and every recent runtime supports it."""


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """The facts that a file states about itself.

    Attributes:
        data_files: Names of the files with tensors that are not in this one, sorted.
        opset: Version of the standard operators; None where it names none.
        producer: The program that wrote it; empty where the file does not say.
    """

    data_files: tuple[str, ...]
    opset: int | None
    producer: str


def read_weights(weights: Path, *, follow: bool = False) -> bytes:
    """The bytes of a weights file.

    Not mapped into memory: a file that is cut short meanwhile would end the process.

    Args:
        weights: The file.
        follow: True if it may be a link.

    Raises:
        WeightsRejected: It can't be read.
    """
    try:
        return read_plain(weights, MAX_WEIGHTS_BYTES, follow=follow)
    except OSError as error:
        raise WeightsRejected(
            f"The weights file {weights.name!r} can't be read: {error.strerror}."
        ) from error


def describe_onnx(weights: Path, name: str | None = None) -> OnnxFacts:
    """Read the facts that an ONNX file states about itself.

    Args:
        weights: The file.
        name: The name that people know it by, if it has another name here.

    Raises:
        WeightsRejected: The file can't be read, or is not in the form of ONNX.
    """
    return parse_onnx(read_weights(weights), name or weights.name)


def parse_onnx(content: bytes, name: str) -> OnnxFacts:
    """Read the facts that the content of an ONNX file states about itself.

    Args:
        content: The file.
        name: The name that people know it by.

    Raises:
        WeightsRejected: It is not in the form of ONNX.
    """
    view = memoryview(content)
    try:
        names: set[str] = set()
        _collect(view, 0, len(view), "model", names, 0)
        opset, producer = None, ["", ""]
        for field in fields(view, 0, len(view)):
            if field.wire == BYTES and field.number in (_PRODUCER, _PRODUCER_VERSION):
                text = bytes(view[field.value : field.value + min(field.end - field.value, 40)])
                producer[field.number - _PRODUCER] = text.decode("utf-8", "replace")
            elif field.wire == BYTES and field.number == _OPSET:
                opset = _standard_opset(view, field) or opset
    except ValueError as error:
        raise WeightsRejected(
            f"{name} is not an ONNX file, or not all of it is there. Export or copy it again."
        ) from error
    return OnnxFacts(tuple(sorted(names)), opset, " ".join(filter(None, producer)))


def explain_refusal(weights: Path, name: str, runtime: str, reason: str = "") -> str:
    """The sentence that a runtime can't load a file, with the facts of the file."""
    try:
        facts = describe_onnx(weights)
    except WeightsRejected as error:
        return error.detail
    if missing := [file for file in facts.data_files if not is_there(weights.with_name(file))]:
        return (
            f"{weights.name} keeps weights in {missing[0]!r}, and this file is missing. "
            "Copy that file into the same folder, or export the model as one file."
        )
    facts_known = [f"ONNX opset {facts.opset}"] if facts.opset is not None else []
    facts_known += [f"written by {make_printable(facts.producer)}"] if facts.producer else []
    return (
        f"{runtime} can't load the weights of {name!r} ({', '.join(facts_known) or 'ONNX'})"
        f"{f': {reason}' if reason else ''}. If it is new, export it with an older opset, such as "
        f"{_SAFE_OPSET}."
    )


class TensorPlace:
    """Where the values of a tensor lie, if they lie in another file.

    Args:
        view: The ONNX file.
        tensor: The tensor in it.

    Attributes:
        is_external: True if they lie in another file.
        facts: The tensor's entries about the place: ``location``, ``offset``, ``length``.

    Raises:
        ValueError: The tensor is damaged.
    """

    def __init__(self, view: memoryview, tensor: Field) -> None:
        self.is_external = False
        self.facts: dict[str, str] = {}
        for field in fields(view, tensor.value, tensor.end):
            if field.number == EXTERNAL_DATA and field.wire == BYTES:
                self.facts |= [_entry(view, field)]
                self.is_external = True
            elif field.number == DATA_LOCATION:
                self.is_external |= number_of(view, field) != 0


def require_depth(depth: int) -> None:
    """Refuse messages in messages that no model has.

    Raises:
        ValueError: There are more than 64.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")


def _collect(
    view: memoryview, start: int, end: int, message: str, names: set[str], depth: int
) -> None:
    require_depth(depth)
    for field in fields(view, start, end):
        if field.wire != BYTES:
            continue
        if (inner := MESSAGES[message].get(field.number)) == TENSOR:
            place = TensorPlace(view, field)
            if place.is_external:
                names.add(place.facts.get("location", ""))
            if len(names) > _MAX_DATA_FILES:
                raise ValueError("too many data files")
        elif inner is not None:
            _collect(view, field.value, field.end, inner, names, depth + 1)


def _entry(view: memoryview, entry: Field) -> tuple[str, str]:
    """Key and value of one entry about a tensor's place."""
    texts = {1: "", 2: ""}
    for field in fields(view, entry.value, entry.end):
        if field.wire == BYTES and field.number in texts:
            texts[field.number] = bytes(view[field.value : field.end]).decode("utf-8")
    return texts[1], texts[2]


def _standard_opset(view: memoryview, opset: Field) -> int | None:
    domain, version = b"", None
    for field in fields(view, opset.value, opset.end):
        if field.number == 1 and field.wire == BYTES:
            domain = bytes(view[field.value : field.end])
        elif field.number == 2:
            version = number_of(view, field)
    return version if domain in (b"", b"ai.onnx") else None

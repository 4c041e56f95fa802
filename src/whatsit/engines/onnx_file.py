"""Facts of an ONNX file, read without the libraries that run it.

ONNX is a protobuf message: a sequence of numbered fields. The numbers here are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. Only the fields that lead to a tensor are
read, because a tensor's values may lie in another file ("external data"), which
is how exporters write models that one message could not hold, and some write every model.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from whatsit.errors import WeightsRejected
from whatsit.files import is_there, read_plain
from whatsit.printable import make_printable

MAX_WEIGHTS_BYTES = 2_147_483_647
"""Longest protobuf message, and so the longest ONNX file."""

_MAX_DATA_FILES = 10_000
_MAX_DEPTH = 64
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5

_TENSOR = "tensor"
# The fields of each message that lead to a tensor: number of the field -> message in it.
_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        **{5: _TENSOR, 10: _TENSOR, 6: "graph", 11: "graph"},
        **{22: "sparse tensor", 23: "sparse tensor"},
    },
    "sparse tensor": {1: _TENSOR, 2: _TENSOR},
}
_RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 9, 13, 14
_PRODUCER, _PRODUCER_VERSION, _OPSET = 2, 3, 8

_SAFE_OPSET = 17
"""It contains every operator of classifiers, and every recent runtime supports it."""

_Piece = memoryview | bytes


@dataclass(frozen=True, slots=True)
class OnnxFacts:
    """Facts of an ONNX file.

    Attributes:
        data_files: Names of the files with tensors that are not in this one, sorted.
        opset: Version of the standard operators; None where it names none.
        producer: The program that wrote it; empty where the file does not say.
    """

    data_files: tuple[str, ...]
    opset: int | None
    producer: str


class _Field(NamedTuple):
    """A field of a message: where it starts with its number, where its value starts, its end."""

    number: int
    wire: int
    start: int
    value: int
    end: int


def read_weights(weights: Path, *, follow: bool = False) -> bytes:
    """The bytes of a weights file.

    Not mapped into memory: a file that is truncated meanwhile would end the process.

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
    """Read the facts of an ONNX file.

    Args:
        weights: The file.
        name: Its name in messages, if it has another name here.

    Raises:
        WeightsRejected: The file can't be read, or is not in the form of ONNX.
    """
    return parse_onnx(read_weights(weights), name or weights.name)


def parse_onnx(content: bytes, name: str) -> OnnxFacts:
    """Read the facts of an ONNX file from its content.

    Args:
        content: The file.
        name: Its name in messages.

    Raises:
        WeightsRejected: It is not in the form of ONNX.
    """
    view = memoryview(content)
    try:
        names: set[str] = set()
        _collect(view, 0, len(view), "model", names, 0)
        opset, producer = None, ["", ""]
        for field in _fields(view, 0, len(view)):
            if field.wire == _BYTES and field.number in (_PRODUCER, _PRODUCER_VERSION):
                text = bytes(view[field.value : field.value + min(field.end - field.value, 40)])
                producer[field.number - _PRODUCER] = text.decode("utf-8", "replace")
            elif field.wire == _BYTES and field.number == _OPSET:
                opset = _standard_opset(view, field) or opset
    except ValueError as error:
        raise WeightsRejected(
            f"{name} is not an ONNX file, or is incomplete. Export or copy it again."
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
    facts_shown = [f"ONNX opset {facts.opset}"] if facts.opset is not None else []
    facts_shown += [f"written by {make_printable(facts.producer)}"] if facts.producer else []
    return (
        f"{runtime} can't load the weights of {name!r} ({', '.join(facts_shown) or 'ONNX'})"
        f"{f': {reason}' if reason else ''}. If it is new, export it with an older opset, such as "
        f"{_SAFE_OPSET}."
    )


def merge_onnx(weights: Path, target: Path, *, follow: bool = False) -> None:
    """Write an ONNX file and the files that lie beside it for its tensors as one file.

    Args:
        weights: The ONNX file.
        target: The new file; nothing has that name.
        follow: True if the ONNX file may be a link. Its data files are plain files beside it.

    Raises:
        WeightsRejected: A data file is missing or can't be used, or one file can't hold it all.
        OSError: `target` can't be written.
    """
    with target.open("xb") as file:
        _Merger(weights, follow=follow).write(file)


class _Merger:
    def __init__(self, weights: Path, *, follow: bool) -> None:
        self._weights = weights
        self._view = memoryview(read_weights(weights, follow=follow))
        self._data: dict[str, memoryview] = {}

    def write(self, file: BinaryIO) -> None:
        try:
            pieces = self._merge(0, len(self._view), "model", 0)
        except ValueError as error:
            raise WeightsRejected(f"{self._weights.name} is damaged: {error}.") from error
        if _length(pieces) > MAX_WEIGHTS_BYTES:
            raise WeightsRejected(
                f"{self._weights.name} and its data files have more than 2 GB together, which is "
                "more than one ONNX file can hold. Use a smaller model, or weights of 16 or 8 bits."
            )
        for piece in pieces:
            file.write(piece)

    def _merge(self, start: int, end: int, message: str, depth: int) -> list[_Piece]:
        """The message with all tensors in it; parts without change keep their bytes."""
        pieces: list[_Piece] = []
        unchanged = start
        for field in _fields(self._view, start, end):
            inner = _MESSAGES[message].get(field.number)
            if inner is None or field.wire != _BYTES:
                continue
            _require_depth(depth)
            if inner == _TENSOR:
                new = self._fill(field)
            else:
                new = self._merge(field.value, field.end, inner, depth + 1)
                if len(new) == 1:
                    continue
            if new:
                pieces.append(self._view[unchanged : field.start])
                pieces.append(_varint(field.number << 3 | _BYTES) + _varint(_length(new)))
                pieces += new
                unchanged = field.end
        pieces.append(self._view[unchanged:end])
        return pieces

    def _fill(self, tensor: _Field) -> list[_Piece]:
        """The tensor with its values; nothing where it has them."""
        kept: list[_Piece] = []
        place: dict[str, str] = {}
        is_external = False
        for field in _fields(self._view, tensor.value, tensor.end):
            if field.number == _EXTERNAL_DATA and field.wire == _BYTES:
                place |= [_entry(self._view, field)]
                is_external = True
            elif field.number == _DATA_LOCATION:
                is_external |= _number(self._view, field) != 0
            elif field.number != _RAW_DATA:
                kept.append(self._view[field.start : field.end])
        if not is_external:
            return []
        values = self._values(place)
        return [*kept, _varint(_RAW_DATA << 3 | _BYTES) + _varint(len(values)), values]

    def _values(self, place: Mapping[str, str]) -> memoryview:
        name = place.get("location", "")
        if name not in self._data:
            self._data[name] = _read_beside(self._weights, name)
        data = self._data[name]
        try:
            offset = int(place.get("offset", "0"))
            length = int(place["length"]) if "length" in place else len(data) - offset
        except ValueError:
            raise ValueError("the places of its tensors are not given as numbers") from None
        if offset < 0 or length < 0 or offset + length > len(data):
            raise WeightsRejected(
                f"{name} is shorter than {self._weights.name} says: it is incomplete, or it "
                "belongs to another model. Copy it again."
            )
        return data[offset : offset + length]


def _collect(
    view: memoryview, start: int, end: int, message: str, names: set[str], depth: int
) -> None:
    _require_depth(depth)
    for field in _fields(view, start, end):
        if field.wire != _BYTES:
            continue
        if (inner := _MESSAGES[message].get(field.number)) == _TENSOR:
            _collect_tensor(view, field, names)
        elif inner is not None:
            _collect(view, field.value, field.end, inner, names, depth + 1)


def _collect_tensor(view: memoryview, tensor: _Field, names: set[str]) -> None:
    place: dict[str, str] = {}
    is_external = False
    for field in _fields(view, tensor.value, tensor.end):
        if field.number == _EXTERNAL_DATA and field.wire == _BYTES:
            place |= [_entry(view, field)]
            is_external = True
        elif field.number == _DATA_LOCATION:
            is_external |= _number(view, field) != 0
    if is_external:
        names.add(place.get("location", ""))
    if len(names) > _MAX_DATA_FILES:
        raise ValueError("too many data files")


def _read_beside(weights: Path, name: str) -> memoryview:
    if not name or name in (".", "..") or Path(name).name != name or "\0" in name:
        raise WeightsRejected(
            f"{weights.name} keeps weights in {name!r}, which is not a file beside it. "
            "Export it as one file, or with its data file in the same folder."
        )
    if not is_there(weights.with_name(name)):
        raise WeightsRejected(
            f"{weights.name} keeps weights in {name!r}, and this file is missing. "
            "Copy that file into the same folder, or export the model as one file."
        )
    return memoryview(read_weights(weights.with_name(name)))


def _fields(view: memoryview, start: int, end: int) -> Iterator[_Field]:
    """The fields of a message, in order; `ValueError` where there is something else."""
    at = start
    while at < end:
        begin = at
        # Nearly all numbers have one byte, and there are tens of thousands of them.
        tag = view[at]
        at += 1
        if tag > 0x7F:
            tag, at = _read_varint(view, begin, end)
        number, wire = tag >> 3, tag & 7
        value = at
        if wire == _VARINT:
            _, at = _read_varint(view, at, end)
        elif wire == _BYTES:
            if at < end and (length := view[at]) <= 0x7F:
                value = at + 1
            else:
                length, value = _read_varint(view, at, end)
            at = value + length
        elif wire in (_FIXED_32, _FIXED_64):
            at += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError("no field begins like this")
        if at > end or number == 0:
            raise ValueError("a field continues after the end")
        yield _Field(number, wire, begin, value, at)


def _read_varint(view: memoryview, at: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while at < end and shift < 64:
        byte = view[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise ValueError("a number has no end")


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _number(view: memoryview, field: _Field) -> int:
    return _read_varint(view, field.value, field.end)[0] if field.wire == _VARINT else 1


def _entry(view: memoryview, entry: _Field) -> tuple[str, str]:
    """Key and value of one entry about a tensor's place."""
    texts = {1: "", 2: ""}
    for field in _fields(view, entry.value, entry.end):
        if field.wire == _BYTES and field.number in texts:
            texts[field.number] = bytes(view[field.value : field.end]).decode("utf-8")
    return texts[1], texts[2]


def _standard_opset(view: memoryview, opset: _Field) -> int | None:
    domain, version = b"", None
    for field in _fields(view, opset.value, opset.end):
        if field.number == 1 and field.wire == _BYTES:
            domain = bytes(view[field.value : field.end])
        elif field.number == 2:
            version = _number(view, field)
    return version if domain in (b"", b"ai.onnx") else None


def _require_depth(depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")


def _length(pieces: list[_Piece]) -> int:
    return sum(map(len, pieces))

"""An ONNX file and the files that hold its tensors -> one ONNX file."""

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from whatsit.engines.onnx_file import (
    DATA_LOCATION,
    EXTERNAL_DATA,
    MAX_WEIGHTS_BYTES,
    MESSAGES,
    RAW_DATA,
    TENSOR,
    TensorPlace,
    read_weights,
    require_depth,
)
from whatsit.engines.protobuf import BYTES, Field, encode_varint, fields
from whatsit.errors import WeightsRejected
from whatsit.files import is_there

_VALUES = frozenset({RAW_DATA, EXTERNAL_DATA, DATA_LOCATION})
_Piece = memoryview | bytes


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
        for field in fields(self._view, start, end):
            inner = MESSAGES[message].get(field.number)
            if inner is None or field.wire != BYTES:
                continue
            require_depth(depth)
            if inner == TENSOR:
                new = self._fill(field)
            else:
                new = self._merge(field.value, field.end, inner, depth + 1)
                if len(new) == 1:
                    continue
            if new:
                pieces.append(self._view[unchanged : field.start])
                pieces.append(
                    encode_varint(field.number << 3 | BYTES) + encode_varint(_length(new))
                )
                pieces += new
                unchanged = field.end
        pieces.append(self._view[unchanged:end])
        return pieces

    def _fill(self, tensor: Field) -> list[_Piece]:
        """The tensor with its values; nothing where it has them."""
        place = TensorPlace(self._view, tensor)
        if not place.is_external:
            return []
        kept = [
            self._view[field.start : field.end]
            for field in fields(self._view, tensor.value, tensor.end)
            if field.number not in _VALUES
        ]
        values = self._values(place.facts)
        return [*kept, encode_varint(RAW_DATA << 3 | BYTES) + encode_varint(len(values)), values]

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


def _length(pieces: list[_Piece]) -> int:
    return sum(map(len, pieces))

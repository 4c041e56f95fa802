"""The wire format of protobuf messages: numbered fields, one after the other."""

from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
"""How a field's value is written."""


class Field(NamedTuple):
    """A field of a message: where it starts with its number, where its value starts, its end."""

    number: int
    wire: int
    start: int
    value: int
    end: int


def fields(view: memoryview, start: int, end: int) -> Iterator[Field]:
    """The fields of a message, in order.

    Args:
        view: The whole file.
        start: Where the message starts.
        end: Where it ends.

    Raises:
        ValueError: There is something else.
    """
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
        if wire == VARINT:
            _, at = _read_varint(view, at, end)
        elif wire == BYTES:
            if at < end and (length := view[at]) <= 0x7F:
                value = at + 1
            else:
                length, value = _read_varint(view, at, end)
            at = value + length
        elif wire in (FIXED_32, FIXED_64):
            at += 4 if wire == FIXED_32 else 8
        else:
            raise ValueError("no field begins like this")
        if at > end or number == 0:
            raise ValueError("a field continues after the end")
        yield Field(number, wire, begin, value, at)


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


def encode_varint(number: int) -> bytes:
    """A number as it is written in a message."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def number_of(view: memoryview, field: Field) -> int:
    """The value of a field that is a number; 1 where it is something else."""
    return _read_varint(view, field.value, field.end)[0] if field.wire == VARINT else 1

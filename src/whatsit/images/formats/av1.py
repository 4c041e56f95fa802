"""The size of the frames in an AV1 stream, from its headers alone."""

from collections.abc import Iterator

from whatsit.images.formats.base import OddFrames

SEQUENCE, FRAME_HEADER, FRAME = 1, 3, 6
"""Kinds of units."""
_MAX_UNITS = 20_000
_HEADER_BYTES = 64


def units(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each unit of a stream; of a long one only what a header may take.

    Raises:
        OddFrames: There are far more of them than in any picture.
    """
    at = 0
    for _ in range(_MAX_UNITS):
        if at >= len(stream):
            return
        header = stream[at]
        at += 2 if header & 4 else 1
        length = len(stream) - at
        if header & 2:
            length = shift = 0
            while at < len(stream):
                length |= (stream[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if not stream[at - 1] & 128 or shift > 56:
                    break
        yield header >> 3 & 15, stream[at : at + min(length, _HEADER_BYTES)]
        at += length
    raise OddFrames


class _Bits:
    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "big")
        self._left = len(content) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise OddFrames
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)


def read_sequence(content: bytes) -> tuple[int, int, int]:
    """Profile, width and height of a sequence; section 5.5 of the AV1 specification.

    Raises:
        OddFrames: It ends too early.
    """
    bits = _Bits(content)
    profile = bits.take(3)
    bits.take(1)
    if bits.take(1):  # a still picture's short header
        bits.take(5)
    else:
        delay_bits = 0
        if bits.take(1):  # timing
            bits.take(64)
            if bits.take(1):
                zeros = 0
                while not bits.take(1):
                    zeros += 1
                bits.take(zeros if zeros < 32 else 0)
            if bits.take(1):
                delay_bits = bits.take(5) + 1
                bits.take(42)
        has_delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if delay_bits and bits.take(1):
                bits.take(2 * delay_bits + 1)
            if has_delays and bits.take(1):
                bits.take(4)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    return profile, bits.take(width_bits) + 1, bits.take(height_bits) + 1

"""TIFF files in any layout, from numbers: what a picture's reader has to get right."""

import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
"""Shape (height, width, samples)."""

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
UNSIGNED, SIGNED, FLOATING = 1, 2, 3
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))
_TYPES = {1: "B", 3: "H", 4: "I"}


def write_tiff(
    samples: Samples,
    *,
    bits: int,
    colours: int,
    order: str = "<",
    planar: bool = False,
    compression: int = NONE,
    predictor: int = 1,
    number_format: int = UNSIGNED,
    tile: int | None = None,
    rows: int = 10,
    fill_order: int = 1,
    extra: Sequence[int] = (),
    more: dict[int, Sequence[int]] | None = None,
) -> bytes:
    """A TIFF file; `more` are further entries, by tag."""
    height, width, count = samples.shape
    planes = np.split(samples, count, axis=2) if planar else [samples]
    blocks = [block for plane in planes for block in _blocks(plane, tile, rows)]
    parts = []
    for block in blocks:
        raw = _pack(block, bits, order, number_format, predictor)
        packed = _PACK[compression](raw)
        parts.append(packed.translate(_REVERSED) if fill_order == 2 else packed)
    starts = list(np.cumsum([8, *(len(part) + len(part) % 2 for part in parts)]).tolist())
    sizes = [len(part) for part in parts]
    data = b"".join(part + bytes(len(part) % 2) for part in parts)
    entries: dict[int, Sequence[int]] = {
        **{256: [width], 257: [height], 258: [bits] * count, 259: [compression]},
        **{262: [colours], 266: [fill_order], 277: [count], 284: [2 if planar else 1]},
        **{317: [predictor], 339: [number_format] * count},
        **({338: extra} if extra else {}),
        **({322: [tile], 323: [tile], 324: starts[:-1], 325: sizes} if tile else {}),
        **({} if tile else {278: [rows], 273: starts[:-1], 279: sizes}),
        **(more or {}),
    }
    return _file(data, entries, order)


def _file(data: bytes, entries: dict[int, Sequence[int]], order: str) -> bytes:
    packed = b""
    for tag, values in sorted(entries.items()):
        kind = 4 if max(values) > 65_535 or tag in (273, 279, 324, 325) else 3
        raw = struct.pack(f"{order}{len(values)}{_TYPES[kind]}", *values)
        value = raw.ljust(4, b"\0")
        if len(raw) > 4:
            value = struct.pack(order + "I", 8 + len(data))
            data += raw + bytes(len(raw) % 2)
        packed += struct.pack(order + "HHI", tag, kind, len(values)) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(entries)) + packed + bytes(4)


def _blocks(plane: Samples, tile: int | None, rows: int) -> list[Samples]:
    height, width, _ = plane.shape
    if tile is None:
        return [plane[top : top + rows] for top in range(0, height, rows)]
    padding = ((0, -height % tile), (0, -width % tile), (0, 0))
    padded = np.pad(plane, padding, mode="edge")
    corners = product(range(0, height, tile), range(0, width, tile))
    return [padded[top : top + tile, left : left + tile] for top, left in corners]


def _pack(block: Samples, bits: int, order: str, number_format: int, predictor: int) -> bytes:
    rows, _, count = block.shape
    if predictor == 3:
        whole = block.astype(f">f{bits // 8}").tobytes()
        by_byte = np.frombuffer(whole, np.uint8).reshape(rows, -1, bits // 8).transpose(0, 2, 1)
        flat = by_byte.reshape(rows, -1)
        apart = flat.copy()
        apart[:, count:] -= flat[:, :-count]
        return apart.tobytes()
    kind = {UNSIGNED: "u", SIGNED: "i", FLOATING: "f"}[number_format]
    if bits in (8, 16, 32, 64):
        values = block.astype(f"{kind}{bits // 8}")
        if predictor == 2:
            values = np.concatenate([values[:, :1], np.diff(values, axis=1)], axis=1)
        return values.astype(f"{order}{kind}{bits // 8}").tobytes()
    single = block.reshape(rows, -1, 1).astype(np.int64) >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(single.reshape(rows, -1).astype(np.uint8), axis=1).tobytes()


def _packbits(raw: bytes) -> bytes:
    pieces = (raw[at : at + 128] for at in range(0, len(raw), 128))
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces)


def _lzw(raw: bytes) -> bytes:
    # Begun again before codes get longer than 9 bits, it need not look for repetitions.
    codes = [256]
    for at, byte in enumerate(raw):
        codes += [256, byte] if at and at % 200 == 0 else [byte]
    bits = "".join(f"{code:09b}" for code in (*codes, 257))
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


_PACK: dict[int, Callable[[bytes], bytes]] = {
    NONE: bytes,
    LZW: _lzw,
    DEFLATE: zlib.compress,
    PACKBITS: _packbits,
}

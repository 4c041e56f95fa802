"""How large the frames in an AVIF or HEIC file really are, found without decoding them.

Such a file announces the size of its picture in one place and holds the coded frames in another.
A decoder trusts the frames: one of 268 megapixels, or thousands of hidden ones, in a picture
that announces 64 x 64.
"""

import struct
from dataclasses import dataclass

from whatsit.errors import ImageUnsupported
from whatsit.images.formats import av1
from whatsit.images.formats.base import OddFrames
from whatsit.images.formats.bmff import Items

_MAX_FRAMES = 32
"""Of one item. A picture is one frame; some come in a few layers."""
_MAX_UNITS = 20_000
_CODECS = {
    b"avc1": "H.264",
    b"vvc1": "H.266",
    b"j2k1": "JPEG 2000",
    b"jpeg": "JPEG",
    b"evc1": "EVC",
    b"unci": "plain numbers",
}
_UNREAD_HEVC_PROFILES = frozenset(range(6, 12))
"""For several views, several layers and contents of screens."""


@dataclass(frozen=True, slots=True)
class CodedFrames:
    """The coded frames of an AVIF.

    Attributes:
        pixels: Of its largest frame, times how many of them its picture is put together of; 0
            where the frames do not say.
        profile: AV1 profile. 0 keeps colour at half the resolution; only 2 has 12 bits.
    """

    pixels: int
    profile: int


def inspect_avif(file: bytes) -> CodedFrames:
    """The frames of an AVIF.

    Raises:
        OddFrames: There are far too many, or they are hidden.
        struct.error: The file is cut short.
    """
    largest = highest = 0
    items = Items(file)
    for item in items.of_kind(b"av01"):
        frames = 0
        for kind, content in av1.units(item):
            if kind == av1.SEQUENCE:
                profile, width, height = av1.read_sequence(content)
                largest = max(largest, width * height)
                highest = max(highest, profile)
            frames += kind in (av1.FRAME_HEADER, av1.FRAME)
        if frames > _MAX_FRAMES:
            raise OddFrames
    return CodedFrames(largest * items.cells(), highest)


def require_few_frames(file: bytes) -> None:
    """Refuse a HEIC whose items hold more than a picture, or no HEVC.

    Raises:
        ImageUnsupported: whatsit does not read their coding.
        OddFrames: There are far too many frames, or they are hidden.
        struct.error: The file is cut short.
    """
    items = Items(file)
    for kind, start in items.properties():
        if kind == b"hvcC" and file[start + 1] & 31 in _UNREAD_HEVC_PROFILES:
            raise ImageUnsupported(f"a HEIC picture of HEVC profile {file[start + 1] & 31}")
    if (codec := items.codec()) in _CODECS:
        raise ImageUnsupported(f"a HEIF picture coded as {_CODECS[codec]}")
    for item in items.of_kind(b"hvc1"):
        frames = units = at = 0
        while at + 4 < len(item):
            (length,) = struct.unpack_from(">I", item, at)
            # The first slice of a frame says so in the first bit after the unit's header.
            is_slice = item[at + 4] >> 1 & 63 < 32
            frames += is_slice and at + 6 < len(item) and item[at + 6] >> 7
            units += 1
            if frames > _MAX_FRAMES or units > _MAX_UNITS:
                raise OddFrames
            at += 4 + length

"""How the pixels of a BMP file are stored."""

import struct

from whatsit.errors import ImageUnsupported
from whatsit.images.formats.base import Container

_HEADER_BYTES = 34
_OLD_HEADER = 12
_RARE_DEPTHS = frozenset({2, 64})
_CONTENTS = {4: "JPEG", 5: "PNG"}


def open_bmp(image_bytes: bytes) -> Container:
    """Read from the header of a BMP file how its pixels are stored.

    Raises:
        ImageUnsupported: In a way that whatsit does not read.
    """
    if len(image_bytes) <= _HEADER_BYTES:
        return Container("BMP", image_bytes)
    depth, how = struct.unpack_from("<HI", image_bytes, 28)
    if image_bytes[14] == _OLD_HEADER:
        depth, how = image_bytes[24], 0
    if depth in _RARE_DEPTHS:
        raise ImageUnsupported(f"a BMP picture of {depth} bits a pixel")
    if how in _CONTENTS:
        raise ImageUnsupported(f"a BMP file with a {_CONTENTS[how]} picture in it")
    return Container("BMP", image_bytes, run_length_encoded=how in (1, 2), has_masks=how in (3, 6))

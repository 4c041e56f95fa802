"""The blocks of a GIF file that make its first frame."""

from whatsit.errors import ImageUnreadable
from whatsit.images.formats.base import TOO_MANY_PIECES, Container

_MAX_BLOCKS = 200_000
_GRAPHIC_CONTROL = 0xF9
"""Says which colour is transparent."""


def open_gif(image_bytes: bytes) -> Container:
    """Leave out the parts before the first frame of a GIF file that are not the picture.

    Raises:
        ImageUnreadable: It is in far more blocks than any picture.
        IndexError: It ends before its first frame.
    """
    at = 13
    if image_bytes[10] & 0x80:
        at += 3 << ((image_bytes[10] & 7) + 1)
    kept = [image_bytes[:at]]
    blocks = 0
    while image_bytes[at : at + 1] == b"!":
        start, label = at, image_bytes[at + 1]
        at += 2
        blocks += 1
        while length := image_bytes[at]:
            at += 1 + length
            blocks += 1
            if blocks > _MAX_BLOCKS:
                break
        if blocks > _MAX_BLOCKS:
            raise ImageUnreadable(TOO_MANY_PIECES)
        at += 1
        if label == _GRAPHIC_CONTROL:
            kept = [kept[0], image_bytes[start:at]]
    return Container("GIF", b"".join((*kept, image_bytes[at:])))

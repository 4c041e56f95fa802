"""A picture in any form that a program holds -> the bytes to send."""

import io
import sys
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from whatsit.errors import InvalidParameter

if TYPE_CHECKING:
    from PIL import Image

Picture: TypeAlias = "bytes | str | PathLike[str] | BinaryIO | Image.Image"
"""The bytes of a picture, the path of its file, an open file, or an image of Pillow's."""

_PNG_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
_TIFF_MODES = frozenset({"CMYK", "F", "I"})


def read_picture(picture: Picture) -> bytes:
    """The bytes of a picture.

    Args:
        picture: An open file is read to its end and stays open. An image of Pillow's is turned
            upright and sent without loss; its pixels count, not the file it came from.

    Raises:
        OSError: The file can't be read.
        InvalidParameter: This is not a picture in any of these forms.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, (bytearray, memoryview)):
        return bytes(picture)
    if isinstance(picture, (str, PathLike)):
        return Path(picture).read_bytes()
    # A program that has an image of Pillow's has imported it.
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(picture, pillow.Image):
        return _encode(picture)
    content = picture.read() if hasattr(picture, "read") else None
    if not isinstance(content, bytes):
        raise InvalidParameter(
            "A picture is its bytes, a path, a file opened with mode 'rb', or an image of "
            f"Pillow's; this is {type(picture).__name__}."
        )
    return content


def _encode(image: "Image.Image") -> bytes:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode not in _PNG_MODES | _TIFF_MODES:
        upright = upright.convert("RGB")
    encoded = io.BytesIO()
    if upright.mode in _PNG_MODES:
        upright.save(encoded, "PNG", compress_level=1)
    else:
        upright.save(encoded, "TIFF")
    return encoded.getvalue()

"""Any file -> the part of it that makes the picture, before a decoder sees it.

Decoders trust files: millions of strips or empty chunks, thousands of passes over one picture,
comments in pieces of a byte cost them gigabytes or minutes. They get only the parts that make the
picture. Metadata is left out, whatever it holds; the orientation is read from it first.
"""

import struct
from collections.abc import Callable, Mapping

from whatsit.errors import ImageUnreadable
from whatsit.images.formats.base import Container, Kind
from whatsit.images.formats.bmp import open_bmp
from whatsit.images.formats.gif import open_gif
from whatsit.images.formats.jpeg import open_jpeg
from whatsit.images.formats.png import open_png
from whatsit.images.formats.sniff import sniff_kind
from whatsit.images.formats.tiff.file import open_tiff

_OPENERS: Mapping[Kind, Callable[[bytes], Container]] = {
    "JPEG": open_jpeg,
    "PNG": open_png,
    "GIF": open_gif,
    "TIFF": open_tiff,
    "BMP": open_bmp,
}


def open_container(image_bytes: bytes) -> Container:
    """Recognise the kind of picture by content, and leave out all that is not the picture.

    Costs a copy of the file at most; decodes nothing.

    Args:
        image_bytes: Any bytes.

    Returns:
        With an empty kind if no format that whatsit reads begins like this.

    Raises:
        ImageUnreadable: The structure of the file is not that of a picture.
        ImageUnsupported: whatsit does not read its kind of compression.
    """
    kind = sniff_kind(image_bytes)
    if (opener := _OPENERS.get(kind)) is None:
        return Container(kind, image_bytes)
    try:
        return opener(image_bytes)
    except (struct.error, IndexError, OverflowError) as error:
        raise ImageUnreadable(
            "The picture's header is damaged or cut short. Send the whole file."
        ) from error

"""Image bytes -> an upright RGB image, or an error with the reason.

Formats are recognised by content, never by name. The number of pixels is read from the header
and refused before anything is decoded; so is a picture whose decoder would need more memory than
`MEMORY_PER_PIXEL` for each pixel that is allowed. Large pictures are decoded one at a time.
"""

import io
import threading
from contextlib import nullcontext
from dataclasses import dataclass

from PIL import Image

from whatsit.errors import ImageTooLarge, ImageTooManyPixels, ImageUnreadable
from whatsit.images.orientation import is_turned, turn_upright, upright_size
from whatsit.images.rgb import LARGE_PIXELS, reduction, to_rgb
from whatsit.images.sources import load_decoders, open_source

DEFAULT_MAX_UPLOAD_BYTES = 20_000_000
DEFAULT_MAX_PIXELS = 50_000_000
MEMORY_PER_PIXEL = 6
"""A picture may take this many bytes of memory for each pixel that is allowed."""

# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, straight from the DCT coefficients. Keeping
# twice the wanted size leaves the final antialiased resize enough to work with: of 300 photographs
# of 3 megapixels, 299 kept their best label, and decoding took half as long (`make bench-draft`).
_DRAFT_OVERSAMPLING = 2
_DAMAGED = "The picture is damaged or cut short and can't be decoded. Send the whole file."
_MAX_SIDE = 100_000
"""Each line takes memory of its own, however short it is."""
_one_large_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright RGB image.

    Attributes:
        pixels: Mode RGB, upright; smaller than the original if it was decoded at reduced size.
        width: Pixels of the original, cropped and upright.
        height: Pixels of the original, cropped and upright.
        format: Name of the file format, such as ``JPEG`` or ``HEIC``; ``RAW`` for the preview of
            a raw photograph.
    """

    pixels: Image.Image
    width: int
    height: int
    format: str


def decode_image(
    image_bytes: bytes,
    *,
    shorter_side: int | None = None,
    max_bytes: int = DEFAULT_MAX_UPLOAD_BYTES,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> DecodedImage:
    """Decode a picture from an untrusted source.

    The first frame of an animation, the preview of a raw photograph, transparent parts over white,
    numbers of any depth brought to 8 bits, cropped and turned upright as the file says.

    Args:
        image_bytes: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF; see docs/use/pictures.md.
        shorter_side: The caller will resize the shorter side to this, pixels. Large pictures are
            then decoded at a fraction of their size, never below twice this.
        max_bytes: Refuse more bytes than this.
        max_pixels: Refuse more pixels (width x height) than this, before decoding. Kinds of
            pictures that take more memory than others are refused from fewer pixels on.

    Raises:
        ImageTooLarge: More than `max_bytes`.
        ImageTooManyPixels: The header announces more than `max_pixels`, or more than a picture
            of this kind may have.
        ImageUnsupported: A kind of document or picture that whatsit does not read.
        ImageUnreadable: Not a picture, an empty one, or one that is cut short or damaged.
    """
    if len(image_bytes) > max_bytes:
        raise ImageTooLarge(max_bytes)
    if not image_bytes:
        raise ImageUnreadable("This picture is empty: it has 0 bytes. Send the whole file.")
    load_decoders()
    wanted = None if shorter_side is None else _DRAFT_OVERSAMPLING * shorter_side
    source = open_source(image_bytes, wanted, max_pixels)
    width, height = source.size
    pixels = max(width * height, source.frame_pixels)
    if pixels > max_pixels:
        raise ImageTooManyPixels(max_pixels, pixels)
    if width < 1 or height < 1:
        raise ImageUnreadable("This picture has a size of 0 pixels. Send another one.")
    if max(width, height) > _MAX_SIDE:
        raise ImageUnreadable(
            f"The picture has {width:,} x {height:,} pixels; no side may have more than "
            f"{_MAX_SIDE:,}. Cut it into pieces and send one."
        )
    orientation = source.orientation
    step = reduction(source.decoded_size, wanted)
    memory = source.memory_needed(step, is_turned=is_turned(orientation))
    is_large = memory > MEMORY_PER_PIXEL * LARGE_PIXELS
    if is_large and memory > MEMORY_PER_PIXEL * max_pixels:
        limit = int(MEMORY_PER_PIXEL * max_pixels / memory * pixels)
        raise ImageTooManyPixels(limit, pixels, source.kind)
    width, height = upright_size(width, height, orientation)
    image_format, read = source.format, source.read
    del source
    with _one_large_at_a_time if is_large else nullcontext():
        try:
            image = turn_upright(to_rgb(read(), step), orientation)
        except Exception as error:
            raise ImageUnreadable(_DAMAGED) from error
        finally:
            del read  # and with it the decoder, before another one starts
    return DecodedImage(image, width, height, image_format)


def encode_preview(image_bytes: bytes, max_side: int, *, max_pixels: int) -> bytes:
    """A small upright JPEG of a picture, without its metadata, for showing in a browser.

    Args:
        image_bytes: As for `decode_image`, which raises the same errors here.
        max_side: Longer side of the preview, pixels; smaller pictures keep their size.
        max_pixels: As for `decode_image`.
    """
    image = decode_image(
        image_bytes, shorter_side=max_side, max_bytes=len(image_bytes), max_pixels=max_pixels
    ).pixels
    image.thumbnail((max_side, max_side))
    image.info.clear()  # a JPEG's comment would be saved again
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=85)
    return encoded.getvalue()

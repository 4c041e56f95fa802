"""Image bytes -> an upright RGB image, or a sentence why not.

Formats are recognised by content, never by name. The number of pixels is read from the header
and refused before anything is decoded; so is a picture whose decoder would need more memory than
`MEMORY_PER_PIXEL` for each pixel that is allowed. Large pictures are decoded one at a time.
"""

import io
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from math import prod
from typing import Any, TypeVar

from PIL import Image

from whatsit.errors import (
    ImageTooLarge,
    ImageTooManyPixels,
    ImageUnreadable,
    ImageUnsupported,
    InputError,
)
from whatsit.images.formats.bmff import (
    OddFrames,
    inspect_avif,
    read_crop,
    require_few_frames,
    without_crops,
)
from whatsit.images.formats.containers import Container, open_container, read_orientation
from whatsit.images.formats.jpeg import with_two_ends
from whatsit.images.formats.strangers import refusal
from whatsit.images.samples import SampleLayout, SamplePlanes
from whatsit.images.shrinking import (
    LARGE_PIXELS,
    Buffer,
    Pixels,
    reduction,
    rows_of,
    size_of,
    strips_of,
    to_rgb,
)

DEFAULT_MAX_UPLOAD_BYTES = 20_000_000
DEFAULT_MAX_PIXELS = 50_000_000
MEMORY_PER_PIXEL = 6
"""A picture may take this many bytes of memory for each pixel that is allowed."""

_PILLOW_PLUGINS = ("Jpeg", "Png", "WebP", "Gif", "Bmp", "Tiff")
# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, straight from the DCT coefficients. Keeping
# twice the wanted size leaves the final antialiased resize enough to work with: of 300 photographs
# of 3 megapixels, 299 kept their best label, and decoding took half as long (`make bench-draft`).
_DRAFT_OVERSAMPLING = 2
# What sets a picture upright, by EXIF orientation.
_TURNS: dict[int | None, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = (5, 6, 7, 8)
_DAMAGED = "The picture is damaged or cut short and can't be decoded. Send the whole file."
_HEADER_DAMAGED = "The picture's header is damaged. Send the file as it was saved."

_RGB_BYTES = 4
"""Of a pixel in memory: Pillow pads it."""
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Measured with pictures of 50 megapixels: these decoders keep the picture several times over.
_WEBP_PIXEL_BYTES = 12.2
_HEIF_PIXEL_BYTES = (4.6, 10, 20, 20)
"""With none, one or more of: transparency, full colour resolution, more than 8 bits."""
_AVIF_PIXEL_BYTES = (9.2, 12.0, 16.0)
"""By profile."""
_AVIF_ALPHA_BYTES = 2.7
_BMP_PIXEL_BYTES = 3
_AVIF_THREADS = 2
"""More of them take more memory."""
_RUN_LENGTH_MAX_PIXELS = 4_000_000
"""A BMP of runs is decoded by Python, one run after the other."""
_RUN_LENGTH_MAX_BYTES = 2_000_000

_MAX_SIDE = 100_000
"""Each line takes memory of its own, however short it is."""
_BLOCK_BYTES = 64 * 1024 * 1024
_SMALL_PIXELS = 1_000_000
_one_large_at_a_time = threading.Lock()

_Found = TypeVar("_Found")


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
    """Decode a picture that nobody vouches for.

    The first frame of an animation, the preview of a raw photograph, transparent parts over white,
    numbers of any depth brought to 8 bits, cropped and turned upright as the file says.

    Args:
        image_bytes: JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF; see docs/use/pictures.md.
        shorter_side: What the caller will resize the shorter side to, pixels. Large pictures are
            then decoded at a fraction of their size, never below twice this.
        max_bytes: Refuse more bytes than this.
        max_pixels: Refuse more pixels (width x height) than this, before decoding. Kinds of
            pictures that take more memory than others are refused from fewer pixels on.

    Raises:
        ImageTooLarge: More than `max_bytes`.
        ImageTooManyPixels: The header announces more than `max_pixels`, or more than a picture
            of this kind may have.
        ImageUnsupported: A kind of document or picture that is not read here.
        ImageUnreadable: Not a picture, an empty one, or one that is cut short or damaged.
    """
    if len(image_bytes) > max_bytes:
        raise ImageTooLarge(max_bytes)
    if not image_bytes:
        raise ImageUnreadable("There are no bytes in this picture. Send the whole file.")
    load_decoders()
    wanted = None if shorter_side is None else _DRAFT_OVERSAMPLING * shorter_side
    source = _open(image_bytes, wanted, max_pixels)
    width, height = source.size
    pixels = max(width * height, source.frame_pixels)
    if pixels > max_pixels:
        raise ImageTooManyPixels(max_pixels, pixels)
    if width < 1 or height < 1:
        raise ImageUnreadable("This picture has no pixels. Send another one.")
    if max(width, height) > _MAX_SIDE:
        raise ImageUnreadable(
            f"The picture has {width:,} x {height:,} pixels; no side may have more than "
            f"{_MAX_SIDE:,}. Cut it into pieces and send one."
        )
    turn = _TURNS.get(source.orientation)
    step = reduction(source.decoded_size, wanted)
    memory = _memory_needed(source, step, is_turned=turn is not None)
    is_large = memory > MEMORY_PER_PIXEL * LARGE_PIXELS
    if is_large and memory > MEMORY_PER_PIXEL * max_pixels:
        limit = int(MEMORY_PER_PIXEL * max_pixels / memory * pixels)
        raise ImageTooManyPixels(limit, pixels, source.kind)
    if source.orientation in _ON_ITS_SIDE:
        width, height = height, width
    image_format, read = source.format, source.read
    del source
    with _one_large_at_a_time if is_large else nullcontext():
        try:
            image = to_rgb(read(), step)
            if turn is not None:
                image = image.transpose(turn)
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


@cache
def load_decoders() -> None:
    """Load every decoder now, so that the first picture of a rare format does not wait for it."""
    for name in _PILLOW_PLUGINS:
        import_module(f"PIL.{name}ImagePlugin")
    import_module("PIL._avif")
    # Blocks as large as these go back to the system as soon as a picture is done with, where the
    # usual ones of 16 MB stay with each thread that ever decoded a large picture.
    import_module("PIL._imaging").set_block_size(_BLOCK_BYTES)
    import_module("pi_heif")


# Opening


@dataclass(frozen=True, slots=True)
class _Source:
    """A picture of which nothing but the header has been read.

    Attributes:
        format: For the answer.
        kind: For a refusal: "a ... picture".
        mode: Of the pixels that `read` gives.
        size: Width and height in the file.
        decoded_size: Width and height of what `read` gives; less if it is decoded smaller.
        orientation: EXIF orientation.
        decoding_bytes: Memory that `read` takes.
        read: Decodes it.
        frame_pixels: Of what is decoded for it, where `size` is only a part of that.
        is_in_buffer: Whether `read` gives something else than an image, which has yet to be made.
    """

    format: str
    kind: str
    mode: str
    size: tuple[int, int]
    decoded_size: tuple[int, int]
    orientation: int | None
    decoding_bytes: float
    read: Callable[[], Pixels]
    frame_pixels: int = 0
    is_in_buffer: bool = False


def _open(image_bytes: bytes, wanted: int | None, max_pixels: int) -> _Source:
    container = open_container(image_bytes)
    if not container.kind:
        raise refusal(image_bytes)
    try:
        if container.kind == "AVIF":
            return _open_avif(container)
        if container.kind == "HEIF":
            return _open_heif(container)
        if container.samples is not None:
            return _open_samples(container, container.samples)
        return _open_with_pillow(container, wanted)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooManyPixels(max_pixels) from error
    except InputError:
        raise
    except Exception as error:
        raise ImageUnreadable(_HEADER_DAMAGED) from error


def _open_samples(container: Container, layout: SampleLayout) -> _Source:
    size = layout.width, layout.height
    return _Source(
        "TIFF",
        "a TIFF",
        layout.mode,
        size,
        size,
        container.orientation,
        layout.decoded_bytes + container.scratch_bytes,
        lambda: SamplePlanes(layout),
        is_in_buffer=True,
    )


def _open_with_pillow(container: Container, wanted: int | None) -> _Source:
    try:
        image = Image.open(io.BytesIO(container.picture), formats=(container.kind,))
    except OSError as error:
        if container.has_masks:
            raise ImageUnsupported("a BMP picture with unusual places for its colours") from error
        raise
    size, mode = image.size, image.mode
    if container.kind == "WEBP":
        orientation = read_orientation(image.info.get("exif"), image.info.get("xmp"))
        layout = image.rawmode  # type: ignore[attr-defined]
        return _Source(
            "WEBP",
            "a WebP",
            mode,
            size,
            size,
            orientation,
            _WEBP_PIXEL_BYTES * prod(size),
            # Pillow's own `load` would copy the picture once more.
            lambda: Buffer(mode, size, image._decoder.get_next()[0], layout),  # type: ignore[attr-defined]
            is_in_buffer=True,
        )
    kind, bytes_per_pixel = container.kind, float(_PIXEL_BYTES.get(mode, _RGB_BYTES))
    if kind == "JPEG" and wanted is not None:
        image.draft(None, (wanted, wanted))
    if kind == "JPEG" and container.scratch_bytes:
        kind = "progressive JPEG"
    if kind == "BMP":
        if container.run_length_encoded:
            _require_few_runs(container, prod(size))
        bytes_per_pixel = max(bytes_per_pixel, _BMP_PIXEL_BYTES)

    def read() -> Pixels:
        image.load()
        return image

    def read_without_end() -> Pixels:
        first, second = (
            Image.open(io.BytesIO(file), formats=("JPEG",))
            for file in with_two_ends(container.picture)
        )
        for each in (first, second):
            if wanted is not None:
                each.draft(None, (wanted, wanted))
            each.load()
        _require_equal(first, second)
        return first

    return _Source(
        "RAW" if container.is_preview else container.kind,
        f"a {kind}",
        mode,
        size,
        image.size,
        container.orientation,
        bytes_per_pixel * prod(image.size) * (1 if container.has_end else 2)
        + container.scratch_bytes,
        read if container.has_end else read_without_end,
    )


def _require_equal(first: Image.Image, second: Image.Image) -> None:
    for top, bottom in strips_of(first.size):
        if rows_of(first, top, bottom).tobytes() != rows_of(second, top, bottom).tobytes():
            raise ValueError("The last pixels are missing.")


def _require_few_runs(container: Container, pixels: int) -> None:
    kind = "a run-length encoded BMP"
    if pixels > _RUN_LENGTH_MAX_PIXELS:
        raise ImageTooManyPixels(_RUN_LENGTH_MAX_PIXELS, pixels, kind)
    if len(container.picture) > _RUN_LENGTH_MAX_BYTES:
        raise ImageUnsupported(f"{kind} of more than {_RUN_LENGTH_MAX_BYTES // 1_000_000} MB")


def _open_avif(container: Container) -> _Source:
    # Pillow's own `AvifImageFile` reads all of the metadata, at whatever cost.
    from PIL import _avif

    frames = _inspect(inspect_avif, container)
    # As a film it would show its first frame, which is the same picture by another way.
    file = container.picture[:8] + b"avif" + container.picture[12:]
    decoder = _avif.AvifDecoder(file, "auto", _AVIF_THREADS)
    size, _, mode, _, exif, turned, xmp = decoder.get_info()
    if frames.pixels > 4 * (prod(size) + _SMALL_PIXELS):
        raise ImageUnreadable(_HEADER_DAMAGED)
    bytes_per_pixel = _AVIF_PIXEL_BYTES[min(frames.profile, 2)]
    if mode == "RGBA":
        bytes_per_pixel += _AVIF_ALPHA_BYTES
    # The container's own turn goes first; 1 stands for none.
    orientation = turned if turned != 1 else read_orientation(exif, xmp)
    crop = _inspect(partial(read_crop, is_turned=False), container)
    shown = size if crop is None else size_of(crop)
    return _Source(
        "AVIF",
        "an AVIF",
        mode,
        shown,
        shown,
        orientation,
        bytes_per_pixel * max(prod(size), frames.pixels),
        lambda: Buffer(mode, size, decoder.get_frame(0)[0], mode, crop=crop),
        prod(size),
        is_in_buffer=True,
    )


def _open_heif(container: Container) -> _Source:
    import pi_heif

    _inspect(require_few_frames, container)
    crop = _inspect(partial(read_crop, is_turned=True), container)
    # The decoder takes its limits from the size of the part, and refuses the frame by them.
    file = container.picture if crop is None else _inspect(without_crops, container)
    heif = pi_heif.open_heif(io.BytesIO(file), convert_hdr_to_8bit=True, remove_stride=False)
    size, mode = heif.size, heif.mode

    def read() -> Pixels:
        data = heif.data
        if heif.size != size:
            raise ValueError("The picture has another size than its header says.")
        return Buffer(mode, size, data, mode, heif.stride, crop)

    costly = (mode not in ("RGB", "L"), heif.info.get("chroma") == 444, _bits(heif.info) > 8)
    bytes_per_pixel = _HEIF_PIXEL_BYTES[sum(costly)]
    shown = size if crop is None else size_of(crop)
    memory = bytes_per_pixel * prod(size)
    # The decoder turns it by itself.
    return _Source(
        "HEIC", "a HEIC", mode, shown, shown, None, memory, read, prod(size), is_in_buffer=True
    )


def _bits(info: Mapping[str, Any]) -> int:
    return int(info.get("bit_depth", 8))


def _inspect(inspect: Callable[[bytes], _Found], container: Container) -> _Found:
    try:
        return inspect(container.picture)
    except (OddFrames, struct.error, IndexError, OverflowError) as error:
        raise ImageUnreadable(_HEADER_DAMAGED) from error


def _memory_needed(source: _Source, step: int, *, is_turned: bool) -> float:
    result = _RGB_BYTES * prod(source.decoded_size) / step**2
    is_ready = source.mode == "RGB" and step == 1 and not source.is_in_buffer
    return source.decoding_bytes + result * ((not is_ready) + is_turned)

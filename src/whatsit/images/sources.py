"""Image bytes -> a picture whose header alone has been read, and the cost of decoding it."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from math import prod
from typing import TypeVar

from PIL import Image

from whatsit.errors import ImageTooManyPixels, ImageUnreadable, ImageUnsupported, InputError
from whatsit.images.formats.base import Container, OddFrames
from whatsit.images.formats.container import open_container
from whatsit.images.formats.crop import read_crop, without_crops
from whatsit.images.formats.exif import read_orientation
from whatsit.images.formats.heif import inspect_avif, require_few_frames
from whatsit.images.formats.jpeg import with_two_ends
from whatsit.images.formats.sniff import refusal
from whatsit.images.formats.tiff.samples import SampleLayout, SamplePlanes
from whatsit.images.rgb import Buffer, Pixels, rows_of, size_of, strips_of

_PILLOW_PLUGINS = ("Jpeg", "Png", "WebP", "Gif", "Bmp", "Tiff")
_BLOCK_BYTES = 64 * 1024 * 1024
_HEADER_DAMAGED = "The picture's header is damaged. Send the file as it was saved."

_RGB_BYTES = 4
"""Of a pixel in memory: Pillow pads it."""
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# Measured with pictures of 50 megapixels: these decoders keep the picture several times over.
_WEBP_PIXEL_BYTES = 12.2
_HEIF_PIXEL_BYTES = (4.6, 10, 20, 20)
"""With zero, one or more of: transparency, full colour resolution, more than 8 bits."""
_AVIF_PIXEL_BYTES = (9.2, 12.0, 16.0)
"""By profile."""
_AVIF_ALPHA_BYTES = 2.7
_BMP_PIXEL_BYTES = 3
_AVIF_THREADS = 2
"""More of them take more memory."""
_RUN_LENGTH_MAX_PIXELS = 4_000_000
"""A BMP of runs is decoded by Python, one run after the other."""
_RUN_LENGTH_MAX_BYTES = 2_000_000
_SMALL_PIXELS = 1_000_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Source:
    """A picture of which only the header has been read.

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
        is_in_buffer: True if `read` gives something else than an image, which has yet to be made.
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

    def memory_needed(self, step: int, *, is_turned: bool) -> float:
        """Bytes for decoding it and bringing it to RGB.

        Args:
            step: By which whole number it is made smaller on the way.
            is_turned: True if it is set upright afterwards.
        """
        result = _RGB_BYTES * prod(self.decoded_size) / step**2
        is_ready = self.mode == "RGB" and step == 1 and not self.is_in_buffer
        return self.decoding_bytes + result * ((not is_ready) + is_turned)


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


def open_source(image_bytes: bytes, wanted: int | None, max_pixels: int) -> Source:
    """Read the header of a picture.

    Args:
        image_bytes: Any bytes.
        wanted: Pixels of the shorter side that are enough; None for all.
        max_pixels: Pillow refuses far more than its own limit; the error then states this one.

    Raises:
        ImageTooManyPixels: Far more pixels than any limit, or more than its kind may have.
        ImageUnsupported: A kind of document or picture that whatsit does not read.
        ImageUnreadable: Not a picture, or one whose header is damaged.
    """
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
        if container.kind == "WEBP":
            return _open_webp(container)
        return _open_with_pillow(container, wanted)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooManyPixels(max_pixels) from error
    except InputError:
        raise
    except Exception as error:
        raise ImageUnreadable(_HEADER_DAMAGED) from error


def _open_samples(container: Container, layout: SampleLayout) -> Source:
    size = layout.width, layout.height
    return Source(
        format="TIFF",
        kind="a TIFF",
        mode=layout.mode,
        size=size,
        decoded_size=size,
        orientation=container.orientation,
        decoding_bytes=layout.decoded_bytes + container.scratch_bytes,
        read=lambda: SamplePlanes(layout),
        is_in_buffer=True,
    )


def _open_webp(container: Container) -> Source:
    image = Image.open(io.BytesIO(container.picture), formats=("WEBP",))
    size, mode = image.size, image.mode
    layout, decoder = image.rawmode, image._decoder  # type: ignore[attr-defined]
    return Source(
        format="WEBP",
        kind="a WebP",
        mode=mode,
        size=size,
        decoded_size=size,
        orientation=read_orientation(image.info.get("exif"), image.info.get("xmp")),
        decoding_bytes=_WEBP_PIXEL_BYTES * prod(size),
        # Pillow's own `load` would copy the picture again.
        read=lambda: Buffer(mode, size, decoder.get_next()[0], layout),
        is_in_buffer=True,
    )


def _open_with_pillow(container: Container, wanted: int | None) -> Source:
    try:
        image = Image.open(io.BytesIO(container.picture), formats=(container.kind,))
    except OSError as error:
        if container.has_masks:
            raise ImageUnsupported("a BMP picture with unusual places for its colours") from error
        raise
    size, mode = image.size, image.mode
    kind, bytes_per_pixel = container.kind, float(_PIXEL_BYTES.get(mode, _RGB_BYTES))
    if kind == "JPEG":
        if wanted is not None:
            image.draft(None, (wanted, wanted))
        if container.scratch_bytes:
            kind = "progressive JPEG"
    if kind == "BMP":
        if container.run_length_encoded:
            _require_few_runs(container, prod(size))
        bytes_per_pixel = max(bytes_per_pixel, _BMP_PIXEL_BYTES)
    pixel_bytes = bytes_per_pixel * prod(image.size)

    def read() -> Pixels:
        if not container.has_end:
            return _read_twice(container.picture, wanted)
        image.load()
        return image

    return Source(
        format="RAW" if container.is_preview else container.kind,
        kind=f"a {kind}",
        mode=mode,
        size=size,
        decoded_size=image.size,
        orientation=container.orientation,
        decoding_bytes=pixel_bytes * (1 if container.has_end else 2) + container.scratch_bytes,
        read=read,
    )


def _read_twice(jpeg: bytes, wanted: int | None) -> Image.Image:
    """A JPEG that is not closed, with all of its pixels.

    Raises:
        ValueError: Some of them are missing.
    """
    first, second = (
        Image.open(io.BytesIO(file), formats=("JPEG",)) for file in with_two_ends(jpeg)
    )
    for image in (first, second):
        if wanted is not None:
            image.draft(None, (wanted, wanted))
        image.load()
    for top, bottom in strips_of(first.size):
        if rows_of(first, top, bottom).tobytes() != rows_of(second, top, bottom).tobytes():
            raise ValueError("The last pixels are missing.")
    return first


def _require_few_runs(container: Container, pixels: int) -> None:
    kind = "a run-length encoded BMP"
    if pixels > _RUN_LENGTH_MAX_PIXELS:
        raise ImageTooManyPixels(_RUN_LENGTH_MAX_PIXELS, pixels, kind)
    if len(container.picture) > _RUN_LENGTH_MAX_BYTES:
        raise ImageUnsupported(f"{kind} of more than {_RUN_LENGTH_MAX_BYTES // 1_000_000} MB")


def _open_avif(container: Container) -> Source:
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
    crop = _inspect(partial(read_crop, is_turned=False), container)
    shown = size if crop is None else size_of(crop)
    return Source(
        format="AVIF",
        kind="an AVIF",
        mode=mode,
        size=shown,
        decoded_size=shown,
        # The container's own turn goes first; 1 stands for none.
        orientation=turned if turned != 1 else read_orientation(exif, xmp),
        decoding_bytes=bytes_per_pixel * max(prod(size), frames.pixels),
        read=lambda: Buffer(mode, size, decoder.get_frame(0)[0], mode, crop=crop),
        frame_pixels=prod(size),
        is_in_buffer=True,
    )


def _open_heif(container: Container) -> Source:
    import pi_heif

    _inspect(require_few_frames, container)
    crop = _inspect(partial(read_crop, is_turned=True), container)
    # The decoder takes its limits from the size of the part, and refuses the frame by them.
    file = container.picture if crop is None else _inspect(without_crops, container)
    heif = pi_heif.open_heif(io.BytesIO(file), convert_hdr_to_8bit=True, remove_stride=False)
    size, mode, info = heif.size, heif.mode, heif.info

    def read() -> Pixels:
        data = heif.data
        if heif.size != size:
            raise ValueError("The picture has another size than its header says.")
        return Buffer(mode, size, data, mode, heif.stride, crop)

    has_many_bits = int(info.get("bit_depth", 8)) > 8
    costly = (mode not in ("RGB", "L"), info.get("chroma") == 444, has_many_bits)
    shown = size if crop is None else size_of(crop)
    return Source(
        format="HEIC",
        kind="a HEIC",
        mode=mode,
        size=shown,
        decoded_size=shown,
        orientation=None,  # the decoder turns it by itself
        decoding_bytes=_HEIF_PIXEL_BYTES[sum(costly)] * prod(size),
        read=read,
        frame_pixels=prod(size),
        is_in_buffer=True,
    )


def _inspect(inspect: Callable[[bytes], _T], container: Container) -> _T:
    try:
        return inspect(container.picture)
    except (OddFrames, struct.error, IndexError, OverflowError) as error:
        raise ImageUnreadable(_HEADER_DAMAGED) from error

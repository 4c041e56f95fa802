"""The value that every format makes of a file, and the limits that all formats share."""

from dataclasses import dataclass

from whatsit.images.formats.tiff.samples import SampleLayout

MAX_TEXT_BYTES = 1_000_000
"""Of a piece of metadata, those that are read."""
TOO_MANY_PIECES = (
    "This file is split into more parts than any picture needs. Save it again and resend it."
)

Kind = str
"""Pillow's name of a file format, such as ``JPEG``; empty if whatsit does not read it."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge, pixels."""


class OddFrames(Exception):
    """The coded frames in a file are not those of any picture."""


@dataclass(frozen=True, slots=True)
class Container:
    """The part of a file that makes the picture.

    Attributes:
        kind: Which decoder reads it.
        picture: The file, without the parts left out.
        orientation: EXIF orientation, 1 to 8; None where the file has none, or where only the
            decoder knows.
        scratch_bytes: Memory of the decoder besides the picture's pixels.
        run_length_encoded: True for a BMP of runs, which are read slowly.
        has_masks: True for a BMP that states which bits are which colour.
        has_end: False for a JPEG that is not closed, so that its last pixels may be missing.
        samples: How to read a TIFF as numbers; None where its decoder gets it right.
        is_preview: True for the preview in a raw photograph.
    """

    kind: Kind
    picture: bytes
    orientation: int | None = None
    scratch_bytes: int = 0
    run_length_encoded: bool = False
    has_masks: bool = False
    has_end: bool = True
    samples: SampleLayout | None = None
    is_preview: bool = False

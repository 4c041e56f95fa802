"""Turning a picture upright, as the orientation in its file says."""

from PIL import Image

# The operation that turns a picture upright, by EXIF orientation; 1 is upright already.
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


def is_turned(orientation: int | None) -> bool:
    """True if a picture of this EXIF orientation is not stored upright."""
    return orientation in _TURNS


def upright_size(width: int, height: int, orientation: int | None) -> tuple[int, int]:
    """Width and height of the upright picture in pixels, of those stored in the file."""
    return (height, width) if orientation in _ON_ITS_SIDE else (width, height)


def turn_upright(image: Image.Image, orientation: int | None) -> Image.Image:
    """The upright picture; `image` itself if it is upright or its orientation is not known.

    Args:
        image: As stored in the file.
        orientation: As EXIF counts, 1 to 8.
    """
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)

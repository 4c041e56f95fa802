"""The reliability diagram: do scores mean what they say?"""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from whatsit.quality.measure import Bin

_SIDE = 480
_MARGIN = 64
_INK, _FAINT, _BAR, _GAP = "#1f2933", "#cbd2d9", "#3e7cb1", "#d64545"


def draw_reliability(bins: Sequence[Bin], title: str) -> bytes:
    """Draw how often labels are right over what they score, as a PNG.

    A bar ends at the accuracy of its bin, a red mark shows the bin's mean score: where calibration
    is perfect the two meet on the diagonal. Pale bars rest on less than 2 % of the pictures.
    """
    image = Image.new("RGB", (_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN), "white")
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(20), ImageFont.load_default(15)
    left, bottom = _MARGIN, _MARGIN + _SIDE
    for step in range(6):
        at = step * _SIDE // 5
        draw.line((left, bottom - at, left + _SIDE, bottom - at), _FAINT)
        label = f"{step * 20} %"
        draw.text((left + at, bottom + 8), label, _INK, small, anchor="mt")
        draw.text((left - 8, bottom - at), label, _INK, small, anchor="rm")
    total = max(1, sum(one.pictures for one in bins))
    width = _SIDE / len(bins)
    for number, one in enumerate(bins):
        if not one.pictures:
            continue
        start, end = left + number * width + 2, left + (number + 1) * width - 2
        colour = _BAR if one.pictures >= 0.02 * total else "#a9c6de"
        draw.rectangle((start, bottom - one.accuracy * _SIDE, end, bottom), colour)
        mark = bottom - one.score * _SIDE
        draw.line((start, mark, end, mark), _GAP, 3)
    draw.line((left, bottom, left + _SIDE, bottom - _SIDE), _INK)
    draw.rectangle((left, bottom - _SIDE, left + _SIDE, bottom), outline=_INK)
    draw.text((left + _SIDE / 2, _MARGIN / 2), title, _INK, font, anchor="mm")
    caption = "score (red: its mean), and how often the best label is right (bar)"
    draw.text((left + _SIDE / 2, bottom + 44), caption, _INK, small, anchor="mm")
    encoded = io.BytesIO()
    image.save(encoded, "PNG", optimize=True)
    return encoded.getvalue()

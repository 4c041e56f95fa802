"""Pictures unlike anything a model of photographs knows, drawn on demand.

They measure how often "I do not recognise this" is said when it should be. Nothing is fitted on
them: the threshold comes from real photographs alone (`whatsit.pipeline.recognition`).
"""

import io
import math
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
Point = tuple[float, float]
_Rng = np.random.Generator
_Painter = Callable[[_Rng], Image.Image]

_SIZES = (
    (640, 480),
    (480, 640),
    (800, 600),
    (960, 540),
    (540, 960),
    (600, 600),
    (360, 360),
    (900, 420),
)
_PAPERS: tuple[Colour, ...] = ((255, 255, 255), (250, 248, 240), (244, 236, 216), (235, 238, 242))
_WORDS: tuple[str, ...] = tuple(
    """
    the of and to in a is that for it with as was on be at by this from or an are which
    account answer area board budget change chapter city clear common cost country customer
    date decision detail development early effect evening example figure final general
    government growth history increase information interest invoice letter level limit local
    market measure meeting member method month morning nature notice number office order
    package paper period person place plan policy present price problem process product
    project public quarter question reason record report result section service simple
    society state station street subject summary system table term theory total value water
    """.split()  # noqa: SIM905 - a hundred quoted words would hide the drawing
)


def draw_odd_picture(kind: str, seed: int) -> Image.Image:
    """Draw one odd picture, the same for the same kind and seed.

    About half of them have been through JPEG, as pictures that people send mostly have.

    Args:
        kind: One of `KINDS`.
        seed: Any whole number from 0 on; another seed gives another layout, colours and size.

    Returns:
        Mode RGB, 360 to 960 pixels a side.

    Raises:
        ValueError: The kind is unknown.

    Example:
        >>> draw_odd_picture("chart", seed=1) == draw_odd_picture("chart", seed=1)
        True
    """
    if kind not in _PAINTERS:
        raise ValueError(f"The kind {kind!r} is unknown. Known: {', '.join(KINDS)}.")
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    image = _PAINTERS[kind](rng)
    return _through_jpeg(image, rng) if rng.random() < 0.5 else image


def _draw_blank(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    image = Image.new("RGB", (width, height), _any_colour(rng))
    if rng.random() < 0.6:  # a wall, a lens cap, a sheet: uneven light and the sensor's grain
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        light = rng.uniform(-25, 25) * x + rng.uniform(-25, 25) * y
        grain = rng.normal(0, rng.uniform(0.5, 6), (height, width, 1))
        return _to_image(np.asarray(image) + light[:, :, None] + grain)
    return image


def _draw_gradient(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    angle = rng.uniform(0, 2 * math.pi)
    position = (math.cos(angle) * x + math.sin(angle) * y) / 2.83 + 0.5
    if rng.random() < 0.4:
        position = np.hypot(x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5)) / 2.2
    stops = np.array([_any_colour(rng) for _ in range(rng.integers(2, 5))], dtype=np.float64)
    at = np.linspace(0, 1, len(stops))
    return _to_image(np.stack([np.interp(position, at, stops[:, c]) for c in range(3)], axis=-1))


def _draw_noise(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    grain = int(rng.choice([1, 2, 4, 8, 16, 40]))
    shape = (height // grain + 1, width // grain + 1, 3 if rng.random() < 0.5 else 1)
    values = rng.uniform(0, 255, shape)
    if rng.random() < 0.5:
        values = rng.normal(rng.uniform(60, 200), rng.uniform(15, 80), shape)
    coarse = _to_image(np.broadcast_to(values, (*shape[:2], 3)))
    smooth = rng.random() < 0.4
    resampling = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    return coarse.resize((width, height), resampling)


def _draw_text_page(rng: _Rng) -> Image.Image:
    image, draw = _new_sheet(rng)
    ink = _dark(rng)
    columns = int(rng.choice([1, 1, 2]))
    margin = image.width * rng.uniform(0.04, 0.12)
    column_width = (image.width - margin * (columns + 1)) / columns
    size = int(rng.integers(10, 30))
    top = margin
    if rng.random() < 0.6:
        draw.text((margin, top), _sentence(rng, 3).title(), ink, _font(size * 2))
        top += size * 3
    for column in range(columns):
        left = margin + column * (column_width + margin)
        box = (left, top, left + column_width, image.height - margin)
        _write_paragraphs(draw, box, size, ink, rng)
    return _as_scanned(image, rng) if rng.random() < 0.4 else image


def _draw_handwriting(rng: _Rng) -> Image.Image:
    image, draw = _new_sheet(rng)
    ink = _dark(rng)
    height = rng.uniform(24, 60)
    if rng.random() < 0.5:
        for y in np.arange(height, image.height, height):
            draw.line([(0, y), (image.width, y)], (190, 205, 225), 1)
    thickness = int(rng.integers(2, 4))
    for line in np.arange(height * 2, image.height - height, height * rng.choice([1, 2])).tolist():
        left = image.width * rng.uniform(0.03, 0.15)
        right = image.width * rng.uniform(0.6, 0.95)
        while left < right:
            word_width = height * rng.uniform(0.8, 3)
            _scrawl_word(draw, (left, line), word_width, height * 0.35, (ink, thickness), rng)
            left += word_width + height * 0.4
    return _as_scanned(image, rng) if rng.random() < 0.5 else image


def _draw_chart(rng: _Rng) -> Image.Image:
    image, draw = _new_sheet(rng)
    frame = (image.width * 0.12, image.height * 0.14, image.width * 0.94, image.height * 0.86)
    draw.text((frame[0], image.height * 0.04), _sentence(rng, 4), (40, 40, 40), _font(22))
    paint = (_paint_bars, _paint_lines, _paint_pie, _paint_scatter)[rng.integers(4)]
    if paint is not _paint_pie:
        _paint_axes(draw, frame, rng)
    colours = [_any_colour(rng) for _ in range(rng.integers(1, 6))]
    paint(draw, frame, colours, rng)
    for row, colour in enumerate(colours[: rng.integers(0, 6)]):
        y = frame[1] + row * 20
        draw.rectangle([frame[2] - 90, y, frame[2] - 78, y + 12], colour)
        draw.text((frame[2] - 72, y - 2), str(rng.choice(_WORDS)), (50, 50, 50), _font(14))
    return image


def _draw_line_drawing(rng: _Rng) -> Image.Image:
    image, draw = _new_sheet(rng)
    ink, thickness = _dark(rng), int(rng.integers(2, 7))
    for _ in range(rng.integers(3, 12)):
        x, y = rng.uniform(0.1, 0.8, 2) * image.size
        w, h = rng.uniform(0.08, 0.4, 2) * min(image.size)
        box = (x, y, x + w, y + h)
        match rng.integers(5):
            case 0:
                draw.ellipse(box, outline=ink, width=thickness)
            case 1:
                draw.rectangle(box, outline=ink, width=thickness)
            case 2:
                roof = [(x, y), (x + w / 2, y - h / 2), (x + w, y), (x, y)]
                draw.line(roof, ink, thickness)
                draw.rectangle(box, outline=ink, width=thickness)
            case 3:
                _paint_stick_figure(draw, box, (ink, thickness))
            case _:
                draw.line(_wandering(rng, (x, y), w, 12), ink, thickness, joint="curve")
    return _as_scanned(image, rng) if rng.random() < 0.3 else image


def _draw_screenshot(rng: _Rng) -> Image.Image:
    dark = rng.random() < 0.4
    width, height = _pick_size(rng)
    back: Colour = (30, 32, 38) if dark else (246, 247, 249)
    panel: Colour = (44, 47, 56) if dark else (255, 255, 255)
    ink: Colour = (215, 218, 225) if dark else (45, 48, 55)
    accent = _any_colour(rng)
    image = Image.new("RGB", (width, height), back)
    draw = ImageDraw.Draw(image)
    bar = int(rng.integers(26, 48))
    draw.rectangle([0, 0, width, bar], accent if rng.random() < 0.5 else panel)
    draw.text((12, bar * 0.25), _sentence(rng, 5), ink, _font(bar * 0.45))
    side = int(width * rng.uniform(0.12, 0.3)) if rng.random() < 0.7 else 0
    draw.rectangle([0, bar, side, height], panel)
    for y in range(bar + 14, height - 20, 28):
        if side:
            draw.text((14, y), str(rng.choice(_WORDS)), ink, _font(14))
    content = (side + 16.0, bar + 16.0, width - 16.0, height - 16.0)
    paint = (_paint_form, _paint_table, _paint_editor)[rng.integers(3)]
    paint(draw, content, (panel, ink, accent), rng)
    return image


def _draw_microscopy(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    bright_field = rng.random() < 0.5
    back = np.array([225, 205, 220] if bright_field else [4, 6, 10])
    stain = np.array(_any_colour(rng)) * (0.6 if bright_field else 1.0)
    image = Image.new("RGB", (width, height), _clipped(back))
    draw = ImageDraw.Draw(image)
    radius = rng.uniform(8, 40)
    for _ in range(int(rng.integers(20, 160))):
        x, y = rng.uniform(0, 1, 2) * image.size
        w, h = radius * rng.uniform(0.5, 1.4, 2)
        body = back + (stain - back) * rng.uniform(0.25, 0.7)
        draw.ellipse([x - w, y - h, x + w, y + h], _clipped(body))
        nucleus = back + (stain - back) * rng.uniform(0.8, 1.1)
        draw.ellipse([x - w / 3, y - h / 3, x + w / 3, y + h / 3], _clipped(nucleus))
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(1, 5)))
    return _to_image(np.asarray(blurred) + rng.normal(0, rng.uniform(1, 9), (height, width, 1)))


def _draw_digits(rng: _Rng) -> Image.Image:
    inverted = rng.random() < 0.4
    paper, ink = (_dark(rng), (240, 240, 240)) if inverted else (_any_paper(rng), _dark(rng))
    image = Image.new("RGB", _pick_size(rng), paper)
    draw = ImageDraw.Draw(image)
    rows, columns = int(rng.integers(1, 6)), int(rng.integers(1, 6))
    cell = (image.width / columns, image.height / rows)
    handwritten = rng.random() < 0.5
    size = min(cell) * rng.uniform(0.5, 0.9)
    for row in range(rows):
        for column in range(columns):
            digit = int(rng.integers(10))
            centre = ((column + 0.5) * cell[0], (row + 0.5) * cell[1])
            if handwritten:
                _write_digit(draw, digit, centre, size, ink, rng)
            else:
                draw.text(centre, str(digit), ink, _font(size), anchor="mm")
    return image


def _draw_qr_code(rng: _Rng) -> Image.Image:
    modules = 17 + 4 * int(rng.integers(1, 8))
    cells = rng.random((modules, modules)) < 0.5
    finder = np.zeros((8, 8), dtype=bool)
    finder[:7, :7] = True
    finder[1:6, 1:6] = False
    finder[2:5, 2:5] = True
    cells[:8, :8] = finder
    cells[:8, -8:] = finder[:, ::-1]
    cells[-8:, :8] = finder[::-1]
    ink = (0, 0, 0) if rng.random() < 0.7 else _dark(rng)
    paper = _any_paper(rng)
    code = Image.fromarray(np.where(cells[:, :, None], ink, paper).astype(np.uint8))
    return _put_on_sheet(code, paper, rng)


def _draw_barcode(rng: _Rng) -> Image.Image:
    widths = rng.integers(1, 5, 61)
    bars = np.repeat(np.arange(61) % 2 == 0, widths)
    paper = _any_paper(rng)
    row = np.where(bars[:, None], _dark(rng), paper).astype(np.uint8)
    height = int(len(bars) * rng.uniform(0.3, 0.7))
    code = Image.fromarray(np.broadcast_to(row, (height, *row.shape)).copy())
    image = _put_on_sheet(code, paper, rng)
    number = " ".join(str(rng.integers(10)) for _ in range(13))
    place = (image.width / 2, image.height * 0.96)
    ImageDraw.Draw(image).text(place, number, (20, 20, 20), _font(20), anchor="mm")
    return image


def _draw_pattern(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    period = rng.uniform(12, 120)
    angle = rng.uniform(0, math.pi)
    along = (x * math.cos(angle) + y * math.sin(angle)) / period
    across = (y * math.cos(angle) - x * math.sin(angle)) / period
    match rng.integers(5):
        case 0:  # stripes
            value = along % 1
        case 1:  # chessboard
            value = (np.floor(along) + np.floor(across)) % 2
        case 2:  # dots
            value = ((along % 1 - 0.5) ** 2 + (across % 1 - 0.5) ** 2 < 0.09).astype(np.float64)
        case 3:  # rings
            centre = rng.uniform(0.2, 0.8, 2)
            value = (np.hypot(x - width * centre[0], y - height * centre[1]) / period) % 1
        case _:  # interfering waves
            waves = np.sin(6.28 * along) + np.sin(6.28 * across) + np.sin(4 * along * across)
            value = (waves + 3) / 6
    if rng.random() < 0.6:
        value = np.floor(value * int(rng.integers(2, 5)) * 0.999) / 2
    first, last = np.array(_any_colour(rng)), np.array(_any_colour(rng))
    return _to_image(first + (last - first) * value[:, :, None])


def _draw_map(rng: _Rng) -> Image.Image:
    width, height = _pick_size(rng)
    image = Image.new("RGB", (width, height), (242, 239, 233))
    draw = ImageDraw.Draw(image)
    for colour in ((200, 230, 190), (170, 211, 223), (224, 223, 223), (200, 230, 190)):
        for _ in range(rng.integers(1, 4)):
            centre = rng.uniform(0, 1, 2) * image.size
            draw.polygon(_blob(rng, centre, rng.uniform(0.1, 0.35) * width), colour)
    streets = ((160, 160, 160), (255, 255, 255), 14)
    highways = ((200, 120, 60), (252, 214, 164), 4)
    for casing, fill, count in (streets, highways):
        for _ in range(count):
            road = _crossing(rng, width, height)
            thickness = int(rng.integers(3, 10))
            draw.line(road, casing, thickness + 2, joint="curve")
            draw.line(road, fill, thickness, joint="curve")
    for _ in range(rng.integers(6, 25)):
        place = rng.uniform(0.02, 0.9, 2) * image.size
        name, font = str(rng.choice(_WORDS)).title(), _font(float(rng.integers(11, 26)))
        at = (float(place[0]), float(place[1]))
        draw.text(at, name, (60, 60, 60), font, stroke_width=2, stroke_fill="white")
    return image


def _draw_sheet_music(rng: _Rng) -> Image.Image:
    image, draw = _new_sheet(rng)
    ink, gap = _dark(rng), rng.uniform(5, 12)
    left, right = image.width * 0.06, image.width * 0.94
    for top in np.arange(gap * 6, image.height - gap * 6, gap * 10).tolist():
        for line in range(5):
            draw.line([(left, top + line * gap), (right, top + line * gap)], ink, 1)
        x = left + gap * 3
        while x < right - gap * 2:
            y = top + gap * rng.integers(-1, 10) / 2
            head = (x - gap * 0.65, y - gap * 0.5, x + gap * 0.65, y + gap * 0.5)
            draw.ellipse(head, fill=ink if rng.random() < 0.7 else None, outline=ink, width=2)
            stem = -3.2 * gap if y > top + 2 * gap else 3.2 * gap
            draw.line([(x + gap * 0.6, y), (x + gap * 0.6, y + stem)], ink, 2)
            if rng.random() < 0.2:
                draw.line([(x + gap * 2, top), (x + gap * 2, top + 4 * gap)], ink, 1)
            x += gap * rng.uniform(2.5, 5)
    return _as_scanned(image, rng) if rng.random() < 0.4 else image


def _draw_heat_map(rng: _Rng) -> Image.Image:
    rows, columns = int(rng.integers(6, 80)), int(rng.integers(6, 120))
    x, y = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    waves = np.sin(rng.uniform(1, 15) * x + rng.uniform(1, 15) * y) + np.cos(rng.uniform(1, 20) * y)
    values = (waves + 2) / 4 + rng.normal(0, rng.uniform(0.02, 0.2), x.shape)
    stops = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)])
    if rng.random() < 0.5:
        stops = np.array([(0, 0, 130), (0, 130, 255), (130, 255, 120), (255, 150, 0), (130, 0, 0)])
    at = np.linspace(0, 1, 5)
    cells = _to_image(np.stack([np.interp(values, at, stops[:, c]) for c in range(3)], axis=-1))
    image, draw = _new_sheet(rng)
    left, top = int(image.width * 0.1), int(image.height * 0.1)
    side = (int(image.width * 0.82), int(image.height * 0.78))
    image.paste(cells.resize(side, Image.Resampling.NEAREST), (left, top))
    for tick in range(6):
        place = (left + side[0] * tick / 5, top + side[1] + 6)
        draw.text(place, f"{tick / 5:.1f}", (50, 50, 50), _font(14), anchor="mt")
    return image


def _draw_clip_art(rng: _Rng) -> Image.Image:
    image = Image.new("RGB", _pick_size(rng), _any_colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 14)):
        centre = rng.uniform(0.1, 0.9, 2) * image.size
        radius = float(rng.uniform(0.05, 0.3) * min(image.size))
        fill = _any_colour(rng)
        outline = (20, 20, 20) if rng.random() < 0.5 else fill
        match rng.integers(4):
            case 0:
                draw.circle((float(centre[0]), float(centre[1])), radius, fill, outline, 4)
            case 1:
                corner, opposite = centre - radius, centre + radius * rng.uniform(0.3, 1)
                box = (*corner.tolist(), *opposite.tolist())
                draw.rounded_rectangle(box, radius / 5, fill, outline, 4)
            case 2:
                draw.polygon(_blob(rng, centre, radius), fill, outline, 4)
            case _:
                angles = np.arange(10) * math.pi / 5 + rng.uniform(0, 1)
                radii = np.where(np.arange(10) % 2 == 0, radius, radius * 0.45)
                star = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] + centre
                draw.polygon([(px, py) for px, py in star.tolist()], fill, outline, 4)
    return image


_PAINTERS: dict[str, _Painter] = {
    "blank": _draw_blank,
    "gradient": _draw_gradient,
    "noise": _draw_noise,
    "pattern": _draw_pattern,
    "text_page": _draw_text_page,
    "handwriting": _draw_handwriting,
    "digits": _draw_digits,
    "chart": _draw_chart,
    "line_drawing": _draw_line_drawing,
    "screenshot": _draw_screenshot,
    "map": _draw_map,
    "microscopy": _draw_microscopy,
    "qr_code": _draw_qr_code,
    "barcode": _draw_barcode,
    "sheet_music": _draw_sheet_music,
    "heat_map": _draw_heat_map,
    "clip_art": _draw_clip_art,
}
KINDS: tuple[str, ...] = tuple(_PAINTERS)
UNTOUCHED_KINDS: tuple[str, ...] = ("sheet_music", "heat_map", "clip_art")
"""Drawn after the method was settled, so no choice was made by looking at how they fare."""


# Parts of pages, charts and screens.

Box = tuple[float, float, float, float]
_Pen = tuple[Colour, int]
_Theme = tuple[Colour, Colour, Colour]


def _write_paragraphs(
    draw: ImageDraw.ImageDraw, box: Box, size: float, ink: Colour, rng: _Rng
) -> None:
    left, y, right, bottom = box
    font = _font(size)
    while y < bottom - size:
        for _ in range(rng.integers(2, 9)):
            words: list[str] = []
            while draw.textlength(" ".join(words), font) < (right - left) * 0.9:
                words.append(str(rng.choice(_WORDS)))
            if y < bottom - size:
                draw.text((left, y), " ".join(words[:-1]), ink, font)
            y += size * 1.35
        y += size


def _scrawl_word(
    draw: ImageDraw.ImageDraw, start: Point, width: float, height: float, pen: _Pen, rng: _Rng
) -> None:
    steps = np.linspace(0, 1, max(24, int(width)))
    loops = width / height * rng.uniform(0.5, 1.0)
    tall = np.interp(steps, np.linspace(0, 1, 9), rng.uniform(0.4, 1.6, 9))
    x = start[0] + width * steps + height * 0.35 * np.sin(6.28 * loops * steps)
    y = start[1] - height * tall * (0.5 - 0.5 * np.cos(6.28 * loops * steps))
    draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), pen[0], pen[1], joint="curve")


def _paint_axes(draw: ImageDraw.ImageDraw, frame: Box, rng: _Rng) -> None:
    left, top, right, bottom = frame
    step = int(rng.choice([1, 5, 10, 25, 100]))
    for tick in range(6):
        y = bottom - (bottom - top) * tick / 5
        draw.line([(left, y), (right, y)], (220, 220, 220), 1)
        draw.text((left - 8, y), str(tick * step), (60, 60, 60), _font(14), anchor="rm")
        x = left + (right - left) * (tick + 0.5) / 6
        draw.text((x, bottom + 8), str(rng.choice(_WORDS)), (60, 60, 60), _font(14), anchor="mt")
    draw.line([(left, top), (left, bottom), (right, bottom)], (60, 60, 60), 2)


def _paint_bars(draw: ImageDraw.ImageDraw, frame: Box, colours: list[Colour], rng: _Rng) -> None:
    left, top, right, bottom = frame
    count = int(rng.integers(4, 16))
    step = (right - left) / count
    for bar in range(count):
        x, height = left + bar * step, (bottom - top) * rng.uniform(0.05, 1)
        draw.rectangle(
            [x + step * 0.15, bottom - height, x + step * 0.85, bottom],
            colours[bar % len(colours)],
        )


def _paint_lines(draw: ImageDraw.ImageDraw, frame: Box, colours: list[Colour], rng: _Rng) -> None:
    left, top, right, bottom = frame
    for colour in colours:
        values = np.cumsum(rng.normal(0, 1, 30))
        values = (values - values.min()) / np.ptp(values)
        x, y = np.linspace(left, right, 30), bottom - (bottom - top) * values
        draw.line(list(zip(x.tolist(), y.tolist(), strict=True)), colour, 3, joint="curve")


def _paint_pie(draw: ImageDraw.ImageDraw, frame: Box, colours: list[Colour], rng: _Rng) -> None:
    radius = min(frame[2] - frame[0], frame[3] - frame[1]) / 2
    x, y = (frame[0] + frame[2]) / 2, (frame[1] + frame[3]) / 2
    edges = np.cumsum(rng.dirichlet(np.full(len(colours) + 2, 2.0))) * 360
    for start, end in zip([0.0, *edges[:-1]], edges, strict=True):
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.pieslice(box, start, end, _any_colour(rng), outline="white", width=2)


def _paint_scatter(draw: ImageDraw.ImageDraw, frame: Box, colours: list[Colour], rng: _Rng) -> None:
    left, top, right, bottom = frame
    for colour in colours:
        centre, spread = rng.uniform(0.3, 0.7, 2), rng.uniform(0.03, 0.15)
        for dx, dy in np.clip(rng.normal(centre, spread, (60, 2)), 0, 1):
            x, y = left + dx * (right - left), top + dy * (bottom - top)
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], colour)


def _paint_form(draw: ImageDraw.ImageDraw, box: Box, theme: _Theme, rng: _Rng) -> None:
    panel, ink, accent = theme
    left, y, right, bottom = box
    while y < bottom - 50:
        draw.text((left, y), _sentence(rng, 2), ink, _font(15))
        wide = left + (right - left) * rng.uniform(0.4, 1)
        draw.rounded_rectangle([left, y + 20, wide, y + 46], 5, panel, outline=(150, 155, 165))
        draw.text((left + 8, y + 25), _sentence(rng, 2), (130, 135, 145), _font(14))
        y += 62
    draw.rounded_rectangle([left, bottom - 34, left + 110, bottom], 6, accent)
    draw.text((left + 55, bottom - 17), "Save", "white", _font(16), anchor="mm")


def _paint_table(draw: ImageDraw.ImageDraw, box: Box, theme: _Theme, rng: _Rng) -> None:
    panel, ink, accent = theme
    left, top, right, bottom = box
    columns, height = int(rng.integers(3, 8)), int(rng.integers(20, 34))
    step = (right - left) / columns
    for row, y in enumerate(np.arange(top, bottom - height, height).tolist()):
        for column in range(columns):
            x = left + column * step
            fill = accent if row == 0 else panel
            draw.rectangle([x, y, x + step, y + height], fill, outline=(170, 175, 185))
            words = str(rng.choice(_WORDS)) if rng.random() < 0.5 else str(rng.integers(10_000))
            draw.text((x + 6, y + height * 0.2), words, ink, _font(height * 0.5))


def _paint_editor(draw: ImageDraw.ImageDraw, box: Box, theme: _Theme, rng: _Rng) -> None:
    left, top, right, bottom = box
    draw.rectangle(box, theme[0])
    size = int(rng.integers(12, 19))
    inks = [theme[1], theme[2], _any_colour(rng), (120, 150, 120)]
    indent = 0
    for number, y in enumerate(np.arange(top + 6, bottom - size, size * 1.4).tolist()):
        draw.text((left + 6, y), str(number + 1), (130, 135, 140), _font(size))
        indent = int(np.clip(indent + rng.integers(-1, 2), 0, 4))
        x = left + 44 + indent * size * 1.5
        for _ in range(rng.integers(0, 7)):
            word = str(rng.choice(_WORDS)) + str(rng.choice(["", "()", " =", ":", ",", "."]))
            if x + draw.textlength(word, _font(size)) > right:
                break
            draw.text((x, y), word, inks[rng.integers(4)], _font(size))
            x += draw.textlength(word + " ", _font(size))


def _paint_stick_figure(draw: ImageDraw.ImageDraw, box: Box, pen: _Pen) -> None:
    left, top, right, bottom = box
    middle, height = (left + right) / 2, bottom - top
    head = height * 0.15
    neck, hip = top + 2 * head, top + height * 0.65
    draw.ellipse([middle - head, top, middle + head, neck], outline=pen[0], width=pen[1])
    for line in (
        [(middle, neck), (middle, hip)],
        [(left, neck + head), (middle, neck + head / 2), (right, neck + head)],
        [(left, bottom), (middle, hip), (right, bottom)],
    ):
        draw.line(line, *pen)


# On a grid 2 wide and 4 high, the pen's way through each digit.
_DIGIT_STROKES: tuple[tuple[tuple[int, int], ...], ...] = (
    ((1, 0), (0, 1), (0, 3), (1, 4), (2, 3), (2, 1), (1, 0)),
    ((0, 1), (1, 0), (1, 4)),
    ((0, 1), (1, 0), (2, 1), (0, 4), (2, 4)),
    ((0, 0), (2, 1), (1, 2), (2, 3), (0, 4)),
    ((1, 0), (0, 2), (2, 2), (2, 1), (2, 4)),
    ((2, 0), (0, 0), (0, 2), (2, 2), (2, 4), (0, 4)),
    ((2, 0), (0, 2), (0, 4), (2, 4), (2, 2), (0, 3)),
    ((0, 0), (2, 0), (1, 4)),
    ((2, 1), (1, 0), (0, 1), (2, 3), (1, 4), (0, 3), (2, 1)),
    ((2, 1), (1, 0), (0, 1), (1, 2), (2, 1), (2, 4)),
)


def _write_digit(
    draw: ImageDraw.ImageDraw, digit: int, centre: Point, size: float, ink: Colour, rng: _Rng
) -> None:
    strokes = np.array(_DIGIT_STROKES[digit], dtype=np.float64) - (1, 2)
    strokes += rng.normal(0, 0.12, strokes.shape)
    for _ in range(3):  # Chaikin's corner cutting makes a pen's curve of the corners
        inner = np.empty((2 * len(strokes) - 2, 2))
        inner[0::2] = 0.75 * strokes[:-1] + 0.25 * strokes[1:]
        inner[1::2] = 0.25 * strokes[:-1] + 0.75 * strokes[1:]
        strokes = np.vstack([strokes[:1], inner, strokes[-1:]])
    points = strokes * size / 4 + centre
    thickness = max(2, int(size * rng.uniform(0.06, 0.12)))
    draw.line([tuple(point) for point in points.tolist()], ink, thickness, joint="curve")


def _put_on_sheet(code: Image.Image, paper: Colour, rng: _Rng) -> Image.Image:
    sheet = Image.new("RGB", _pick_size(rng), paper)
    room = min(sheet.width / code.width, sheet.height / code.height) * rng.uniform(0.5, 0.9)
    side = (int(code.width * room), int(code.height * room))
    large = code.resize(side, Image.Resampling.NEAREST)
    sheet.paste(large, ((sheet.width - side[0]) // 2, (sheet.height - side[1]) // 2))
    return _as_scanned(sheet, rng) if rng.random() < 0.4 else sheet


# Chance, colours, and what a scanner or a phone does to a sheet.


def _pick_size(rng: _Rng) -> tuple[int, int]:
    return _SIZES[rng.integers(len(_SIZES))]


def _any_colour(rng: _Rng) -> Colour:
    return _clipped(rng.integers(0, 256, 3))


def _any_paper(rng: _Rng) -> Colour:
    return _PAPERS[rng.integers(len(_PAPERS))]


def _dark(rng: _Rng) -> Colour:
    return _clipped(rng.integers(0, 90, 3))


def _clipped(colour: npt.ArrayLike) -> Colour:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return (red, green, blue)


def _new_sheet(rng: _Rng) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", _pick_size(rng), _any_paper(rng))
    return image, ImageDraw.Draw(image)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _sentence(rng: _Rng, words: int) -> str:
    return " ".join(rng.choice(_WORDS, words).tolist()).capitalize()


def _wandering(rng: _Rng, start: Point, length: float, steps: int) -> list[Point]:
    turns = np.cumsum(rng.normal(0, 0.7, steps)) + rng.uniform(0, 2 * math.pi)
    moves = np.stack([np.cos(turns), np.sin(turns)], axis=1) * length / steps * 3
    return [(x, y) for x, y in (np.cumsum(moves, axis=0) + np.array(start)).tolist()]


def _crossing(rng: _Rng, width: int, height: int) -> list[Point]:
    steps = np.linspace(-0.05, 1.05, 8)
    bend = np.cumsum(rng.normal(0, 0.04, 8)) + rng.uniform(0, 1)
    along, across = (steps, bend) if rng.random() < 0.5 else (bend, steps)
    return list(zip((along * width).tolist(), (across * height).tolist(), strict=True))


def _blob(rng: _Rng, centre: npt.NDArray[np.float64], radius: float) -> list[Point]:
    angles = np.linspace(0, 2 * math.pi, 14)[:-1]
    radii = radius * rng.uniform(0.5, 1.2, 13)
    points = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1) + centre
    return [(x, y) for x, y in points.tolist()]


def _as_scanned(image: Image.Image, rng: _Rng) -> Image.Image:
    paper = image.getpixel((0, 0))
    turned = image.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=paper)
    light = np.linspace(rng.uniform(0.75, 1), rng.uniform(0.75, 1), image.width)[None, :, None]
    grain = rng.normal(0, rng.uniform(0.5, 5), (image.height, image.width, 1))
    return _to_image(np.asarray(turned) * light + grain)


def _through_jpeg(image: Image.Image, rng: _Rng) -> Image.Image:
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=int(rng.integers(35, 95)))
    return Image.open(encoded).convert("RGB")


def _to_image(values: npt.NDArray[np.float64]) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))

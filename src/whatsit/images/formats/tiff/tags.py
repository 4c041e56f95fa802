"""The tags of a TIFF directory, and the values of some of them, by number."""

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS = 254, 256, 257, 258, 259, 262
STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_SIZES = 273, 274, 277, 278, 279
FILL_ORDER, PLANAR, PREDICTOR = 266, 284, 317
COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_SIZES = 320, 322, 323, 324, 325
BRANCHES, EXTRA, FORMAT, PREVIEW, PREVIEW_SIZE, SUBSAMPLING = 330, 338, 339, 513, 514, 530
XMP, DNG_VERSION = 700, 50706
_OLD_SUBFILE, _LEAST_VALUE, _MOST_VALUE = 255, 280, 281
_FAX_OPTIONS, _INK_SET, _JPEG_TABLES = 292, 332, 347
_YCBCR_WEIGHTS, _YCBCR_POSITIONS, _BLACK_AND_WHITE = 529, 531, 532
_FAX_OPTIONS_4 = 293

STRIP_TAGS = frozenset({STRIPS, STRIP_SIZES, TILES, TILE_SIZES})
"""Where the pixels lie; there are as many values as strips or tiles."""
LAYOUT_TAGS = frozenset({WIDTH, HEIGHT, COMPRESSION, FILL_ORDER, ROWS, TILE_WIDTH, TILE_HEIGHT})
"""Entries that a plane has in common with the picture."""
PICTURE_TAGS = (
    STRIP_TAGS
    | LAYOUT_TAGS
    | {
        SUBFILE,
        _OLD_SUBFILE,
        BITS,
        COLOURS,
        SAMPLES,
        _LEAST_VALUE,
        _MOST_VALUE,
        PLANAR,
        _FAX_OPTIONS,
        _FAX_OPTIONS_4,
        PREDICTOR,
        COLOUR_MAP,
        _INK_SET,
        EXTRA,
        FORMAT,
        _JPEG_TABLES,
        _YCBCR_WEIGHTS,
        SUBSAMPLING,
        _YCBCR_POSITIONS,
        _BLACK_AND_WHITE,
    }
)
"""Entries that a decoder needs."""
NUMBER_TAGS = PICTURE_TAGS | {ORIENTATION, BRANCHES, PREVIEW, PREVIEW_SIZE}
"""Entries that are read as numbers."""

IS_REDUCED, IS_MASK = 1, 4
"""Bits of `SUBFILE`."""
PLAIN, OLD_JPEG, JPEG = 1, 6, 7
"""Values of `COMPRESSION`."""
PALETTE, MASK, YCBCR, LAB, FILTER_ARRAY, LINEAR_RAW = 3, 4, 6, 8, 32803, 34892
"""Values of `COLOURS`, besides those of `whatsit.images.formats.tiff.samples`."""

"""The kind of a file, recognised by how it begins.

Files of other programs, which people send although whatsit does not read them, are recognised too,
so that the error names the kind of file.
"""

from whatsit.errors import ImageUnreadable, ImageUnsupported, InputError
from whatsit.images.formats.base import Kind

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())

_RAW = "a raw photograph of a camera"
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x02\x00\x01\x00", "a Windows cursor"),
    (b"icns", "a macOS icon"),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
    (b"FLV\x01", "a Flash video"),
    (b"OggS", "an Ogg video or sound"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media video or sound"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  \x0d\x0a\x87\x0a", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"WMPHOTO\x00", "a JPEG XR picture"),
    (b"BPG\xfb", "a BPG picture"),
    (b"FLIF", "a FLIF picture"),
    (b"qoif", "a QOI picture"),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"#?RGBE", "a Radiance HDR picture"),
    (b"DDS ", "a DirectDraw surface"),
    (b"\xabKTX ", "a KTX texture"),
    (b"SIMPLE  =", "a FITS picture"),
    (b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
    (b"\x8bJNG\r\n\x1a\n", "a JNG picture"),
    (b"AT&TFORM", "a DjVu document"),
    (b"FORM", "an IFF file"),
    (b"BA", "an OS/2 bitmap array"),
    (b"\x59\xa6\x6a\x95", "a Sun raster picture"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"/* XPM */", "an XPM picture"),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\x00", _RAW),
    (b"II\x1a\x00\x00\x00HEAPCCDR", _RAW),
    (b"FOVb", _RAW),
    (b"\x00MRM", _RAW),
    (b"P1", "a portable bitmap"),
    (b"P2", "a portable greymap"),
    (b"P3", "a portable pixmap"),
    (b"P4", "a portable bitmap"),
    (b"P5", "a portable greymap"),
    (b"P6", "a portable pixmap"),
    (b"P7", "a portable any map"),
    (b"PF\n", "a portable float map"),
    (b"Pf\n", "a portable float map"),
)
_NEEDS_A_SPACE = frozenset({b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7"})
_INSIDE: tuple[tuple[int, bytes, str], ...] = (
    (8, b"AVI LIST", "an AVI video"),
    (8, b"WAVEfmt ", "a sound file"),
    (40, b" EMF", "a Windows metafile"),
    (128, b"DICM", "a DICOM picture"),
)
_BRANDS = {
    b"crx ": _RAW,
    b"jxl ": "a JPEG XL picture",
    b"jp2 ": "a JPEG 2000 picture",
    b"jpx ": "a JPEG 2000 picture",
    b"avci": "a HEIF picture coded as H.264",
    b"vvic": "a HEIF picture coded as H.266",
    b"j2ki": "a HEIF picture coded as JPEG 2000",
    b"qt  ": "a QuickTime video",
    b"M4A ": "a sound file",
}


def sniff_kind(head: bytes) -> Kind:
    """Recognise the formats that whatsit reads; empty for any other file."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM"):
        return "BMP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        length = min(int.from_bytes(head[:4], "big"), 256)
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
        if head[8:12] in _AVIF_BRANDS or (head[8:12] in _HEIF_BRANDS and _AVIF_BRANDS & brands):
            return "AVIF"
        return "HEIF" if head[8:12] in _HEIF_BRANDS else ""
    return ""


def refusal(image_bytes: bytes) -> InputError:
    """The error for a file of a kind that whatsit does not read; it names the kind."""
    head = image_bytes[:1024]
    for magic, kind in _STARTS:
        if head.startswith(magic) and (magic not in _NEEDS_A_SPACE or head[2:3].isspace()):
            return ImageUnsupported(kind)
    for at, magic, kind in _INSIDE:
        if head.startswith(magic, at):
            return ImageUnsupported(kind)
    if head[4:8] == b"ftyp":
        unusual = "a video or a picture in an unusual container"
        return ImageUnsupported(_BRANDS.get(head[8:12], unusual))
    if head[4:8] in (b"moov", b"mdat", b"wide"):
        return ImageUnsupported("a QuickTime video")
    if b"<svg" in head.lower():
        return ImageUnsupported("an SVG drawing")
    return ImageUnreadable(
        "This is not a picture in a known format. "
        "Send a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF file."
    )

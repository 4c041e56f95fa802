"""Untrusted text, made safe for terminals, tables and spreadsheets."""

import re

_CONTROLS = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
CONTROL = re.compile(f"[{_CONTROLS}]")
"""Control characters, line ends of all kinds, marks that reorder text, and bytes that are not
UTF-8, which Python keeps as surrogates."""
UNSAFE = re.compile(rf"[\\{_CONTROLS}]")
"""Those, and the backslash, which they are escaped with."""

_SHORT = {"\\": r"\\", "\n": r"\n", "\r": r"\r", "\t": r"\t"}
_FORMULA_STARTS = tuple("=+-@＝＋－＠'")  # noqa: RUF001 - some spreadsheets take the wide ones too


def make_printable(text: str) -> str:
    r"""Text on one line that harms no terminal: control characters stand as ``\x1b`` and the like.

    Example:
        >>> make_printable("an owl\x1b[31m")
        'an owl\\x1b[31m'
    """
    return CONTROL.sub(escape, text)


def make_printable_json(document: str) -> str:
    """A JSON document that harms no terminal, and means the same to a program.

    Such characters stand in texts only, where JSON may write any of them by its number.
    """
    return CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", document)


def escape(found: re.Match[str]) -> str:
    """A character that `UNSAFE` has found, as it stands in source code."""
    character = found[0]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    # From 0x80 on, a character has four digits; a byte has two.
    return _SHORT.get(character) or (f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}")


def disarm(cell: str) -> str:
    """A cell that no spreadsheet takes as a formula: such text gets an apostrophe before it.

    So does text that begins with one; `arm` undoes both.
    """
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def arm(cell: str) -> str:
    """The text that `disarm` was given."""
    return cell.removeprefix("'")

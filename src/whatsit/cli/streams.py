"""Standard output and error that neither stop the work nor leave a traceback."""

import codecs
import errno
import os
import sys
from typing import Any, NoReturn, TextIO

from whatsit.errors import SettingsError

_PLAIN = {
    **dict.fromkeys("\u2588\u2501", "#"),  # bars
    **dict.fromkeys("\u2578\u257a\u2500\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a", "'"),
    **dict.fromkeys("\u201c\u201d\u201e", '"'),
    **dict.fromkeys("\xa0\u202f", " "),
    **{"\u2026": "...", "\u2022": "*", "\xd7": "x", "\u2192": "->"},
}
"""Replacements for signs that a terminal can't show."""
_HANDLER = "whatsit-plain"


def open_standard_streams() -> None:
    r"""Prepare standard output and error for everything that commands write to them.

    Characters that the terminal's encoding lacks become plain ones (``#`` for a bar), or escapes
    such as ``\u718a`` where there are none. A failed write to standard output, because it is
    closed, full or no longer read, raises `SettingsError`; a failed write to standard error is
    ignored.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # Or the next file that is opened would take its place, a database for example.
            if os.open(os.devnull, os.O_RDWR) != descriptor:
                raise
    codecs.register_error(_HANDLER, _write_plainly)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        # UTF-8 has all letters, and writing it is quicker with the handlers that Python knows.
        if reconfigure is not None:
            has_all_letters = codecs.lookup(stream.encoding).name == "utf-8"
            reconfigure(errors="backslashreplace" if has_all_letters else _HANDLER)
    sys.stdout, sys.stderr = _Output(sys.stdout), _Messages(sys.stderr)


def _write_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = [
        _PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in missing
    ]
    return "".join(plain), error.end


class _Stream:
    """Hands everything on to a text stream; None stands for one that was closed from the start."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:
        """That of the stream, but another one for ASCII, because click writes UTF-8 over that."""
        encoding = getattr(self._stream, "encoding", None) or "ascii"
        return "latin-1" if codecs.lookup(encoding).name == "ascii" else encoding

    def isatty(self) -> bool:
        """True if a person reads it."""
        return self._stream is not None and self._stream.isatty()


class _Output(_Stream):
    """Standard output."""

    def write(self, text: str) -> int:
        """See `TextIO.write`.

        Raises:
            SettingsError: It is closed, full or no longer read.
        """
        if text == "":
            return 0  # click writes it to see what kind of stream this is, and ignores errors
        try:
            return self._require_open().write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """See `TextIO.flush`; raises as `write` does."""
        if self._stream is None:
            return  # nothing was written
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def fileno(self) -> int:
        """The descriptor; raises as `write` does."""
        return self._require_open().fileno()

    def _require_open(self) -> TextIO:
        if self._stream is None:
            raise SettingsError("Standard output is closed.")
        return self._stream

    def _give_up(self, error: OSError) -> NoReturn:
        # Python would write the rest of the buffer again at the end, and report the failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if error.errno == errno.EPIPE:
            raise SettingsError("The reader of standard output has closed it.") from error
        raise SettingsError(f"Standard output can't be written: {error.strerror}.") from error


class _Messages(_Stream):
    """Standard error. A failed write is ignored, and stops nothing."""

    def write(self, text: str) -> int:
        """See `TextIO.write`; never fails."""
        if self._stream is not None:
            try:  # noqa: SIM105 - quicker than `suppress`; a line is written for each request
                self._stream.write(text)
            except OSError:
                pass
        return len(text)

    def flush(self) -> None:
        """See `TextIO.flush`; never fails."""
        if self._stream is not None:
            try:  # noqa: SIM105
                self._stream.flush()
            except OSError:
                pass

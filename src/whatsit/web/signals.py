"""The signals that end a serving process in order, or make it look at its settings again."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

END_SECONDS = 4.5
"""From the signal to the end, however many clients stay connected."""

_LATE_STATUS = 1
_INTERRUPTED_STATUS = 130


class Ending:
    """Ends the process at the signals for that; made in the main thread, before anything is open.

    SIGTERM and SIGINT raise `SystemExit`. SIGHUP, which a closed terminal sends, does what SIGTERM
    does, unless it was ignored before (``nohup``). Everything open is closed on the way out, and
    later signals do not disturb that. After `END_SECONDS` the process ends wherever it is.

    Attributes:
        has_begun: True if the process is about to end.
        is_closed: True once everything is closed, so that Python alone still has to end;
            set by the code that opened it.
    """

    def __init__(self) -> None:
        self.has_begun = False
        self.is_closed = False
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, _end_as_told)

    def begin(self) -> None:
        """Say that the process is about to end. Saying it again changes nothing."""
        if self.has_begun:
            return
        self.has_begun = True
        last = threading.Timer(END_SECONDS, self._end_now)
        last.daemon = True
        last.start()

    def _end_now(self) -> None:
        os._exit(0 if self.is_closed else _LATE_STATUS)

    def _end(self, number: int, frame: FrameType | None) -> None:
        # The web server, which has handlers of its own meanwhile, raises the signal that stopped
        # it again when it is done. By default the process would end right there, and leave
        # the embedded cache behind.
        if self.has_begun:
            return
        self.begin()
        sys.exit(_INTERRUPTED_STATUS if number == signal.SIGINT else 0)


def _end_as_told(number: int, frame: FrameType | None) -> None:
    # Through the web server's own handler while it runs.
    signal.raise_signal(signal.SIGTERM)


def at_hangup(look: Callable[[], None]) -> None:
    """Call `look` at the signal that asks a service to look at its settings again (SIGHUP).

    A terminal that is closed sends it as well; then the process ends in order.
    """
    if sys.platform == "win32":
        return
    had_terminal = os.isatty(0)

    def handle(number: int, frame: FrameType | None) -> None:
        if had_terminal and not os.isatty(0):
            signal.raise_signal(signal.SIGTERM)
        else:
            look()

    signal.signal(signal.SIGHUP, handle)

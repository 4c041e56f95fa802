"""Log lines of refusals: the first few of each caller, then how many more there were."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field

from starlette.types import Scope

from whatsit.telemetry.logs import RequestLog
from whatsit.telemetry.request import FinishedRequest
from whatsit.web.caller import caller_of

MAX_LINES = 20
"""For the refusals of one caller in a minute."""
_MINUTE_SECONDS = 60.0
_MAX_CALLERS = 100
"""Counted one by one in a minute; all others count as one."""
_OTHERS = "others"

_log = logging.getLogger("whatsit.requests")


@dataclass(slots=True)
class _Minute:
    lines: int = 0
    last_id: str = ""
    more: Counter[str] = field(default_factory=Counter)


class RefusalLog:
    """Writes a line for each refused request, until its caller has had enough of them.

    The rest of a minute is summed up in one line. At the level ``debug`` every line is written.
    Used in one event loop only; no line names the caller.
    """

    def __init__(self, log: RequestLog) -> None:
        self._log = log
        self._minutes: dict[str, _Minute] = {}

    def write(self, scope: Scope, request: FinishedRequest) -> None:
        """Write the line of a refused request, or count it."""
        if _log.isEnabledFor(logging.DEBUG):
            self._log.write(request)
            return
        caller = caller_of(scope)
        if caller not in self._minutes and len(self._minutes) >= _MAX_CALLERS:
            caller = _OTHERS
        minute = self._minutes.get(caller)
        if minute is None:
            minute = self._minutes[caller] = _Minute()
            asyncio.get_running_loop().call_later(_MINUTE_SECONDS, self._sum_up, caller)
        if minute.lines < MAX_LINES:
            minute.lines += 1
            minute.last_id = request.request_id
            self._log.write(request)
        else:
            minute.more[request.code or str(request.status)] += 1

    def _sum_up(self, caller: str) -> None:
        minute = self._minutes.pop(caller)
        if minute.more:
            codes = ",".join(f"{code}:{count}" for code, count in minute.more.most_common())
            _log.info(
                "%d more like this within a minute",
                minute.more.total(),
                extra={"like": minute.last_id, "codes": codes},
            )

"""No more requests than one caller may send."""

import logging
import time
from collections.abc import Callable

from starlette.types import Scope

from whatsit.access.rate_counters import Counters, ProcessCounters, Tally, Window
from whatsit.access.rates import Rate
from whatsit.errors import CacheError, RateLimited
from whatsit.web.caller import caller_of

_log = logging.getLogger(__name__)


class RateRule:
    """Refuses what exceeds the rate of its key, or else of its address.

    The rate holds for every stretch of time, not only for whole minutes: the window before counts
    by the share of it that such a stretch would still cover. This process counts for itself all
    the time, so that a caller gets no second allowance where the shared counters begin to fail.

    Args:
        rate: The rate of one caller.
        shared: Counters of all processes; None where this is the only one.
        is_counted: Which paths count.
        clock: Seconds since the epoch; processes of one rate agree on it.
    """

    def __init__(
        self,
        rate: Rate,
        shared: Counters | None,
        is_counted: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rate = rate
        self._shared = shared
        self._own = ProcessCounters()
        self._is_counted = is_counted
        self._clock = clock
        self._is_alone = False

    async def refusal(self, scope: Scope) -> RateLimited | None:
        """See `Rule.refusal`. Counts the request where it is not refused."""
        if not self._is_counted(scope["path"]):
            return None
        passed, elapsed = divmod(self._clock(), self._rate.seconds)
        window = Window(
            int(passed), self._rate.seconds, elapsed / self._rate.seconds, self._rate.count
        )
        caller = caller_of(scope)
        tally = self._own.tally(caller, window)
        if window.has_room(tally.current, tally.previous):
            # Only what all processes let in counts here too.
            tally = await self._count_together(caller, window) or tally
            if window.has_room(tally.current, tally.previous):
                tally = self._own.add(caller, window)
        if window.has_room(tally.current, tally.previous):
            return None
        return RateLimited(str(self._rate), seconds_until_room(window, tally))

    async def _count_together(self, caller: str, window: Window) -> Tally | None:
        if self._shared is None:
            return None
        try:
            tally = await self._shared.count(caller, window)
        except CacheError as error:
            if not self._is_alone:
                _log.warning("%s This process counts the requests alone.", error)
            self._is_alone = True
            return None
        self._is_alone = False
        return tally


def seconds_until_room(window: Window, tally: Tally) -> float:
    """How long a full window stays full for a caller who sends nothing meanwhile."""
    if tally.current < window.limit:
        free_at = 1 - (window.limit - tally.current - 1) / tally.previous
    else:
        free_at = 2 - (window.limit - 1) / tally.current
    return (free_at - window.elapsed_ratio) * window.seconds

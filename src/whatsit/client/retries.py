"""Retries: how many, and after which pauses."""

import random
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

PASSING_STATUSES = frozenset({429, 502, 503, 504})
"""A retry after these may help, and the first request has changed nothing."""

DEFAULT_MAX_RETRIES = 4
DEFAULT_MAX_WAIT_SECONDS = 60.0

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a request is sent again, and how long all its pauses may take together.

    Attributes:
        max_retries: How many times it is sent again at most; 0 for never.
        max_wait_seconds: Sum of all pauses of one request.
    """

    max_retries: int = DEFAULT_MAX_RETRIES
    max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS


@dataclass(slots=True)
class Attempts:
    """The attempts of one request.

    Attributes:
        policy: The limits.
        dice: Numbers from 0 to 1, so that clients that failed together do not return together.
    """

    policy: RetryPolicy
    dice: Callable[[], float] = random.random
    _retries: int = field(default=0, init=False)
    _waited_seconds: float = field(default=0.0, init=False)

    def next_pause(self, asked_seconds: float | None = None) -> float | None:
        """How long to wait before the next attempt, seconds; None to give up now.

        Each pause is about twice as long as the one before it, and never shorter than the server
        asks for. If the policy does not allow that much, it gives up.

        Args:
            asked_seconds: The server's ``Retry-After``.

        Example:
            >>> attempts = Attempts(RetryPolicy(3, max_wait_seconds=60), dice=lambda: 1.0)
            >>> attempts.next_pause(), attempts.next_pause(5.0), attempts.next_pause()
            (0.25, 5.5, 1.0)
            >>> attempts.next_pause() is None
            True
        """
        if self._retries >= self.policy.max_retries:
            return None
        longest: float = min(_FIRST_PAUSE_SECONDS * 2**self._retries, _LONGEST_PAUSE_SECONDS)
        if asked_seconds is None:
            pause = longest * (1 + self.dice()) / 2
        else:
            pause = asked_seconds + longest * self.dice()
        least = asked_seconds or 0.0
        left_seconds = self.policy.max_wait_seconds - self._waited_seconds
        if left_seconds <= 0 or least > left_seconds:
            return None
        pause = min(pause, left_seconds)
        self._retries += 1
        self._waited_seconds += pause
        return pause


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """How long a ``Retry-After`` asks to wait, seconds; None where it says nothing.

    Args:
        value: Seconds, or a date of HTTP.
        now: The time to compare a date with: the server's own where the response has it.

    Example:
        >>> parse_retry_after("3", datetime.now(UTC))
        3.0
        >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
        >>> parse_retry_after("Fri, 01 May 2026 12:00:30 GMT", noon)
        30.0
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    moment = _parse_date(value)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def asked_pause(response: httpx.Response) -> float | None:
    """How long a response asks to wait, seconds, by the clock of its server."""
    now = _parse_date(response.headers.get("Date", "")) or datetime.now(UTC)
    return parse_retry_after(response.headers.get("Retry-After"), now)


def is_passing(error: httpx.RequestError) -> bool:
    """True if a request without an answer may find one a moment later.

    A time-out does not count: the server may still be at work.
    """
    broken = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout)
    lasting = (ssl.SSLError, socket.gaierror)
    return isinstance(error, broken) and not any(
        isinstance(cause, lasting) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _parse_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

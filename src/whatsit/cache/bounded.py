"""Bound the answers read from Redis by the longest one that whatsit can expect."""

from typing import Any

import redis
from redis.asyncio.connection import DefaultParser as AsyncDefaultParser
from redis.connection import DefaultParser

MAX_ANSWER_BYTES = 262_144
"""The longest entry has an eighth of it; the rest is for the keys of one step of a walk."""


class AnswerTooLong(redis.RedisError):
    """An answer exceeds the bound; its rest is not read, and the connection is closed."""

    def __init__(self) -> None:
        super().__init__(f"An answer has more than {MAX_ANSWER_BYTES} bytes.")


class BoundedParser(DefaultParser):  # type: ignore[misc,valid-type]  # chosen by redis-py
    """The parser of redis-py, which would take an answer of any length into memory."""

    def read_from_socket(self, *args: Any, **options: Any) -> Any:
        """See the class above. Holds at most one piece of 64 kB more than the bound.

        Raises:
            AnswerTooLong: The part of an answer that has arrived is beyond the bound.
        """
        arrived = super().read_from_socket(*args, **options)
        _require_short(self._reader)
        return arrived


class AsyncBoundedParser(AsyncDefaultParser):  # type: ignore[misc,valid-type]
    """The same for connections of an event loop."""

    async def read_from_socket(self) -> Any:
        """See `BoundedParser.read_from_socket`."""
        arrived = await super().read_from_socket()
        _require_short(self._reader)
        return arrived


def _require_short(reader: Any) -> None:
    if reader is not None and reader.len() > MAX_ANSWER_BYTES:
        raise AnswerTooLong

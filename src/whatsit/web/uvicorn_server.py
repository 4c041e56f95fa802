"""uvicorn on our socket: it reports when it answers, and stops in order and in time."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from whatsit.web.memory import spare_what_stays
from whatsit.web.signals import Ending

_CLOSING_SECONDS = 1.0
"""A page's connection has nothing left to be sent once it was closed."""
_GRACE_SECONDS = 3.0
"""Accepted requests are answered by then, at the speed that decides on acceptance."""


class UvicornServer(uvicorn.Server):
    """Reports when it answers, and waits only so long for clients that keep it from stopping.

    A second signal stops the waiting.

    Args:
        application: Answers the requests.
        protocols: See `protocol_options`.
        ending: Limits the time from the first signal to the end of the process.
        on_ready: Called once, as soon as requests are answered.
    """

    def __init__(
        self,
        application: ASGIApp,
        protocols: Mapping[str, Any],
        ending: Ending,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                loop="uvloop",
                **protocols,
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,  # by itself it would believe anything on this machine
                date_header=False,
                timeout_graceful_shutdown=int(_GRACE_SECONDS) + 1,
            )
        )
        self._ending = ending
        self._on_ready = on_ready
        self._is_pressed = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the application and listen."""
        await super().startup(sockets)
        spare_what_stays()
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop at the first signal; stop waiting for clients at the second."""
        if self._ending.has_begun:
            self._is_pressed.set()
            return
        self._ending.begin()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was accepted; cut off the clients that are left after that."""
        hanging_up = asyncio.create_task(self._hang_up())
        await super().shutdown(sockets)
        hanging_up.cancel()

    async def _hang_up(self) -> None:
        # To its application, each connection then looks as if its client had left.
        await self._wait(_CLOSING_SECONDS)
        self._abort(lambda connection: not hasattr(connection, "cycle"))  # WebSockets
        await self._wait(_GRACE_SECONDS - _CLOSING_SECONDS)
        self._abort(lambda connection: True)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_pressed.wait(), seconds)

    def _abort(self, is_meant: Callable[[object], bool]) -> None:
        for connection in filter(is_meant, list(self.server_state.connections)):
            connection.transport.abort()

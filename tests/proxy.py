"""A Redis that is far away: a proxy that holds every answer back for a while."""

import socket
import threading
import time
from types import TracebackType
from typing import Self


class SlowProxy:
    """Passes connections on to a port of this machine.

    Args:
        port: Where the real server listens.
        delay_seconds: How long everything that it says is held back.
    """

    def __init__(self, port: int, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self._open: list[socket.socket] = [self._listener]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._open += [client, server]
            for source, sink, is_answer in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._pass_on,
                    args=(source, sink),
                    kwargs={"is_answer": is_answer},
                    daemon=True,
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, *, is_answer: bool) -> None:
        try:
            while data := source.recv(65536):
                if is_answer:
                    time.sleep(self.delay_seconds)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            sink.close()

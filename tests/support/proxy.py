"""A proxy before a Redis: far away, or speaking TLS."""

import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Self


class Proxy:
    """Passes connections on to a port of this machine.

    Args:
        port: Where the real server listens.
        delay_seconds: How long everything that it says is held back.
        tls: Spoken with the client where given.
    """

    def __init__(
        self, port: int, delay_seconds: float = 0.0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.delay_seconds = delay_seconds
        self._tls = tls
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
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
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        self._open += [client, server]
        to_server = threading.Thread(target=self._pass_on, args=(client, server, 0.0), daemon=True)
        to_server.start()
        self._pass_on(server, client, None)

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, delay_seconds: float | None
    ) -> None:
        try:
            while data := source.recv(65536):
                time.sleep(self.delay_seconds if delay_seconds is None else delay_seconds)
                sink.sendall(data)
        except OSError:
            pass
        finally:
            sink.close()

"""Bodies that are sent to keep the memory for bodies full, and what others notice of it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.hostile.requests import CLASSIFY
from tests.hostile.test_hostile import MB, Memory
from tests.support.running import RunningServer
from tests.support.waiting import wait_until
from whatsit.testing import plain_picture

ALLOWED_BYTES = 100 * MB
SIZE = 20 * MB
_HEAD = f"POST {CLASSIFY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {SIZE}\r\n\r\n"
_ALL_BUT_THE_END = _HEAD.encode() + bytes(SIZE - 100)


@contextmanager
def flooded(server: RunningServer, hosts: list[str]) -> Iterator[None]:
    """Bodies of these addresses that stop before their end, each sent again when it is refused."""
    url = httpx.URL(server.url)
    ended = threading.Event()
    lines: set[socket.socket] = set()

    def flood(host: str) -> None:
        while not ended.is_set():
            try:
                with socket.create_connection((url.host, url.port), 30, (host, 0)) as line:
                    lines.add(line)
                    line.sendall(_ALL_BUT_THE_END)
                    line.recv(4096)
            except OSError:
                ended.wait(0.05)  # it was told to leave while it sent

    threads = [threading.Thread(target=flood, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for line in list(lines):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in threads:
            thread.join()


def ask(client: httpx.Client, *shades: int) -> set[int]:
    """The statuses of some new pictures, sent over a second, in which a flood changes."""
    statuses = set()
    for shade in shades:
        picture = plain_picture(f"#{shade:02x}aabb") + bytes(300_000)
        statuses.add(client.post(CLASSIFY, content=picture).status_code)
        time.sleep(1 / len(shades))
    return statuses


def test_one_caller_can_neither_keep_others_out_nor_take_the_memory(api: RunningServer):
    memory = Memory(api)
    with api.client() as honest:
        assert ask(honest, 0, 1) == {200}
        normal = api.resident_bytes()
        memory.reset()
        with flooded(api, ["127.0.0.2"] * 10):
            assert wait_until(lambda: api.metric("whatsit_held_bytes") > 35 * MB)
            assert ask(honest, *range(2, 10)) == {200}
        peak = memory.peak_bytes()

    assert peak - normal < ALLOWED_BYTES, f"{(peak - normal) / MB:.0f} MB more"
    assert wait_until(lambda: api.metric("whatsit_held_bytes") == 0)


def test_several_callers_together_keep_nobody_out(api: RunningServer):
    hosts = [f"127.0.0.{number}" for number in range(2, 7)] * 3
    with api.client() as honest, flooded(api, hosts):
        assert wait_until(lambda: api.metric("whatsit_held_bytes") > 150 * MB)
        assert ask(honest, *range(10, 18)) == {200}

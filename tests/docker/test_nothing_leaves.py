"""What the container asks for and leaves behind, besides answers."""

import json
import os
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.docker.compose import docker
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.docker

IMAGE = os.environ.get("WHATSIT_IMAGE", "whatsit")
NAME = "whatsit-nothing-leaves"


class Resolver:
    """A name server that knows no name, and remembers what it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.names: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                asked, sender = self._socket.recvfrom(2_048)
            except OSError:
                return
            self.names.append(_name_in(asked))
            # The question again, as an answer: there is no such name.
            self._socket.sendto(
                asked[:2] + b"\x81\x83" + asked[4:6] + bytes(6) + asked[12:], sender
            )

    def close(self) -> None:
        self._socket.close()


def _name_in(asked: bytes) -> str:
    parts, at = [], 12
    while at < len(asked) and (size := asked[at]):
        parts.append(asked[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    return ".".join(parts)


@pytest.fixture(scope="module")
def resolver() -> Iterator[Resolver]:
    gateway = json.loads(docker("network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Gateway"]
    try:
        resolver = Resolver(gateway)
    except OSError as error:
        pytest.skip(f"Nobody but root can be asked for names on {gateway}: {error.strerror}.")
    yield resolver
    resolver.close()


@pytest.fixture(scope="module")
def container(resolver: Resolver) -> Iterator[str]:
    """The app alone, used as a visitor and as an operator would; the address of its API."""
    docker("rm", "--force", NAME)
    docker(
        *("run", "--detach", "--name", NAME, "--dns", resolver.address),
        *("--publish", "127.0.0.1::8501", "--tmpfs", "/home:mode=1777", "--env", "HOME=/home"),
        *("--env", "WHATSIT_API_KEYS=off", IMAGE),
    )
    try:
        url = f"http://{docker('port', NAME, '8501').splitlines()[0]}"
        assert wait_until(lambda: _answers(url)), docker("logs", NAME)
        yield url
    finally:
        docker("rm", "--force", "--volumes", NAME)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def test_the_container_asks_for_no_name_and_leaves_no_file_outside_its_store(container, resolver):
    picture = example_pictures()["bee"]
    with urllib.request.urlopen(f"{container}/api/v1/classify", picture, timeout=30) as response:
        assert json.load(response)["answer"]["label"] == "bee"
    with urllib.request.urlopen(container, timeout=30) as response:
        assert b"<title>" in response.read()
    shown = docker("exec", NAME, "whatsit", "classify", "--store", "/tmp/own", _example_path())
    assert "bee" in shown
    time.sleep(2)  # what is sent home is sent by threads of its own

    # The instrument works: a name that is asked for inside is seen here.
    docker("exec", NAME, "python", "-c", _LOOK_UP)
    assert [name for name in resolver.names if "control.example" not in name] == []
    assert any("control.example" in name for name in resolver.names)
    assert docker("exec", NAME, "find", "/home", "-mindepth", "1") == ""
    # With a store of its own, `classify` leaves nothing in the home either.
    kinds = {line.split()[1].split("/")[1] for line in docker("diff", NAME).splitlines()}
    assert kinds <= {"home", "tmp"}


def test_the_image_cannot_report_to_the_makers_of_its_engine(container):
    tried = docker("exec", NAME, "python", "-c", _TELEMETRY)
    assert tried == "None"


_LOOK_UP = "import socket\ntry: socket.getaddrinfo('control.example', 80)\nexcept OSError: pass"
_TELEMETRY = "import importlib.util; print(importlib.util.find_spec('openvino_telemetry'))"


def _example_path() -> str:
    program = "import whatsit.data; print(whatsit.data.__path__[0] + '/examples/bee.jpg')"
    return docker("exec", NAME, "python", "-c", program)

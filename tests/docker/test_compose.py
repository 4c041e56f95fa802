"""The two containers, started as a newcomer starts them. Needs an engine: ``make test-docker``."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.docker

PROJECT = "whatsit-test"
PORT = 18501
URL = f"http://127.0.0.1:{PORT}"


class Compose:
    """``docker compose`` for a project of its own."""

    def __init__(self, secrets: Path) -> None:
        self._environment = {
            **os.environ,
            "WHATSIT_SECRETS": str(secrets),
            "WHATSIT_PUBLISH": f"127.0.0.1:{PORT}",
            "WHATSIT_RATE_LIMIT": "off",
        }

    def __call__(self, *arguments: str, check: bool = True) -> str:
        """What the command prints."""
        ran = subprocess.run(
            ["docker", "compose", "--project-name", PROJECT, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check and ran.returncode != 0:
            raise AssertionError(f"docker compose {' '.join(arguments)}: {ran.stderr}")
        return ran.stdout + ran.stderr

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows about a service's container."""
        container = self("ps", "--quiet", service).strip()
        ran = subprocess.run(
            ["docker", "inspect", container], capture_output=True, text=True, check=True
        )
        (found,) = json.loads(ran.stdout)
        return dict(found)


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    secrets = tmp_path_factory.mktemp("secrets")
    subprocess.run(["sh", "deploy/docker/secrets.sh", str(secrets)], cwd=ROOT, check=True)
    compose = Compose(secrets)
    compose("down", "--volumes", check=False)
    start = time.monotonic()
    compose("up", "--detach", "--wait", "--no-build")
    print(f"\nup --wait: {time.monotonic() - start:.1f} s")
    yield compose
    compose("down", "--volumes")


@pytest.fixture(scope="module")
def client(compose: Compose) -> Iterator[httpx.Client]:
    """With a key made in the container, as an operator makes it."""
    printed = compose("exec", "-T", "app", "whatsit", "keys", "create", "test")
    key = next(word for word in printed.split() if word.startswith("wi_"))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=URL, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def test_the_page_and_the_api_answer_through_the_published_port(client):
    assert "<title>" in client.get("/").text
    assert client.get("/readyz").json()["cache"] == "reachable"
    answer = client.post("/api/v1/classify", content=example_pictures()["bee"])
    assert answer.json()["answer"]["label"] == "bee"


def test_the_second_identical_picture_is_a_hit(client):
    picture = example_pictures()["cat"]
    client.post("/api/v1/classify", content=picture)

    assert client.post("/api/v1/classify", content=picture).json()["cache"] == "hit"


def test_strangers_need_a_key():
    refused = httpx.post(f"{URL}/api/v1/classify", content=b"x", trust_env=False)

    assert refused.status_code == 401


def test_redis_refuses_who_has_no_password_and_what_the_app_does_not_need(compose):
    def ask(*words: str) -> str:
        said: str = compose("exec", "-T", "redis", "redis-cli", *words, check=False)
        return said

    assert "NOAUTH" in ask("ping")
    password = compose("exec", "-T", "redis", "cat", "/run/secrets/redis-password")
    ours = ("--no-auth-warning", "--user", "whatsit", "--pass", password.strip())
    assert "PONG" in ask(*ours, "ping")
    for command in (["flushall"], ["config", "get", "*"], ["keys", "*"], ["get", "other:key"]):
        assert "NOPERM" in ask(*ours, *command), command


def test_redis_is_not_reached_from_outside_its_network(compose):
    bindings = compose.inspect("redis")["NetworkSettings"]["Ports"]
    assert not any(bindings.values())
    image = compose.inspect("redis")["Config"]["Image"]
    ran = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", f"{PROJECT}_front", image),
            *("timeout", "5", "redis-cli", "-h", "redis", "ping"),
        ],
        capture_output=True,
        text=True,
    )
    assert "PONG" not in ran.stdout
    assert "NOAUTH" not in ran.stdout + ran.stderr, "it was reached"
    assert ran.returncode != 0


@pytest.mark.parametrize("service", ["app", "redis"])
def test_containers_have_no_rights_and_cannot_write_to_themselves(compose, service):
    facts = compose.inspect(service)["HostConfig"]

    assert facts["ReadonlyRootfs"] is True
    assert facts["CapDrop"] == ["ALL"]
    assert facts["Memory"] > 0
    assert facts["PidsLimit"] > 0
    assert compose("exec", "-T", service, "id", "-u").strip() != "0"
    assert "Read-only" in compose("exec", "-T", service, "touch", "/usr/x", check=False)


def test_a_restart_of_redis_loses_no_answer(compose, client):
    picture = example_pictures()["coffee"]
    client.post("/api/v1/classify", content=picture)
    restart = subprocess.Popen(
        ["docker", "compose", "--project-name", PROJECT, "restart", "redis"],
        cwd=ROOT,
        env=compose._environment,
        stderr=subprocess.DEVNULL,
    )
    answers: list[httpx.Response] = []
    while restart.poll() is None or len(answers) < 20:
        answers.append(client.post("/api/v1/classify?cache=refresh", content=picture))
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert wait_until(lambda: client.get("/readyz").json()["cache"] == "reachable", seconds=20)


def test_memory_is_printed_and_bounded(compose, client):
    for picture in example_pictures().values():
        client.post("/api/v1/classify?cache=bypass", content=picture)
    usage = {}
    for service in ("app", "redis"):
        container = str(compose.inspect(service)["Id"])
        ran = subprocess.run(
            ["docker", "stats", "--no-stream", "--format", "{{.MemUsage}}", container],
            capture_output=True,
            text=True,
            check=True,
        )
        usage[service] = ran.stdout.strip()
    print(f"\nmemory: {usage}")
    assert all(usage.values())


def test_down_leaves_nothing_but_the_volumes(compose):
    compose("down")
    left = {
        kind: subprocess.run(
            [
                "docker",
                *words,
                "--quiet",
                "--filter",
                f"label=com.docker.compose.project={PROJECT}",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for kind, words in {
            "containers": ("ps", "--all"),
            "networks": ("network", "ls"),
            "volumes": ("volume", "ls"),
        }.items()
    }
    assert left["containers"] == left["networks"] == []
    assert sorted(left["volumes"]) == [f"{PROJECT}_cache", f"{PROJECT}_state"]

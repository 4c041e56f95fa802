"""One file in an empty folder is enough, under either of its names. Needs an engine."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT
from tests.docker.compose import PASSWORD_FILE, Compose, docker
from whatsit.data import example_pictures

pytestmark = pytest.mark.docker

PORTS = {"compose.yaml": 18601, "docker-compose.yml": 18602}


def start(folder: Path, name: str) -> Compose:
    """Start the one file as it is, in a folder that has nothing else."""
    shutil.copy(ROOT / "compose.yaml", folder / name)
    compose = Compose(
        f"whatsit-test-{folder.name}",
        {"WHATSIT_PUBLISH": f"127.0.0.1:{PORTS[name]}"},
        folder=folder,
    )
    compose("down", "--volumes", check=False)
    compose("up", "--detach", "--wait")
    return compose


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    folder = tmp_path_factory.mktemp("one")
    compose = start(folder, "compose.yaml")
    yield compose
    compose("down", "--volumes")
    assert [path.name for path in folder.iterdir()] == ["compose.yaml"], "it was all"


def answer(key: str, name: str = "compose.yaml") -> dict[str, Any]:
    response = httpx.post(
        f"http://127.0.0.1:{PORTS[name]}/api/v1/classify",
        content=example_pictures()["bee"],
        headers={"Authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=20,
    )
    return dict(response.json())


def test_two_containers_answer_and_what_they_keep_outlives_them(first):
    assert sorted(first("ps", "--all", "--services").split()) == ["app", "redis"]
    key, password = first.make_key(), first.redis_password()
    # A command in the container finds the Redis too.
    count = ("exec", "-T", "app", "whatsit", "cache", "stats")
    assert first(*count).split()[-1] == "0"
    assert answer(key)["answer"]["label"] == "bee"
    assert int(first(*count).split()[-1]) > 0

    first("down")
    first("up", "--detach", "--wait")

    assert first.redis_password() == password
    assert answer(key)["cache"] == "hit"


def test_nothing_shows_the_password(first):
    password = first.redis_password()
    assert len(password) == 64
    for service in ("app", "redis"):
        assert password not in json.dumps(first.inspect(service))
        (container,) = first.inspect(service)
        assert password not in docker("top", container["Id"], "-eo", "pid,args")
        environments = first(
            *("exec", "-T", service, "sh", "-c"),
            "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>&1 | tr '\\0' '\\n'",
        )
        assert "redis-password" in environments
        assert password not in environments
    assert password not in first("logs")
    assert password not in first("config")


def test_only_the_two_users_read_the_password(first):
    listed = first(
        "exec", "-T", "app", "stat", "-c", "%a %U", PASSWORD_FILE, PASSWORD_FILE.rsplit("/", 1)[0]
    )
    assert listed.splitlines() == ["640 whatsit", "750 whatsit"]
    redis = first.inspect("redis")[0]
    (volume,) = [one["Name"] for one in redis["Mounts"] if one["Name"].endswith("_secrets")]
    folder = PASSWORD_FILE.rsplit("/", 1)[0]
    said = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", "--user", "54321:54321"),
            *("--volume", f"{volume}:{folder}:ro", redis["Config"]["Image"], "cat", PASSWORD_FILE),
        ],
        capture_output=True,
        text=True,
    )
    assert "Permission denied" in said.stderr
    changed = first("exec", "-T", "redis", "touch", PASSWORD_FILE, check=False)
    assert "cannot touch" in changed


def test_it_is_published_to_this_machine_only_and_answers_to_its_names_only(first):
    (app,) = first.inspect("app")
    (bound,) = app["NetworkSettings"]["Ports"]["8501/tcp"]
    assert bound["HostIp"] == "127.0.0.1"
    url = f"http://127.0.0.1:{PORTS['compose.yaml']}/api/docs"
    for name, status in (("localhost", 200), ("127.0.0.1", 200), ("evil.example", 421)):
        assert httpx.get(url, headers={"Host": name}, trust_env=False).status_code == status


def test_logs_have_an_end(first):
    for service in ("app", "redis"):
        (container,) = first.inspect(service)
        assert container["HostConfig"]["LogConfig"]["Config"] == {
            "max-size": "10m",
            "max-file": "3",
        }


def test_under_the_other_name_it_is_another_installation(first, tmp_path):
    other = start(tmp_path, "docker-compose.yml")
    try:
        assert other.redis_password() != first.redis_password()
        key = other.make_key()
        assert answer(key, "docker-compose.yml")["answer"]["label"] == "bee"
    finally:
        other("down", "--volumes")


def test_many_replicas_make_one_password(first, tmp_path):
    """Whoever is faster: all of them start with an empty volume at the same time."""
    image = first.inspect("app")[0]["Config"]["Image"]
    docker("volume", "create", "whatsit-test-race")
    try:
        mounted = "whatsit-test-race:/var/lib/whatsit-secrets"
        run = [
            *("docker", "run", "--rm", "--network", "none", "--volume", mounted),
            *("--env", f"WHATSIT_REDIS_PASSWORD_FILE={PASSWORD_FILE}", image),
            *("cat", PASSWORD_FILE),
        ]
        running = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        printed = {one.communicate(timeout=60)[0].strip() for one in running}
    finally:
        docker("volume", "rm", "--force", "whatsit-test-race")
    assert len(printed) == 1
    assert len(printed.pop()) == 64

"""``smoke.sh`` against a real server."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.scripts import run
from tests.support.running import RunningServer, start_server
from tests.support.scripted_server import SILENCE, Prepared, ScriptedServer
from whatsit.data import example_pictures


def test_a_server_that_knows_the_bee_works(server):
    ran = run("smoke.sh", server.url + "/")

    assert ran.returncode == 0, ran.stderr
    assert "it calls bee.jpg 'bee'" in ran.stderr


def test_it_asks_the_model_and_not_the_cache(server):
    before = server.metric('whatsit_answers_total{cache="bypass"}')
    assert run("smoke.sh", server.url).returncode == 0

    assert server.metric('whatsit_answers_total{cache="bypass"}') == before + 1


def test_another_label_than_the_right_one_fails(server, tmp_path):
    (tmp_path / "pet.jpg").write_bytes(example_pictures()["cat"])
    ran = run("smoke.sh", server.url, SMOKE_PICTURE=str(tmp_path / "pet.jpg"))

    assert ran.returncode == 1
    assert "it calls pet.jpg" in ran.stderr
    assert "not 'bee'" in ran.stderr


def test_a_server_that_is_never_ready_fails_in_time():
    with ScriptedServer(Prepared(status=503)) as starting:
        began = time.monotonic()
        ran = run("smoke.sh", starting.url, SMOKE_SECONDS="1", SMOKE_PAUSE_SECONDS="0.1")

    assert ran.returncode == 1
    assert "was not ready within 1 s" in ran.stderr
    assert starting.heads
    assert time.monotonic() - began < 20


def test_it_waits_for_a_server_that_is_starting(server):
    starting = [Prepared(status=503)] * 2
    with ScriptedServer(*starting, Prepared(), Prepared(body=b'{"top": [{"label": "bee"}]}')) as it:
        ran = run("smoke.sh", it.url, SMOKE_PAUSE_SECONDS="0.1")

    assert ran.returncode == 0, ran.stderr
    assert [head.split()[1] for head in it.heads[:3]] == ["/readyz"] * 3


def test_what_is_no_answer_of_whatsit_fails():
    with ScriptedServer(Prepared(), Prepared(body=b"<html>Welcome to the proxy</html>")) as other:
        ran = run("smoke.sh", other.url)

    assert ran.returncode == 1
    assert "not an answer of whatsit: <html>" in ran.stderr


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    home = tmp_path_factory.mktemp("keyed")
    made = subprocess.run(
        [sys.executable, "-m", "whatsit", "keys", "create", "smoke", "--store", str(home)],
        capture_output=True,
        text=True,
        check=True,
    )
    key = next(word for word in made.stdout.split() if word.startswith("wi_"))
    environment = {"WHATSIT_API_KEYS": "required"}
    with start_server(home, model="efficientnet-lite2", environment=environment) as running:
        yield running, key


def test_it_shows_the_key_where_one_is_asked_for(keyed):
    running, key = keyed
    ran = run("smoke.sh", running.url, WHATSIT_API_KEY=key)

    assert ran.returncode == 0, ran.stderr
    assert key not in ran.stdout + ran.stderr


def test_without_a_key_it_says_why_it_was_refused(keyed):
    running, _ = keyed
    ran = run("smoke.sh", running.url)

    assert ran.returncode == 1
    assert "the picture was refused" in ran.stderr
    assert "An API key is needed" in ran.stderr


def _command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield (process / "cmdline").read_text(encoding="utf-8", errors="replace")


def test_no_list_of_processes_shows_the_key():
    with ScriptedServer(Prepared(), SILENCE) as waiting:
        asking = threading.Thread(
            target=run,
            args=("smoke.sh", waiting.url),
            kwargs={"WHATSIT_API_KEY": "wi_secret"},
            daemon=True,
        )
        asking.start()
        while len(waiting.heads) < 2:
            time.sleep(0.01)
        seen = [word for line in _command_lines() for word in line.split("\0")]
    asking.join(20)

    assert f"{waiting.url}/api/v1/classify?top_k=1&cache=bypass" in seen
    assert not [word for word in seen if "wi_secret" in word]
    assert "Bearer wi_secret" in waiting.heads[1]

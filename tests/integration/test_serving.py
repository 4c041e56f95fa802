"""Starting and stopping a server."""

import os
import signal

import pytest

from tests.integration.test_api import CLASSIFY
from tests.integration.test_embedded import server_processes
from tests.support.running import start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

MODEL = "efficientnet-lite2"


@pytest.mark.extended
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_server_takes_its_cache_along_and_keeps_the_answers(tmp_path, number):
    with start_server(tmp_path, "--no-ui", model=MODEL) as server, server.client() as client:
        assert client.post(CLASSIFY, content=example_pictures()["bee"]).json()["cache"] == "miss"
        assert len(server_processes(tmp_path)) == 1
        os.kill(server.process.pid, number)
        server.process.wait(20)
    assert wait_until(lambda: server_processes(tmp_path) == [])

    with start_server(tmp_path, "--no-ui", model=MODEL) as server, server.client() as client:
        assert client.post(CLASSIFY, content=example_pictures()["bee"]).json()["cache"] == "hit"


def test_the_fallback_is_told_by_the_api_and_the_log(tmp_path):
    # Every address is refused at once, as on a machine without a network.
    closed = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    with start_server(tmp_path, "--no-ui", model="resnet50", environment=closed) as server:
        with server.client() as client:
            document = client.get("/api/v1/models").json()
            answer = client.post(CLASSIFY, content=example_pictures()["bee"]).json()

        assert document["requested"] == "resnet50"
        assert document["serving"]["name"] == answer["model"]["name"] == MODEL
        assert "whatsit models pull resnet50" in document["note"]
        assert document["note"] in server.log


def test_without_the_page_its_paths_are_problems(tmp_path):
    with start_server(tmp_path, "--no-ui", model=MODEL) as server, server.client() as client:
        assert client.get("/").headers["content-type"] == "application/problem+json"


def test_with_the_cache_off_every_answer_is_computed(tmp_path):
    options = {"WHATSIT_CACHE": "off"}
    with (
        start_server(tmp_path, "--no-ui", model=MODEL, environment=options) as server,
        server.client() as client,
    ):
        outcomes = [
            client.post(CLASSIFY, content=example_pictures()["bee"]).json()["cache"]
            for _ in range(2)
        ]
        assert outcomes == ["bypass", "bypass"]
        assert client.get("/readyz").json()["cache"] == "off"
        assert server_processes(tmp_path) == []

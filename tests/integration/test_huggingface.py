"""Hugging Face's own client, unchanged, against a real server."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError

from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.schemas import ErrorDocument, ProblemDocument

MODEL = "efficientnet-lite2"
CLASSIFY = "/api/v1/classify"
ASK = "/api/hf/models/whatsit"
BEE = example_pictures()["bee"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(tmp_path_factory.mktemp("home"), "--no-ui", model=MODEL) as server:
        yield server
    huggingface_hub.close_session()


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def bee_file(tmp_path: Path) -> Path:
    file = tmp_path / "bee.jpg"
    file.write_bytes(BEE)
    return file


def expected(http: httpx.Client, picture: bytes, top_k: int) -> list[tuple[str, float]]:
    """What our own API says of a picture."""
    found = http.post(CLASSIFY, params={"top_k": top_k}, content=picture).json()["top"]
    return [(entry["label"], entry["score"]) for entry in found]


def pairs(elements: list[Any]) -> list[tuple[str, float]]:
    return [(element.label, element.score) for element in elements]


def in_json(picture: bytes, **parameters: object) -> dict[str, Any]:
    return {"inputs": base64.b64encode(picture).decode(), "parameters": parameters}


@pytest.mark.parametrize("top_k", [None, 1, 3, 20])
@pytest.mark.parametrize("kind", ["bytes", "path", "text"])
def test_the_client_gets_the_answers_of_our_own_api(server, http, bee_file, kind, top_k):
    picture = {"bytes": BEE, "path": bee_file, "text": str(bee_file)}[kind]
    client = huggingface_hub.InferenceClient(model=server.url + ASK)
    found = client.image_classification(picture, top_k=top_k)

    assert pairs(found) == expected(http, BEE, top_k or 5)
    assert found[0].label == "bee"


# It says of its own way to send that it is deprecated.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
@pytest.mark.parametrize("top_k", [None, 2])
def test_the_asynchronous_client_as_well(server, http, bee_file, top_k):
    async def ask() -> list[Any]:
        async with huggingface_hub.AsyncInferenceClient(model=server.url + ASK) as client:
            return [await client.image_classification(it, top_k=top_k) for it in (BEE, bee_file)]

    assert [pairs(found) for found in asyncio.run(ask())] == [expected(http, BEE, top_k or 5)] * 2


def test_a_base_address_and_the_models_own_name_do_too(server, http):
    client = huggingface_hub.InferenceClient(base_url=f"{server.url}/api/hf/models/{MODEL}")

    found = client.image_classification(BEE, function_to_apply="softmax")
    assert pairs(found) == expected(http, BEE, 5)


@pytest.mark.parametrize(
    ("name", "picture", "parameters", "words"),
    [
        ("whatsit", b"no picture", {}, "This is not a picture"),
        ("whatsit", BEE[:5_000], {}, "cut short"),
        ("whatsit", BEE[:5_000], {"top_k": 2}, "cut short"),
        ("whatsit", BEE, {"top_k": 21}, "from 1 to 20"),
        ("whatsit", BEE, {"function_to_apply": "sigmoid"}, "must be softmax"),
        ("whatsit", BEE, {"function_to_apply": "none"}, "must be softmax"),
        ("resnet18", BEE, {}, f"no model called 'resnet18'. Known: {MODEL}, whatsit."),
    ],
)
def test_the_client_shows_our_sentence(server, name, picture, parameters, words):
    client = huggingface_hub.InferenceClient(f"{server.url}/api/hf/models/{name}")
    with pytest.raises(HfHubHTTPError, match=words) as refused:
        client.image_classification(picture, **parameters)

    document = ErrorDocument.model_validate_json(refused.value.response.content)
    assert document.error == document.detail == refused.value.server_message
    assert words in document.error


def test_a_key_is_asked_for_and_sent_like_a_token(tmp_path, http):
    made = subprocess.run(
        [sys.executable, "-m", "whatsit", "keys", "create", "hf", "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    environment = {"WHATSIT_API_KEYS": "required"}
    with start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server:

        def ask(key: str | None) -> list[Any]:
            client = huggingface_hub.InferenceClient(server.url + ASK, token=key)
            return list(client.image_classification(BEE, top_k=3))

        assert pairs(ask(made.stdout.strip())) == expected(http, BEE, 3)
        with pytest.raises(HfHubHTTPError, match="This API key is unknown or was revoked"):
            ask("wrong")
        with pytest.raises(HfHubHTTPError, match="An API key is needed"):
            ask(None)


def test_json_is_recognised_though_nobody_says_that_it_is(http):
    # What the client-free examples in Hugging Face's documentation do.
    body = json.dumps(in_json(BEE, top_k=2))
    found = http.post(ASK, content=body).json()

    assert [(entry["label"], entry["score"]) for entry in found] == expected(http, BEE, 2)


@pytest.mark.parametrize(
    "how",
    [
        {"files": {"file": ("bee.jpg", BEE, "image/jpeg")}},
        {"json": {"inputs": f"data:image/jpeg;base64,{base64.b64encode(BEE).decode()}"}},
        {"json": {"inputs": base64.encodebytes(BEE).decode(), "parameters": None}},
        {"json": {**in_json(BEE), "options": {"wait_for_model": True}}},
    ],
)
def test_pictures_come_in_other_ways_too(http, how):
    found = http.post(ASK, **how)

    assert found.status_code == 200, found.text
    assert found.json()[0]["label"] == "bee"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("nothing", "can't be read as JSON"),
        ('{"inputs": NaN}', "can't be read as JSON"),
        ("[" * 1_900, "can't be read as JSON"),
        ("[" * 3_000, "2,000 parts"),
        ("[1]", "JSON object"),
        ("{}", "inputs is missing"),
        ('{"inputs": 5}', "inputs must be a text"),
        ('{"inputs": "https://example.com/bee.jpg"}', "base64"),
        ('{"inputs": "QQ==QQ=="}', "base64"),
        ('{"inputs": "Q"}', "base64"),
        ('{"inputs": "\\ud800"}', "base64"),
        ('{"inputs": "", "parameters": []}', "parameters must be an object"),
        ('{"inputs": "", "parameters": {"colour": 1}}', "top_k and function_to_apply"),
        ('{"inputs": "", "parameters": {"top_k": true}}', "top_k"),
        ('{"inputs": "", "parameters": {"top_k": 2.5}}', "top_k"),
        (f'{{"inputs": "", "parameters": {{"top_k": {"9" * 5_000}}}}}', "can't be read as JSON"),
    ],
    ids=range(16),
)
def test_json_that_is_wrong_is_refused_with_a_sentence(http, body, words):
    refused = http.post(ASK, content=body, headers={"Content-Type": "application/json"})

    assert refused.status_code == 422, refused.text
    assert words in ErrorDocument.model_validate_json(refused.content).error


@pytest.mark.parametrize("size", [20_100_000, 28_000_000])
def test_a_picture_over_the_limit_is_refused_however_it_is_packed(http, size):
    for how in ({"content": bytes(size)}, {"json": {"inputs": "A" * (size // 3 * 4)}}):
        refused = http.post(ASK, **how)
        assert refused.status_code == 413
        assert "20 MB" in refused.json()["error"]


def test_it_shares_cache_metrics_and_log_with_our_own_api(server, http):
    picture = plain_picture("#224466")
    assert http.post(CLASSIFY, content=picture).json()["cache"] == "miss"

    answer = http.post(ASK, json=in_json(picture), headers={"X-Request-Id": "hf-line"})
    assert answer.headers["X-Cache"] == "hit"
    route = 'whatsit_http_requests_total{route="/api/hf/models/{name}",status="200"}'
    assert server.metric(route) >= 1
    assert wait_until(lambda: "request_id=hf-line cache=hit" in server.log)


def test_other_paths_keep_the_problem_document_as_it_is(http):
    refused = http.post(CLASSIFY, content=b"no picture")

    assert ProblemDocument.model_validate_json(refused.content).code == "image_unreadable"

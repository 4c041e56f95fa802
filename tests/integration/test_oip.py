"""The Open Inference Protocol: Triton's own client, unchanged, and curl, against a real server."""

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException

from tests.support.running import RunningServer, start_server
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.schemas import ErrorDocument

MODEL = "efficientnet-lite2"
CLASSIFY = "/api/v1/classify"
INFER = "/v2/models/whatsit/infer"
PICTURES = list(example_pictures().values())
BEE = example_pictures()["bee"]
OUTPUTS = ["label", "score", "index", "wnid", "answer"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(tmp_path_factory.mktemp("home"), "--no-ui", model=MODEL) as server:
        yield server


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def client(server: RunningServer) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(server.url.removeprefix("http://"), concurrency=2)
    yield client
    client.close()


def tensor(pictures: list[bytes], *, binary: bool = True, rows: bool = False) -> Any:
    """The input of Triton's client: pictures as they are, or in base64 where JSON carries them."""
    elements = pictures if binary else [base64.b64encode(picture) for picture in pictures]
    array = np.array(elements, dtype=np.object_)
    if rows:
        array = array.reshape(-1, 1)
    made = triton.InferInput("image", list(array.shape), "BYTES")
    return made.set_data_from_numpy(array, binary_data=binary)


def outputs(*names: str, binary: bool = True) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in names]


def require_same(http: httpx.Client, result: Any, pictures: list[bytes], top_k: int = 5) -> None:
    """A result says what our own API says of the same pictures."""
    found = {name: result.as_numpy(name) for name in OUTPUTS}
    for row, picture in enumerate(pictures):
        document = http.post(CLASSIFY, params={"top_k": top_k}, content=picture).json()
        top = document["top"]
        assert texts(found["label"][row]) == [entry["label"] for entry in top]
        assert texts(found["wnid"][row]) == [entry["wnid"] for entry in top]
        assert found["index"][row].tolist() == [entry["index"] for entry in top]
        scores = np.array([entry["score"] for entry in top], np.float32)
        assert found["score"].dtype == np.float32
        assert (found["score"][row] == scores).all()
        assert texts(found["answer"][row : row + 1]) == [document["answer"]["text"]]
    assert {name: array.shape for name, array in found.items()} == {
        **dict.fromkeys(OUTPUTS, (len(pictures), top_k)),
        "answer": (len(pictures),),
    }


def texts(elements: Any) -> list[str]:
    """Elements of a tensor: bytes where they came in binary, text where they came in JSON."""
    return [it.decode() if isinstance(it, bytes) else str(it) for it in elements]


def in_json(*pictures: bytes, **members: object) -> dict[str, Any]:
    data = [base64.b64encode(picture).decode() for picture in pictures]
    image = {"name": "image", "shape": [len(data)], "datatype": "BYTES", "data": data}
    return {"inputs": [image], **members}


def test_the_client_sees_a_server_and_a_model(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert [client.is_model_ready(name) for name in (MODEL, "whatsit", "other")] == [
        True,
        True,
        False,
    ]
    assert client.is_model_ready("whatsit", "1")
    assert not client.is_model_ready("whatsit", "2")
    assert client.get_server_metadata()["name"] == "whatsit"
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    assert client.get_model_repository_index() == [
        {"name": MODEL, "version": "1", "state": "READY", "reason": ""}
    ]


def test_the_client_learns_what_the_model_takes_and_gives(client, http):
    metadata = client.get_model_metadata("whatsit")
    config = client.get_model_config("whatsit", "1")

    assert metadata["name"] == config["name"] == MODEL
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert [output["name"] for output in metadata["outputs"]] == OUTPUTS
    assert [it["name"] for it in config["input"] + config["output"]] == ["image", *OUTPUTS]
    assert config["input"][0]["data_type"] == "TYPE_STRING"
    serving = http.get("/api/v1/models").json()["serving"]
    assert metadata["properties"]["fingerprint"] == serving["fingerprint"]


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("binary_in", [True, False])
def test_the_client_gets_the_answers_of_our_own_api(client, http, binary_in, binary_out, rows):
    image = tensor(PICTURES, binary=binary_in, rows=rows)
    result = client.infer(MODEL, [image], outputs=outputs(*OUTPUTS, binary=binary_out))

    assert len(PICTURES) > 2
    require_same(http, result, PICTURES)


@pytest.mark.parametrize("top_k", [1, 20])
def test_all_outputs_come_with_as_many_labels_as_asked_for(client, http, top_k):
    result = client.infer(
        "whatsit", [tensor([BEE])], "1", request_id="mine", parameters={"top_k": top_k}
    )

    require_same(http, result, [BEE], top_k)
    assert result.get_response()["id"] == "mine"
    assert (result.get_response()["model_name"], result.get_response()["model_version"]) == (
        MODEL,
        "1",
    )


def test_only_the_outputs_asked_for_come_and_in_that_order(client):
    mixed = [*outputs("answer"), *outputs("label", binary=False)]
    result = client.infer("whatsit", [tensor([BEE])], outputs=mixed)

    assert [it["name"] for it in result.get_response()["outputs"]] == ["answer", "label"]
    assert result.as_numpy("answer").tolist() == [b"A bee (99 %)."]
    assert result.as_numpy("label")[0][0] == "bee"


def test_scores_come_as_classes_where_the_client_asks_for_those(client, http):
    wanted = [triton.InferRequestedOutput("score", class_count=7), *outputs("label")]
    result = client.infer("whatsit", [tensor([BEE])], outputs=wanted, parameters={"top_k": 2})

    top = http.post(CLASSIFY, params={"top_k": 7}, content=BEE).json()["top"]
    assert texts(result.as_numpy("score")[0]) == [
        f"{entry['score']:.6f}:{entry['index']}:{entry['label']}" for entry in top
    ]
    assert result.as_numpy("label").shape == (1, 2)


def test_many_requests_at_once(client, http):
    asked = [client.async_infer("whatsit", [tensor([picture])]) for picture in PICTURES * 3]

    for picture, pending in zip(PICTURES * 3, asked, strict=True):
        require_same(http, pending.get_result(timeout=20), [picture])


def test_the_asynchronous_client(server, http):
    async def ask() -> Any:
        address = server.url.removeprefix("http://")
        async with triton_aio.InferenceServerClient(address) as client:
            assert await client.is_server_live()
            return await client.infer("whatsit", [tensor(PICTURES)])

    require_same(http, asyncio.run(ask()), PICTURES)


def test_as_many_pictures_as_a_request_may_have_are_answered_in_order(client):
    pictures = [plain_picture(f"#{number:02x}4080", (9, 9 + number)) for number in range(16)]
    once = client.infer("whatsit", [tensor(pictures)]).as_numpy("score")
    each = [client.infer("whatsit", [tensor([it])]).as_numpy("score")[0] for it in pictures]

    assert (once == np.array(each)).all()


@pytest.mark.parametrize(
    ("model", "pictures", "parameters", "status", "words"),
    [
        ("other", [BEE], {}, "404", f"no model called 'other'. Known: {MODEL}, whatsit."),
        ("whatsit", [b"no picture"], {}, "400", "This is not a picture"),
        ("whatsit", [BEE, BEE[:5_000]], {}, "400", "Picture 2 of 2: The picture is damaged"),
        ("whatsit", [BEE], {"top_k": 0}, "422", "top_k must be a whole number from 1 to 20."),
        ("whatsit", [BEE] * 17, {}, "422", "from 1 to 16"),
        ("whatsit", [bytes(11_000_000)] * 2, {}, "413", "pictures together are larger than 20 MB"),
    ],
)
def test_the_client_shows_our_sentence(client, model, pictures, parameters, status, words):
    with pytest.raises(InferenceServerException) as refused:
        client.infer(model, [tensor(pictures)], parameters=parameters)

    assert refused.value.status() == status
    assert words in refused.value.message()
    assert refused.value.message().endswith(".")


def test_what_has_no_picture_type_is_refused(client):
    pixels = triton.InferInput("image", [1, 3, 8, 8], "FP32")
    pixels.set_data_from_numpy(np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(InferenceServerException, match="must be BYTES; each element is a picture"):
        client.infer("whatsit", [pixels])


def test_packed_requests_are_refused_with_a_sentence(client):
    with pytest.raises(InferenceServerException, match="Send it uncompressed"):
        client.infer("whatsit", [tensor([BEE])], request_compression_algorithm="gzip")


def test_a_key_is_asked_for(tmp_path, http):
    made = subprocess.run(
        [sys.executable, "-m", "whatsit", "keys", "create", "oip", "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    key = {"Authorization": f"Bearer {made.stdout.strip()}"}
    environment = {"WHATSIT_API_KEYS": "required"}
    with start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server:
        client = triton.InferenceServerClient(server.url.removeprefix("http://"))
        require_same(http, client.infer("whatsit", [tensor([BEE])], headers=key), [BEE])
        assert client.is_server_ready(headers=key)
        with pytest.raises(InferenceServerException, match="An API key is needed"):
            client.infer("whatsit", [tensor([BEE])])
        client.close()


def test_a_picture_alone_is_answered_in_json(server):
    # What curl can send without any preparation.
    done = subprocess.run(
        [
            *("curl", "-sS", "--data-binary", "@-"),
            *("-H", "Inference-Header-Content-Length: 0", server.url + INFER),
        ],
        input=BEE,
        capture_output=True,
        check=True,
        timeout=30,
    )
    document = json.loads(done.stdout)

    assert document["outputs"][0]["data"][0] == "bee"
    assert document["outputs"][-1]["data"] == ["A bee (99 %)."]


def test_it_shares_cache_metrics_and_log_with_our_own_api(server, http):
    picture = plain_picture("#664422")
    assert http.post(CLASSIFY, content=picture).json()["cache"] == "miss"

    answer = http.post(INFER, json=in_json(picture), headers={"X-Request-Id": "oip-line"})
    assert answer.headers["X-Cache"] == "hit"
    route = 'whatsit_http_requests_total{route="/v2/models/{name}/infer",status="200"}'
    assert server.metric(route) >= 1
    assert wait_until(lambda: "request_id=oip-line cache=hit" in server.log)


def test_probes_are_counted_and_not_logged(server, client, http):
    counted = server.metric('whatsit_http_requests_total{route="/v2/health/ready",status="200"}')
    assert client.is_server_ready()
    http.get("/v2", headers={"X-Request-Id": "after-the-probe"})

    assert wait_until(lambda: "after-the-probe" in server.log)
    assert "/v2/health" not in server.log
    route = 'whatsit_http_requests_total{route="/v2/health/ready",status="200"}'
    assert server.metric(route) == counted + 1


@pytest.mark.parametrize("path", ["/v2/nothing", "/v2/", "/v2/models/whatsit/nothing"])
def test_an_unknown_path_says_so_to_these_clients_too(http, path):
    refused = http.get(path)

    document = ErrorDocument.model_validate_json(refused.content)
    assert (refused.status_code, document.code) == (404, "not_found")
    assert document.error == f"There is nothing at {path}."


def test_a_wrong_method_says_so_too(http):
    refused = http.get(INFER)

    assert refused.status_code == 405
    assert "POST" in ErrorDocument.model_validate_json(refused.content).error

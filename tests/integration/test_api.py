"""The HTTP contract, against a real server process."""

import io
import json
import re

import httpx
import pytest
from PIL import Image

from tests.support.running import RunningServer
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.testing import plain_picture
from whatsit.web.api.schemas import (
    ClassifyDocument,
    ExplainDocument,
    ModelsDocument,
    ProblemDocument,
)

CLASSIFY = "/api/v1/classify"
EXPLAIN = "/api/v1/explain"


@pytest.fixture(scope="module")
def client(server: RunningServer):
    with server.client() as client:
        yield client


@pytest.fixture
def cat() -> bytes:
    return example_pictures()["cat"]


def require_problem(response: httpx.Response, status: int, code: str) -> ProblemDocument:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = ProblemDocument.model_validate(response.json())
    assert (document.status, document.code) == (status, code)
    return document


def test_a_picture_is_answered_in_the_shape_of_the_contract(client, cat):
    response = client.post(CLASSIFY, content=cat, headers={"Content-Type": "image/jpeg"})

    document = ClassifyDocument.model_validate(response.json())
    assert response.status_code == 200
    assert "cat" in document.answer.label
    assert (document.answer.level, document.answer.certainty) == ("group", "sure")
    assert document.answer.path == ["animal", "mammal", "feline", document.answer.label]
    assert [entry.label for entry in document.answer.set] == [
        entry.label for entry in document.top[: len(document.answer.set)]
    ]
    assert document.answer.set
    assert len(document.top) == 5
    assert document.model.name == "efficientnet-lite2"
    assert (document.image.width, document.image.height) == (451, 300)
    assert document.image.format == "JPEG"


def test_headers_tell_the_cache_the_time_and_the_request(client, cat):
    response = client.post(CLASSIFY, content=cat, headers={"X-Request-Id": "my-own.id_7"})

    assert response.headers["x-cache"] == response.json()["cache"]
    assert response.headers["x-request-id"] == response.json()["id"] == "my-own.id_7"
    assert re.search(r"total;dur=\d+\.\d+", response.headers["server-timing"])


def test_a_request_id_that_could_forge_a_log_line_is_replaced(client, cat):
    response = client.post(CLASSIFY, content=cat, headers={"X-Request-Id": "x y=z"})

    assert re.fullmatch(r"[0-9a-f]{16}", response.headers["x-request-id"])


def test_a_multipart_form_gives_the_same_answer(client, cat):
    raw = client.post(CLASSIFY, content=cat).json()
    form = client.post(CLASSIFY, files={"file": ("cat.jpg", cat, "image/jpeg")}).json()

    assert form["top"] == raw["top"]
    assert form["cache"] == "hit"


def test_the_declared_type_of_a_raw_body_does_not_matter(client, cat):
    # What curl sends with --data-binary and nothing else.
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    assert client.post(CLASSIFY, content=cat, headers=headers).status_code == 200


def test_a_new_picture_is_a_miss_and_then_a_hit(client):
    picture = plain_picture("#123456")
    outcomes = [client.post(CLASSIFY, content=picture).json()["cache"] for _ in range(3)]

    assert outcomes == ["miss", "hit", "hit"]


def test_refresh_computes_again_and_bypass_leaves_no_trace(client):
    picture = plain_picture("#654321")

    def outcome(mode: str) -> str:
        return str(client.post(CLASSIFY, params={"cache": mode}, content=picture).json()["cache"])

    assert outcome("bypass") == "bypass"
    assert [outcome("use"), outcome("use")] == ["miss", "hit"]
    assert [outcome("refresh"), outcome("use")] == ["miss", "hit"]


def test_a_cached_answer_says_the_same_as_a_computed_one(client, cat):
    client.post(CLASSIFY, content=cat)
    hit, computed = (
        client.post(CLASSIFY, params={"cache": mode, "top_k": 20}, content=cat).json()
        for mode in ("use", "bypass")
    )

    assert (hit["answer"], hit["top"], hit["image"]) == (
        computed["answer"],
        computed["top"],
        computed["image"],
    )


@pytest.mark.parametrize("top_k", [1, 5, 20])
def test_top_k_decides_how_many_labels_come_back(client, cat, top_k):
    assert len(client.post(CLASSIFY, params={"top_k": top_k}, content=cat).json()["top"]) == top_k


@pytest.mark.parametrize(
    "params", [{"top_k": 0}, {"top_k": 21}, {"top_k": "many"}, {"cache": "maybe"}]
)
def test_a_parameter_out_of_range_is_named(client, cat, params):
    problem = require_problem(
        client.post(CLASSIFY, params=params, content=cat), 422, "invalid_parameter"
    )

    assert next(iter(params)) in problem.detail


def test_a_form_without_the_file_field_is_named(client, cat):
    response = client.post(CLASSIFY, files={"picture": ("cat.jpg", cat)})

    assert "file" in require_problem(response, 422, "invalid_parameter").detail


def test_an_explanation_is_a_png_of_the_picture(client, cat):
    response = client.post(EXPLAIN, content=cat)

    assert response.headers["content-type"] == "image/png"
    overlay = Image.open(io.BytesIO(response.content))
    overlay.load()
    assert (overlay.format, overlay.size) == ("PNG", (451, 300))
    assert response.headers["x-cache"] in {"hit", "miss"}


@pytest.mark.parametrize(
    "how", [{"params": {"format": "json"}}, {"headers": {"Accept": "application/json"}}]
)
def test_an_explanation_as_json_is_a_grid_over_a_box(client, cat, how):
    document = ExplainDocument.model_validate(client.post(EXPLAIN, content=cat, **how).json())
    grid = document.grid

    assert document.label == client.post(CLASSIFY, content=cat).json()["top"][0]["label"]
    assert document.method == "activation"
    assert (len(grid), {len(row) for row in grid}) == (9, {9})
    assert (min(map(min, grid)) >= 0, max(map(max, grid))) == (True, 1)
    assert 0 < document.box.left < document.box.right < document.image.width == 451
    assert 0 < document.box.top < document.box.bottom < document.image.height == 300


def test_a_second_explanation_comes_from_the_cache_and_says_the_same(client):
    picture = plain_picture("#135724")

    def explanation(**params: str) -> dict[str, object]:
        response = client.post(EXPLAIN, params={"format": "json", **params}, content=picture)
        document: dict[str, object] = response.json()
        return document

    first, second = explanation(label="7"), explanation(label="7")
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert second["grid"] == first["grid"]
    assert explanation(label="7", cache="bypass")["cache"] == "bypass"
    assert explanation(label="8")["cache"] == "miss"


def test_labels_are_named_in_any_capitals_or_by_index(client, cat):
    found = [
        client.post(EXPLAIN, params={"label": label, "format": "json"}, content=cat).json()
        for label in ("Bee", "309")
    ]

    assert [(document["label"], document["index"]) for document in found] == [("bee", 309)] * 2


@pytest.mark.parametrize(
    ("label", "words"),
    [("daisey", "'daisy'"), ("1000", "999"), ("-1", "does not exist"), ("", "no")],
)
def test_an_unknown_label_is_refused_with_the_nearest(client, cat, label, words):
    response = client.post(EXPLAIN, params={"label": label}, content=cat)

    assert words in require_problem(response, 422, "invalid_parameter").detail


def test_what_is_no_picture_is_not_explained(client):
    require_problem(client.post(EXPLAIN, content=b"no picture"), 400, "image_unreadable")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1", "/api/v1/nothing"])
def test_an_unknown_path_of_the_api_is_a_problem_not_the_page(client, path):
    require_problem(client.get(path), 404, "not_found")


def test_a_wrong_method_names_the_right_one(client):
    response = client.get(CLASSIFY)

    assert "POST" in require_problem(response, 405, "method_not_allowed").detail
    assert response.headers["allow"] == "POST"


def test_the_page_has_all_other_paths(client):
    assert "<title>" in client.get("/").text
    assert client.get("/apian").headers["content-type"].startswith("text/html")


def test_models_are_listed_with_the_one_that_serves(client):
    document = ModelsDocument.model_validate(client.get("/api/v1/models").json())

    serving = [model.name for model in document.models if model.serving]
    assert serving == ["efficientnet-lite2"] == [document.serving.name]
    assert {"resnet50", "resnet50-int8"} <= {model.name for model in document.models}
    assert document.note is None


def test_health_and_readiness(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {
        "status": "ready",
        "model": "efficientnet-lite2",
        "cache": "reachable",
        "cache_note": None,
    }


def test_metrics_count_answers_refusals_and_requests(client, cat):
    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    names = [
        'whatsit_answers_total{cache="hit"}',
        'whatsit_refusals_total{code="image_unreadable"}',
        'whatsit_http_requests_total{route="/api/v1/classify",status="400"}',
    ]
    client.post(CLASSIFY, content=cat)
    before = [value(name) for name in names]
    client.post(CLASSIFY, content=cat)
    client.post(CLASSIFY, content=b"no picture")

    assert [value(name) for name in names] == [count + 1 for count in before]
    assert 'whatsit_model_info{fingerprint="' in client.get("/metrics").text


def test_the_openapi_document_describes_every_route(client):
    document = client.get("/api/openapi.json").json()

    assert set(document["paths"]) == {
        CLASSIFY,
        EXPLAIN,
        "/api/v1/models",
        "/api/v1/answers/{sha256}",
        "/api/hf/models/{name}",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/repository/index",
        *(
            f"/v2/models/{{name}}{version}{end}"
            for version in ("", "/versions/{version}")
            for end in ("", "/ready", "/config", "/infer")
        ),
        "/api/v1/feedback",
        "/api/v1/feedback/{id}",
        "/api/v1/labels",
        "/api/v1/labels/{wnid}",
        "/api/v1/drift",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    body = document["paths"][CLASSIFY]["post"]["requestBody"]["content"]
    assert set(body) == {
        *("image/*", "application/octet-stream", "multipart/form-data"),
        "application/json",  # the address of a picture
    }
    explained = document["paths"][EXPLAIN]["post"]["responses"]["200"]["content"]
    assert set(explained) == {"image/png", "application/json"}


def test_the_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/api/docs").text
    addresses = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", page)

    assert addresses
    assert all(address.startswith("/api/") for address in addresses)
    for address in addresses:
        assert client.get(address).status_code == 200


def test_one_log_line_a_request_without_content_or_name(server, client, cat):
    client.post(
        CLASSIFY,
        files={"file": ("my-secret-holiday.jpg", cat)},
        headers={"X-Request-Id": "line-of-mine"},
    )

    def lines() -> list[str]:
        return [line for line in server.log.splitlines() if "line-of-mine" in line]

    # The line is written once the answer has left.
    assert wait_until(lambda: bool(lines()))
    assert len(lines()) == 1
    assert "POST /api/v1/classify 200" in lines()[0]
    assert "my-secret-holiday" not in server.log


def test_answers_are_compact_json_without_nan(client):
    text = client.post(CLASSIFY, content=plain_picture("white")).text

    assert json.loads(text, parse_constant=lambda name: pytest.fail(name))

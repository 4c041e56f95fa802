"""What the OpenAPI document promises, a real server keeps."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.conftest import ROOT
from tests.support.running import RunningServer, start_server
from whatsit.data import example_pictures
from whatsit.errors import InputError, Overloaded, WhatsitError
from whatsit.web.api.problems import STATUS_BY_ERROR

MODEL = "efficientnet-lite2"
CONFIGURATION = ROOT / "tests" / "schemathesis" / "schemathesis.toml"
PICTURE_ROUTES = ("/api/v1/classify", "/api/v1/explain")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with start_server(tmp_path_factory.mktemp("home"), "--no-ui", model=MODEL) as server:
        yield server


@pytest.fixture(scope="module")
def document(server: RunningServer) -> dict[str, Any]:
    with server.client() as client:
        found: dict[str, Any] = client.get("/api/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def media_types(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every kind of body that is answered with, and which it is."""
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                yield f"{name} {status} {kind}", content


def examples_of(content: dict[str, Any]) -> list[Any]:
    several = [entry["value"] for entry in content.get("examples", {}).values()]
    return [*several, *([content["example"]] if "example" in content else [])]


def test_the_document_is_valid(document):
    validate(document)


def test_every_answer_in_json_has_an_example_that_fits_its_schema(document):
    checked = 0
    for where, content in media_types(document):
        if "json" not in where:
            continue
        examples = examples_of(content)
        assert examples, where
        # The components lie beside the schema, where its references look for them.
        schema = {**content["schema"], "components": document["components"]}
        for example in examples:
            Draft202012Validator(schema).validate(example)
            checked += 1
    assert checked > 20


@pytest.mark.parametrize("path", PICTURE_ROUTES)
def test_every_refusal_of_a_picture_is_named_by_status_and_code(document, path):
    named = {
        code: int(status)
        for status, response in document["paths"][path]["post"]["responses"].items()
        for code in response["content"].get("application/problem+json", {}).get("examples", {})
    }
    refusals: list[type[WhatsitError]] = [*InputError.__subclasses__(), Overloaded]
    # No parameter of a request names a model, a label or a correction, and only one route takes
    # addresses of pictures.
    elsewhere = {"unknown_model", "answer_unknown", "label_unknown", "feedback_unknown"}
    elsewhere |= {"feedback_full"}
    if path != "/api/v1/classify":
        elsewhere |= {"urls_off", "url_unreachable"}

    assert {
        kind.code: int(STATUS_BY_ERROR[kind]) for kind in refusals if kind.code not in elsewhere
    }.items() <= named.items()
    assert not elsewhere & named.keys()


def test_every_response_names_its_request(document):
    for name, operation in operations(document).items():
        for status, response in operation["responses"].items():
            assert "X-Request-Id" in response["headers"], f"{name} {status}"


def test_a_path_with_a_slash_too_many_is_no_redirect(server):
    with server.client() as client:
        answer = client.get("/readyz/")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def run_schemathesis(server: RunningServer, folder: Path, *options: str) -> None:
    """All checks of Schemathesis on everything in the document, within bounds."""
    headers = dict([options[-1].split(": ", 1)]) if "-H" in options else {}
    with server.client(headers=headers) as client:
        # One answer is kept, so that there is one to find again.
        assert client.post("/api/v1/classify", content=example_pictures()["bee"]).is_success
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(CONFIGURATION)),
        *("run", f"{server.url}/api/openapi.json", "--checks", "all", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing", "--no-color"),
        *("--seed", "4", "--request-timeout", "20", *options),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout, done.stdout


@pytest.mark.extended
def test_schemathesis_finds_nothing(server, tmp_path):
    run_schemathesis(server, tmp_path, "--max-examples", "20")


@pytest.mark.extended
def test_schemathesis_finds_nothing_where_keys_are_needed(tmp_path):
    made = subprocess.run(
        [sys.executable, "-m", "whatsit", "keys", "create", "me", "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    key = made.stdout.strip()
    environment = {"WHATSIT_API_KEYS": "required"}
    with start_server(tmp_path, "--no-ui", model=MODEL, environment=environment) as server:
        run_schemathesis(
            server, tmp_path, "--max-examples", "5", "-H", f"Authorization: Bearer {key}"
        )

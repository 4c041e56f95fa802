"""Nothing leaves the machine: no name is looked up, nobody is asked, nothing is strewn about."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.visitor import choose, open_page, picture_file, require_answer
from tests.observing import Observed
from tests.support.running import start_server
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

MODEL = "efficientnet-lite2"


@pytest.fixture(scope="module")
def served(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """``whatsit serve``: all pages opened, a picture answered and explained, and stopped."""
    observed = Observed(tmp_path_factory.mktemp("served"))
    with start_server(
        observed.store,
        model=MODEL,
        environment=observed.environment,
        inherits=False,
        prefix=observed.prefix,
        folder=observed.working,
    ) as server:
        context = browser.new_context()
        page = context.new_page()
        for name in ("watch", "model"):
            page.goto(f"{server.url}/{name}")
            expect(page.get_by_role("heading", level=1).first).to_be_visible(timeout=20_000)
        open_page(page, server.url)
        choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
        require_answer(page, "A bee")
        page.get_by_role("button", name="Why?").click()
        expect(page.get_by_role("img", name="are bright")).to_be_visible(timeout=15_000)
        context.close()
    observed.await_end(server.process.pid)
    return observed


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """``whatsit classify`` on a picture, with OpenVINO."""
    return classify(tmp_path_factory.mktemp("classified"), "openvino")


@pytest.fixture(scope="module")
def classified_by_onnxruntime(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """``whatsit classify`` on a picture, with the other engine."""
    return classify(tmp_path_factory.mktemp("onnxruntime"), "onnxruntime")


def classify(folder: Path, engine: str) -> Observed:
    observed = Observed(folder / "observed")
    picture = folder / "bee.jpg"
    picture.write_bytes(example_pictures()["bee"])
    arguments = ("classify", "--model", MODEL, "--store", str(observed.store), str(picture))
    output = observed.run(*arguments, environment={"WHATSIT_ENGINE": engine})
    assert "A bee" in output
    return observed


@pytest.fixture(params=["served", "classified", "classified_by_onnxruntime"])
def observed(request: pytest.FixtureRequest) -> Observed:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Observed)
    return found


def test_nobody_is_asked(observed):
    assert observed.python_contacts() == []


def test_nothing_is_written_outside_the_store(observed):
    assert observed.new_files() == []
    assert observed.python_writes() == []


def test_native_code_asks_nobody_and_writes_nowhere_else(observed):
    if not observed.sees_native_code:
        pytest.skip("System calls can't be watched without strace; install the package strace.")
    assert observed.native_contacts() == []
    assert observed.native_writes() == []

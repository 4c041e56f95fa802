"""What the documents claim is run, and what they list is complete."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from scripts.build_docs import PAGES
from tests.conftest import ROOT
from tests.support.waiting import wait_until
from whatsit.data import example_pictures
from whatsit.model_card import ModelCard

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_ELSEWHERE = {
    "make run": "test_make_run_starts_the_page",
    "make test": "the run that runs this",
    "make check": "continuous integration runs it",
    "make fix": "changes files",
    "make up": "make test-docker starts them",
    "make down": "make test-docker stops them",
    "pip install 'whatsit[training]'": "make test-training installs it",
    "whatsit models import": "make test-training imports networks",
    "docker compose": "tests/unit/test_compose_files.py reads them",
    "git pull": "changes files",
    "apt-get": "needs root",
    "python scripts/build_labels.py": "needs WordNet",
    "whatsit pipeline": "test_pipeline_page.py runs them in order",
}


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of one language in a Markdown file."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Every shell command in the documents, with the document's name."""
    found = []
    for document in DOCUMENTS:
        for block in blocks(document, "sh"):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                (document.name, line.split(" #")[0].strip()) for line in lines if line.strip()
            ]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the pictures that the documents speak of."""
    for name, picture in example_pictures().items():
        (tmp_path / f"{name}.jpg").write_bytes(picture)
    return tmp_path


def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "WHATSIT_STORE": str(tmp_path / "home"),
        "WHATSIT_MODEL": "efficientnet-lite2",
    }


def test_there_are_commands_to_run():
    assert len(commands()) > 10


@pytest.mark.parametrize(("document", "command"), commands())
def test_a_command_works(document, command, folder, server):
    if command.startswith(tuple(RUN_ELSEWHERE)):
        return
    command = command.replace("http://localhost:8501", server.url)
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    # A command that writes a file tells so beside the results.
    assert done.stdout.strip() or ("--out" in command and done.stderr.strip())
    assert '"code"' not in done.stdout, "an HTTP problem"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run_and_print(document, folder, server):
    for block in blocks(document, "python"):
        block = block.replace("localhost:8501", server.url.removeprefix("http://"))
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert "bee" in done.stdout


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_javascript_blocks_run_and_print(document, server, browser):
    for block in blocks(document, "js"):
        page = browser.new_page()
        printed: list[str] = []
        page.on("console", lambda message, printed=printed: printed.append(message.text))
        page.route("**/bee.jpg", lambda route: route.fulfill(body=example_pictures()["bee"]))
        page.goto(f"{server.url}/api/docs")
        page.evaluate(f"async () => {{ {block} }}")
        page.close()
        assert any("bee" in line for line in printed)


def test_every_route_is_shown_in_an_example(server):
    with server.client() as client:
        described = client.get("/api/openapi.json").json()["paths"]
    shown = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("api.md", "clients.md"))

    missing = [
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method in methods
        if f"`{method.upper()} {path}`" not in shown
    ]
    assert not missing


def test_every_page_stands_in_the_table_of_contents():
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")

    for page in sorted((ROOT / "docs").glob("*.md")):
        assert page.name == "README.md" or f"({page.name})" in contents


def test_make_run_starts_the_page(tmp_path):
    if not (ROOT / ".venv" / ".ready-run").exists():
        pytest.skip("This is not run by `make test`, so `make run` would install all over again.")
    log = tmp_path / "log"
    with log.open("w") as target:
        process = subprocess.Popen(
            ["make", "run", f"ARGS=--port 0 --store {tmp_path} --model efficientnet-lite2"],
            cwd=ROOT,
            stderr=target,
            start_new_session=True,
        )
    try:
        assert wait_until(lambda: "whatsit is ready on" in log.read_text())
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(20)


@pytest.mark.parametrize("page", PAGES)
def test_pages_made_from_the_code_are_fresh(page):
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")

    assert written == PAGES[page](), "Run: python scripts/build_docs.py"


def test_every_key_of_the_card_is_documented():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    sections = 0
    for name, field in ModelCard.model_fields.items():
        # A section that a card may lack is annotated as "section or None".
        for kind in get_args(field.annotation) or (field.annotation,):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                sections += 1
                for key in kind.model_fields:
                    assert f"`{field.alias or name}.{key}`" in page

    assert sections >= 6


def test_links_within_the_repository_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_two_commands_stand_in_the_first_screen_of_the_readme():
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25])

    assert "make run" in first_screen
    assert "make test" in first_screen


def test_the_makefile_lists_its_commands():
    if shutil.which("make") is None:
        pytest.skip("make is not installed.")
    listed = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for command in ("install", "run", "test", "check", "bench"):
        assert f"make {command}" in listed

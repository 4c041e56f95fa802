"""What the documents claim is run, and what they list is complete."""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from scripts.build_docs import PAGES
from tests.conftest import ROOT
from tests.docs.fences import Fence, all_fences, pages
from tests.support.waiting import wait_until
from whatsit.cli import cli
from whatsit.data import example_pictures
from whatsit.model_card import ModelCard

SERVER = "http://localhost:8501"
BEYOND_CLICK = re.compile(r"[|&;<>$`()*~]")


def fences(language: str) -> list[Fence]:
    """The fences of one language that are run here."""
    return [fence for fence in all_fences() if fence.language == language and not fence.note]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all commands."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def folder(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the pictures that the documents speak of."""
    for name, picture in example_pictures().items():
        (tmp_path / f"{name}.jpg").write_bytes(picture)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("WHATSIT_STORE", str(store))
    monkeypatch.setenv("WHATSIT_MODEL", "efficientnet-lite2")
    return tmp_path


def run_command(command: str) -> tuple[str, str]:
    """Run a command, and give what it prints: ours in this process, others in a shell."""
    words = shlex.split(command) if not BEYOND_CLICK.search(command) else []
    settings = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, settings[name] = words.pop(0).partition("=")
    if words and words[0] == "whatsit":
        ran = CliRunner().invoke(cli, words[1:], env=settings)
        if ran.exception is not None:
            raise ran.exception
        return ran.stdout, ran.stderr
    done = subprocess.run(
        ["bash", "-euc", command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.parametrize("fence", fences("sh"), ids=str)
def test_commands_work(fence, folder, server):
    for command in fence.commands:
        printed, noted = run_command(command.replace(SERVER, server.url))

        # A command that writes a file says so on standard error.
        assert printed.strip() or ("--out" in command and noted.strip()), command
        assert '"code"' not in printed, "an HTTP problem"


@pytest.mark.filterwarnings("ignore")  # of other people's clients
@pytest.mark.parametrize("fence", fences("python"), ids=str)
def test_python_runs_and_prints(fence, folder, server):
    block = fence.text.replace(SERVER, server.url).replace(
        SERVER.removeprefix("http://"), server.url.removeprefix("http://")
    )
    printed = io.StringIO()
    # In a thread of its own, where no event loop of a browser runs.
    with contextlib.redirect_stdout(printed), ThreadPoolExecutor(1) as thread:
        thread.submit(exec, compile(block, str(fence), "exec"), {"__name__": "__main__"}).result()

    assert "bee" in printed.getvalue()


@pytest.mark.parametrize("fence", fences("js"), ids=str)
def test_javascript_runs_and_prints(fence, server, browser):
    page = browser.new_page()
    printed: list[str] = []
    page.on("console", lambda message: printed.append(message.text))
    page.route("**/bee.jpg", lambda route: route.fulfill(body=example_pictures()["bee"]))
    page.goto(f"{server.url}/api/docs")
    page.evaluate(f"async () => {{ {fence.text} }}")
    page.close()

    assert any("bee" in line for line in printed)


def test_every_route_is_shown_in_an_example(server):
    with server.client() as client:
        described = client.get("/api/openapi.json").json()["paths"]
    shown = "".join(
        (ROOT / "docs" / "use" / name).read_text("utf-8") for name in ("api.md", "clients.md")
    )

    missing = [
        f"{method.upper()} {path}"
        for path, methods in described.items()
        for method in methods
        if f"`{method.upper()} {path}`" not in shown
    ]
    assert not missing


def test_every_page_stands_in_the_table_of_contents_and_in_the_site():
    docs = ROOT / "docs"
    contents = (docs / "README.md").read_text(encoding="utf-8")
    decisions = (docs / "decisions" / "README.md").read_text(encoding="utf-8")
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    names = [page.relative_to(docs).as_posix() for page in sorted(docs.rglob("*.md"))]
    numbered = [page for page in names if re.match(r"decisions/\d", page)]

    assert len(names) > 30
    assert [page for page in numbered if f"({Path(page).name})" not in decisions] == []
    others = [page for page in names if page not in numbered]
    assert [page for page in others if f'"{page}"' not in navigation] == []
    assert [page for page in others if page != "README.md" and f"({page})" not in contents] == []


def test_every_make_command_that_a_document_names_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {
        (target, page.name)
        for page in pages()
        for target in re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", page.read_text("utf-8"), re.M)
    }

    assert len(named) > 10
    assert [where for where in sorted(named) if where[0] not in targets] == []


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
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")

    assert written == PAGES[page](), "Run: python scripts/build_docs.py"


def test_every_key_of_the_card_is_documented():
    page = (ROOT / "docs" / "models" / "models.md").read_text(encoding="utf-8")
    sections = 0
    for name, field in ModelCard.model_fields.items():
        # A section that a card may lack is annotated as "section or None".
        for kind in get_args(field.annotation) or (field.annotation,):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                sections += 1
                for key in kind.model_fields:
                    assert f"`{field.alias or name}.{key}`" in page

    assert sections >= 6


def test_the_first_screen_of_the_readme_starts_it():
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:26])

    assert "docker compose up" in first_screen
    assert "make run" in first_screen


def test_the_makefile_lists_its_commands():
    if shutil.which("make") is None:
        pytest.skip("make is not installed.")
    listed = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    for command in ("install", "run", "test", "check", "bench"):
        assert f"make {command}" in listed

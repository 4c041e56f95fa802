"""The page below a prefix, behind a proxy that takes it away."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.visitor import Complaints, choose, open_page, picture_file, require_answer
from tests.support.private_redis import free_port
from tests.support.proxies import CADDY
from tests.support.running import RunningServer
from tests.support.waiting import wait_until
from whatsit.data import example_pictures

pytestmark = pytest.mark.browser

CONFIGURATION = """
{{
    admin off
    auto_https off
}}
http://127.0.0.1:{port} {{
    redir /pictures /pictures/
    handle_path /pictures/* {{
        reverse_proxy {upstream}
    }}
}}
"""


@pytest.fixture
def address(server: RunningServer, tmp_path: Path) -> Iterator[str]:
    """Where a visitor finds the page: the server's, below ``/pictures/``."""
    port = free_port()
    upstream = server.url.removeprefix("http://")
    file = tmp_path / "Caddyfile"
    file.write_text(CONFIGURATION.format(port=port, upstream=upstream))
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with (tmp_path / "log").open("w") as log:
        command = [str(CADDY), "run", "--config", str(file)]
        proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def answers() -> bool:
        try:
            return httpx.get(f"{at}healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    at = f"http://127.0.0.1:{port}/pictures/"
    try:
        assert wait_until(answers), (tmp_path / "log").read_text()
        yield at
    finally:
        proxy.terminate()
        proxy.wait()


def test_the_page_works_below_a_prefix(browser: Browser, address: str):
    context = browser.new_context()
    page = context.new_page()
    complaints = Complaints(page, address)
    open_page(page, address)
    choose(page, picture_file("bee.jpg", example_pictures()["bee"]))
    require_answer(page, "A bee")
    page.get_by_text("Ask from a program").click()
    expect(page.get_by_role("tabpanel")).to_contain_text(f"{address}api/v1/classify")
    page.goto(f"{address}model")
    expect(page.get_by_role("heading", name="The model that answers")).to_be_visible(timeout=30_000)
    page.get_by_role("link", name="Ask").click()
    expect(page.get_by_role("button", name="Choose pictures")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("link", name="API for programs")).to_have_attribute("href", "api/docs")
    context.close()
    assert complaints.found == []

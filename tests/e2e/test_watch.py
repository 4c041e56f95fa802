"""The page Watch: as usual at first, different once other pictures come."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.test_page import require_accessible
from tests.e2e.visitor import DESKTOP, PHONE, Complaints, require_fits
from tests.integration.test_drift import DRIFT, odd_pictures, window_of
from tests.support.running import RunningServer, start_server

pytestmark = [pytest.mark.browser, pytest.mark.shared]

CLASSIFY = "/api/v1/classify"


def ask(server: RunningServer, pictures: list[bytes]) -> None:
    with server.client() as client:
        for picture in pictures:
            client.post(CLASSIFY, content=picture).raise_for_status()


def signal_row(page: Page, name: str) -> str:
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    expect(row).to_have_count(1)
    return row.inner_text()


def test_the_page_tells_usual_pictures_from_others(browser: Browser, shared, tmp_path):
    photographs = sorted((shared / "images" / "photos300").glob("*.JPEG"))[::5]
    with start_server(tmp_path, model="efficientnet-lite2") as server:
        page = browser.new_page(viewport=DESKTOP)
        complaints = Complaints(page, server.url)
        ask(server, [file.read_bytes() for file in photographs])
        page.goto(f"{server.url}/watch")
        page.get_by_role("heading", name="What changed").wait_for()
        latest = page.locator("dt", has_text="Of the last 1,000 pictures").locator("+ dd")
        expect(latest).to_contain_text(f"as usual · {len(photographs)} new pictures")
        assert "as usual" in signal_row(page, "Likeness to photographs")
        expect(page.get_by_text("Next:")).to_have_count(0)
        expect(page.get_by_text("No answer has a verdict yet")).to_be_visible()
        require_accessible(page)

        ask(server, odd_pictures(100))
        with server.client() as client:
            assert window_of(client)["drift"] == "different"
            sha256 = client.post(CLASSIFY, content=photographs[0].read_bytes()).json()["image"]
            said = {"sha256": sha256["sha256"], "verdict": "right"}
            client.post("/api/v1/feedback", json=said).raise_for_status()
            assert client.get(DRIFT).json()["feedback"][0]["right"] == 1
        state = 'whatsit_drift_state{signal="familiarity",window="latest"}'
        assert server.metric(state) == 2

        page.reload()
        page.get_by_role("heading", name="What changed").wait_for()
        expect(latest).to_contain_text(f"different · {len(photographs) + 100} new pictures")
        assert "different" in signal_row(page, "Likeness to photographs")
        bars = page.get_by_role("img", name=re.compile("How sure it is: most moved"))
        expect(bars).to_be_visible()
        expect(page.get_by_text("whatsit pipeline run")).to_be_visible()
        expect(page.get_by_role("cell", name="100 %")).to_be_visible()
        require_accessible(page)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(500)
        require_accessible(page)
        page.set_viewport_size(PHONE)
        require_fits(page)
        page.close()

    assert complaints.found == []

"""A real server tells how far the pictures it is sent lie from its model's reference."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.odd_pictures import draw_odd_picture
from tests.integration.test_api import CLASSIFY
from tests.support.running import start_server
from tests.support.waiting import wait_until
from whatsit.drift.signals import SIGNALS
from whatsit.web.api.schemas import DriftDocument

DRIFT = "/api/v1/drift"


def odd_pictures(count: int, start: int = 0) -> list[bytes]:
    """PNGs of charts, pages and screenshots."""
    kinds = ("chart", "text_page", "screenshot", "barcode")
    found = []
    for number in range(start, start + count):
        encoded = io.BytesIO()
        image = draw_odd_picture(kinds[number % len(kinds)], number)
        image.convert("RGB").resize((640, 480)).save(encoded, "PNG", compress_level=1)
        found.append(encoded.getvalue())
    return found


def window_of(client: httpx.Client, name: str = "latest") -> dict[str, Any]:
    document = DriftDocument.model_validate(client.get(DRIFT).json()).model_dump()
    (window,) = (each for each in document["windows"] if each["window"] == name)
    return dict(window)


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two processes"])
def processes(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_odd_pictures_are_counted_once_and_told_by_every_process(processes, tmp_path):
    options = ("--no-ui", "--workers", str(processes))
    with start_server(tmp_path, *options, model="efficientnet-lite2") as server:
        pictures = odd_pictures(60)
        for picture in pictures:
            # A connection of its own, so that any process may take it.
            with server.client() as client:
                client.post(CLASSIFY, content=picture).raise_for_status()
        with server.client() as client:
            for picture in pictures[:10]:
                assert client.post(CLASSIFY, content=picture).json()["cache"] == "hit"
            for picture in pictures[:10]:
                client.post(CLASSIFY, params={"cache": "bypass"}, content=picture)

        def counted() -> int:
            with server.client() as client:
                return int(window_of(client)["pictures"])

        # The others tell what they counted every second. A picture that is computed again by
        # another process than before counts there as well.
        assert wait_until(lambda: counted() >= 60)
        assert counted() <= 60 + 10 * (processes - 1)
        for _ in range(4):
            with server.client() as client:
                assert window_of(client)["drift"] == "different"
                assert window_of(client, "day")["drift"] == "different"
        with server.client() as client:
            document = client.get(DRIFT).json()
            text = client.get("/metrics").text

    assert document["reference"]["pictures"] == 300
    assert document["feedback"] == []
    assert "whatsit pipeline run" in document["next_step"]
    assert [each["signal"] for each in document["windows"][0]["signals"]] == list(SIGNALS)
    states = [line for line in text.splitlines() if line.startswith("whatsit_drift_state{")]
    assert len(states) == processes * 2 * len(SIGNALS)
    told = [line for line in states if 'signal="colour_entropy"' in line and "latest" in line]
    assert any(line.endswith(" 2.0") for line in told)


def test_a_model_without_a_reference_is_served_and_says_so(tmp_path: Path, shared):
    from whatsit.models.store import ModelStore

    ModelStore(tmp_path).add(shared / "models" / "resnet50-tf")
    with (
        start_server(tmp_path, "--no-ui", model="resnet50") as server,
        server.client() as client,
    ):
        client.post(CLASSIFY, content=odd_pictures(1)[0]).raise_for_status()
        document = client.get(DRIFT).json()
        text = client.get("/metrics").text

    assert (document["reference"], document["windows"]) == (None, [])
    assert document["next_step"] is None
    assert "whatsit_drift_state{" not in text

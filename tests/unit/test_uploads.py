"""The gate before Streamlit's own way for files to come in."""

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse

from whatsit.web.ui.uploads import NoUploads


def status_of(method: str, path: str) -> int:
    async def run() -> int:
        transport = httpx.ASGITransport(NoUploads(PlainTextResponse("taken")))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return (await client.request(method, path)).status_code

    return asyncio.run(run())


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/_stcore/upload_file/session/file", "/_stcore/upload_file", "/x/_stcore/upload_file/"]
)
def test_no_file_comes_in(method, path):
    assert status_of(method, path) == 403


def test_other_requests_pass():
    assert status_of("GET", "/_stcore/upload_file/session/file") == 200
    assert status_of("DELETE", "/_stcore/upload_file/session/file") == 200
    assert status_of("POST", "/_stcore/host-config") == 200

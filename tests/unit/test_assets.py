"""The files of the page's own part: where they are, and how long a browser may keep them."""

import asyncio
import posixpath
import re

import httpx
import pytest
from starlette.responses import PlainTextResponse

from whatsit.data import example_pictures
from whatsit.web.ui.assets import (
    ASSETS_PREFIX,
    Assets,
    asset_address,
    asset_files,
    assets_version,
    style_addresses,
)


def ask(path: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(Assets(PlainTextResponse("the page")))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("ask/main.js", "text/javascript"),
        ("ask/css/theme.css", "text/css"),
        ("ask/strings/en/page.json", "application/json"),
        ("examples/bee.jpg", "image/jpeg"),
    ],
)
def test_a_file_is_kept_for_ever_under_its_version_and_asked_for_again_without(path, media_type):
    kept, plain = ask(asset_address(path)), ask(f"{ASSETS_PREFIX}{path}")

    assert kept.status_code == plain.status_code == 200
    assert kept.headers["content-type"].split(";")[0] == media_type
    assert "immutable" in kept.headers["cache-control"]
    assert plain.headers["cache-control"] == "no-cache"
    assert kept.content == plain.content == asset_files()[path]
    again = ask(f"{ASSETS_PREFIX}{path}", if_none_match="unused")
    assert again.status_code == 200
    known = ask(f"{ASSETS_PREFIX}{path}", **{"If-None-Match": plain.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_an_address_of_another_version_gets_our_file_but_not_for_ever():
    answer = ask(f"{ASSETS_PREFIX}0123456789abcdef/ask/main.js")

    assert answer.content == asset_files()["ask/main.js"]
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        *("", "ask", "ask/", "nothing.js", "../page.css", "ask/../../app.py", "ask/%2e%2e/x"),
        *("examples/README.md", "mark.svg", f"{assets_version()}/"),
    ],
)
def test_there_is_nothing_else(path):
    answer = ask(f"{ASSETS_PREFIX}{path}")

    if answer.text == "the page":
        assert not str(answer.request.url.path).startswith(ASSETS_PREFIX)
    else:
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"


def test_other_paths_pass_and_other_methods_do_not():
    assert ask("/").text == "the page"
    assert ask("/whatsit-assets").text == "the page"
    answer = ask(asset_address("ask/main.js"), "POST")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["code"] == "method_not_allowed"


def test_the_colours_come_before_what_uses_them_and_every_sheet_is_there():
    addresses = style_addresses()

    assert addresses[0] == asset_address("ask/css/theme.css")
    assert asset_address("ask/css/answer.css") in addresses
    assert len(set(addresses)) == len(addresses)
    assert all(ask(address).status_code == 200 for address in addresses)


def test_all_examples_are_there():
    for name, picture in example_pictures().items():
        assert ask(asset_address(f"examples/{name}.jpg")).content == picture


def test_modules_load_nothing_from_elsewhere_and_name_only_modules_that_exist():
    sources = {path: text.decode() for path, text in asset_files().items() if path.endswith(".js")}
    for path, source in sources.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(", source), path
        for imported in re.findall(r'from "([^"]+)"', source):
            assert imported.startswith(("./", "../")), path
            assert posixpath.normpath(f"{path}/../{imported}") in sources, f"{path}: {imported}"


def test_every_string_that_our_modules_ask_for_exists_and_none_is_left_over():
    import json

    strings = json.loads(asset_files()["ask/strings/en/page.json"])
    source = "".join(text.decode() for path, text in asset_files().items() if path.endswith(".js"))
    used = set(re.findall(r'"page\.(\w+)"', source))
    families = re.findall(r"`page\.(\w+)\$\{", source)

    assert used <= set(strings)
    unused = {key for key in set(strings) - used if not key.startswith(tuple(families))}
    assert unused == set()

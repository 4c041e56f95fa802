"""The files that the page's own part runs on, served from memory."""

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from mimetypes import guess_type

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from whatsit.data import example_pictures
from whatsit.web.api.problems import problem

ASSETS_PREFIX = "/whatsit-assets/"

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"
# A system's own table may know less, and a module of another type is not run.
_TYPES = {"js": "text/javascript", "css": "text/css", "json": "application/json"}


@cache
def asset_files() -> Mapping[str, bytes]:
    """All files by their path below the prefix: ``ask/…`` and ``examples/…``."""
    files = dict(_walk(resources.files("whatsit.web.ui") / "assets" / "ask", "ask"))
    pictures = example_pictures()
    return files | {f"examples/{name}.jpg": picture for name, picture in pictures.items()}


@cache
def assets_version() -> str:
    """A digest of all files; it stands in their addresses, so that these never go stale.

    It is part of the path, because a module names the others relative to its own address.
    """
    digest = hashlib.sha256()
    for path, content in sorted(asset_files().items()):
        digest.update(f"{path} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def asset_address(path: str) -> str:
    """The address of a file that a browser may keep for ever."""
    return f"{ASSETS_PREFIX}{assets_version()}/{path}"


def style_addresses() -> list[str]:
    """The style sheets of all modules; the one with the colours comes first."""
    sheets = (path for path in asset_files() if path.startswith("ask/") and path.endswith(".css"))
    ordered = sorted(sheets, key=lambda path: (path != "ask/css/theme.css", path))
    return [asset_address(path) for path in ordered]


class Assets:
    """Answers for everything below `ASSETS_PREFIX`, and lets everything else through.

    A file has two addresses: one with the version, to be kept for ever, and one without, to be
    asked for again each time.

    Args:
        app: Gets all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if scope["type"] != "http" or not scope["path"].startswith(ASSETS_PREFIX):
            await self._app(scope, receive, send)
            return
        await _answer(scope)(scope, receive, send)


def _answer(scope: Scope) -> Response:
    method, path = scope["method"], scope["path"].removeprefix(ASSETS_PREFIX)
    if method not in ("GET", "HEAD"):
        detail = f"{scope['path']} does not take {method}; it takes GET."
        return problem(405, "method_not_allowed", detail, {"Allow": "GET, HEAD"})
    version, _, rest = path.partition("/")
    caching = _ASK_EACH_TIME
    if rest in asset_files():
        # A page of another version may ask while servers are replaced; what it gets is ours.
        caching = _FOR_EVER if version == assets_version() else _ASK_EACH_TIME
        path = rest
    content = asset_files().get(path)
    if content is None:
        return problem(404, "not_found", f"There is nothing at {scope['path']}.")
    tag = f'"{assets_version()}"'
    headers = {"Cache-Control": caching, "ETag": tag}
    if any(name == b"if-none-match" and value == tag.encode() for name, value in scope["headers"]):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_type_of(path))


def _type_of(path: str) -> str:
    ending = path.rpartition(".")[2]
    return _TYPES.get(ending) or guess_type(path)[0] or "application/octet-stream"


def _walk(folder: Traversable, path: str) -> Iterable[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{path}/{entry.name}")
        elif entry.name.endswith((".js", ".css", ".json")):
            yield f"{path}/{entry.name}", entry.read_bytes()

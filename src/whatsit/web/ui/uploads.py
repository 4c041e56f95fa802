"""Streamlit's own way for files to come in, closed.

Streamlit takes any number of files from every session on a route of its own, and keeps them as
long as the session lives. The page needs none of that: its pictures go to the API.
"""

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_UPLOADS = "/_stcore/upload_file"


class NoUploads:
    """Refuses every file before anything of it is read.

    Args:
        app: Streamlit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        if (
            scope["type"] == "http"
            and scope["method"] in ("PUT", "POST", "PATCH")
            and _UPLOADS in scope["path"]
        ):
            refusal = PlainTextResponse(
                "This page takes no files here; pictures go to POST /api/v1/classify.",
                403,
                {"Connection": "close"},
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

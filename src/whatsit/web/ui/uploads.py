"""How a visitor's picture comes in, and how it leaves memory again.

Streamlit receives uploads on a route of its own, keeps them as long as their widget or session
lives, and takes any number of them from every session. Here a session may upload only once the
page has drawn a drop zone for it, it holds one picture at a time, all sessions together hold a
bounded number, and each picture leaves with its answer, or after a minute if nobody asks for it.
"""

import asyncio
from collections.abc import Callable
from typing import cast
from weakref import WeakValueDictionary

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from whatsit.errors import Overloaded

UPLOAD_PREFIX = "/_stcore/upload_file/"

KEPT_SECONDS = 60.0
"""How long a picture may wait for its answer."""

MAX_AT_ONCE = 16
"""Pictures that are arriving or waiting for their answer, of all sessions together."""

_PASS = "upload_pass"


class _Pass:
    """Lives in a session's state, so that it ends with the session."""


_passes: WeakValueDictionary[str, _Pass] = WeakValueDictionary()


def admit_session() -> None:
    """From now on, the visitor for whom this script runs may upload."""
    context = get_script_run_ctx()
    if context is not None:
        _passes[context.session_id] = st.session_state.setdefault(_PASS, _Pass())


def take_upload(key: str) -> bytes | None:
    """What was uploaded into a widget; with this call it leaves the server's store.

    Args:
        key: The widget's. Draw the widget under another key from then on, or the session keeps
            the bytes.

    Returns:
        None if nothing was uploaded, or if it waited so long that it is gone.
    """
    context = get_script_run_ctx()
    if context is not None:
        upload = st.session_state.get(key)
        # Streamlit never frees a file before its widget goes. This interface is not public;
        # tests/unit/test_ask_page.py fails when it changes.
        context.uploaded_file_mgr.remove_session_files(context.session_id)
        if isinstance(upload, UploadedFile):
            return upload.getvalue()
    return None


def _streamlit_store() -> MemoryUploadedFileManager:
    return cast(MemoryUploadedFileManager, get_instance().uploaded_file_mgr)


class UploadGate:
    """Stands before Streamlit's upload route; see the module.

    Args:
        app: Streamlit.
        max_at_once: Refuse further pictures while so many are arriving or waiting.
        kept_seconds: Drop a picture that nobody asked for after this long.
        store: Where Streamlit keeps uploads.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_at_once: int = MAX_AT_ONCE,
        kept_seconds: float = KEPT_SECONDS,
        store: Callable[[], MemoryUploadedFileManager] = _streamlit_store,
    ) -> None:
        self._app = app
        self._max_at_once = max_at_once
        self._kept_seconds = kept_seconds
        self._store = store
        self._arriving = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; see the ASGI specification."""
        is_upload = (
            scope["type"] == "http"
            and scope["method"] == "PUT"
            and scope["path"].startswith(UPLOAD_PREFIX)
        )
        if not is_upload:
            await self._app(scope, receive, send)
            return
        session_id, _, file_id = scope["path"].removeprefix(UPLOAD_PREFIX).partition("/")
        if session_id not in _passes:
            refusal = PlainTextResponse("This page takes no pictures from you.", 403)
            await refusal(scope, receive, send)
        elif self._arriving + self._waiting() >= self._max_at_once:
            overloaded = Overloaded()
            headers = {"Retry-After": f"{overloaded.retry_after_seconds:.0f}"}
            await PlainTextResponse(overloaded.detail, 503, headers)(scope, receive, send)
        else:
            self._arriving += 1
            try:
                await self._app(scope, receive, send)
            finally:
                self._arriving -= 1
                self._keep_only(session_id, file_id)

    def _keep_only(self, session_id: str, file_id: str) -> None:
        store = self._store()
        for other in [*store.file_storage.get(session_id, {})]:
            if other != file_id:
                store.remove_file(session_id, other)
        loop = asyncio.get_running_loop()
        loop.call_later(self._kept_seconds, store.remove_file, session_id, file_id)

    def _waiting(self) -> int:
        return sum(len(files) for files in [*self._store().file_storage.values()])

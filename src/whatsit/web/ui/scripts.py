"""The page's script, run by a few threads that all visitors share.

Left alone, Streamlit starts a thread for every message that asks for a run, while the one before
it still runs. They share Python with the event loop, which then hardly gets a turn.
"""

import logging
import threading
from contextvars import Context
from queue import SimpleQueue

from streamlit.runtime import app_session
from streamlit.runtime.scriptrunner import ScriptRunner, add_script_run_ctx

from whatsit.service.workers import give_way

SCRIPTS_AT_ONCE = 2

_log = logging.getLogger(__name__)
_waiting: SimpleQueue[ScriptRunner] = SimpleQueue()
_threads: list[threading.Thread] = []


class QueuedRunner(ScriptRunner):
    """Streamlit's runner of one visitor's script, without a thread of its own."""

    def start(self) -> None:
        """Have the script run as soon as a thread is free; returns at once."""
        _waiting.put(self)


def share_threads() -> None:
    """Make Streamlit run all scripts in `SCRIPTS_AT_ONCE` threads, first come, first served.

    A visitor has at most one run that waits, as long as ``runner.fastReruns`` is off: Streamlit
    adds further messages to it. Calling it again changes nothing.
    """
    app_session.ScriptRunner = QueuedRunner  # type: ignore[attr-defined]
    while len(_threads) < SCRIPTS_AT_ONCE:
        # A daemon, as Streamlit's own: a script that never ends must not keep the process.
        thread = threading.Thread(target=_run_all, name="whatsit-script", daemon=True)
        _threads.append(thread)
        thread.start()


def _run_all() -> None:
    give_way()
    while True:
        _run(_waiting.get())


def _run(runner: ScriptRunner) -> None:
    thread = threading.current_thread()
    runner._script_thread = thread
    try:
        # A new thread would begin without the last visitor's context variables; so does this.
        Context().run(runner._run_script_thread)
    except Exception:  # noqa: BLE001 - the thread is for the others as well
        _log.exception("The page's script could not be run.")
    finally:
        add_script_run_ctx(thread, None)

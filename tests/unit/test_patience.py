"""A database that hangs keeps nobody waiting but those who asked it."""

import asyncio
import threading
import time

import pytest

from whatsit.errors import FeedbackUnavailable
from whatsit.web.api.patience import Errands


def test_a_result_and_an_error_come_back():
    def fail() -> None:
        raise KeyError("gone")

    async def ask() -> None:
        errands = Errands()
        assert await errands.run(lambda: 42) == 42
        with pytest.raises(KeyError):
            await errands.run(fail)

    asyncio.run(ask())


def test_who_waits_too_long_is_told_so_and_it_works_again_afterwards(caplog):
    released = threading.Event()

    async def ask() -> None:
        errands = Errands(patience_seconds=0.05, max_running=2)
        begun = time.perf_counter()
        for _ in range(2):
            with pytest.raises(FeedbackUnavailable):
                await errands.run(released.wait)
        assert time.perf_counter() - begun < 20, "not waited for long"
        start = time.perf_counter()
        with pytest.raises(FeedbackUnavailable, match="few seconds"):
            await errands.run(lambda: 42)
        assert time.perf_counter() - start < 5, "refused without waiting"
        released.set()
        for _ in range(100):
            try:
                assert await errands.run(lambda: 42) == 42
                return
            except FeedbackUnavailable:
                await asyncio.sleep(0.02)
        pytest.fail("The places were not given back.")

    asyncio.run(ask())
    assert "does not answer" in caplog.text
    assert len(caplog.records) == 1, "said once, not each time"


def test_a_thread_that_hangs_does_not_outlive_the_process():
    started = threading.Event()
    hanging = threading.Event()

    def hang() -> None:
        started.set()
        hanging.wait()

    async def ask() -> bool:
        with pytest.raises(FeedbackUnavailable):
            await Errands(patience_seconds=0.01).run(hang)
        started.wait(5)
        return any(not t.daemon and t is not threading.main_thread() for t in threads_of(hang))

    assert asyncio.run(ask()) is False
    hanging.set()


def threads_of(work: object) -> list[threading.Thread]:
    found = [t for t in threading.enumerate() if work in getattr(t, "_args", ())]
    assert found
    return found

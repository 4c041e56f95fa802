"""Bodies that are slow, too many, too large or packed, and an application without limits."""

import asyncio
import json
from collections.abc import Iterable

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from tests.support.quick_time import run_quickly
from whatsit.errors import Overloaded, RateLimited, RequestTooSlow, WhatsitError
from whatsit.web.intake.intake import Intake
from whatsit.web.intake.layer import IntakeLayer
from whatsit.web.intake.shares import MAX_WAITING

SCOPE = {"type": "http", "method": "PUT", "path": "/somewhere", "headers": []}
GRACE_SECONDS = 8.0
MB = 1_000_000
Chunks = Iterable[tuple[float, int]]
"""How long to wait, and how many bytes come then."""


async def swallow(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says how long it was."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def talk(layer: IntakeLayer, *chunks: bytes, stalls: bool = False, **more: object) -> list[Message]:
    """What is answered to a body of these chunks; if it stalls, there is always more to come."""
    waiting = list(chunks)
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        more = len(waiting) > 1 or stalls
        return {"type": "http.request", "body": waiting.pop(0), "more_body": more}

    async def send(message: Message) -> None:
        sent.append(message)

    run_quickly(layer({**SCOPE, **more}, receive, send))
    return sent


def held(changes: list[int]) -> Intake:
    return Intake(1_000, GRACE_SECONDS, 1_000, on_change=changes.append)


class Sender:
    """Sends one body, and tells how that went.

    Args:
        intake: Takes it in.
        host: Where it comes from.
        chunks: The body; what is left out at its end never comes.
        declared: Its length, as the sender says; None for chunks without a length.
        answers_for: How long its answer takes.
    """

    def __init__(
        self,
        intake: Intake,
        host: str,
        chunks: Chunks,
        declared: int | None = None,
        answers_for: float = 0.0,
    ) -> None:
        self._intake = intake
        self._chunks = iter(chunks)
        self._answers_for = answers_for
        self._left = declared
        headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        self._scope = {**SCOPE, "client": (host, 1), "headers": headers}
        self.error: WhatsitError | None = None
        self.seconds = 0.0
        self.is_whole = False

    async def send(self) -> "Sender":
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with self._intake.take(dict(self._scope), self._receive) as body:
                while (await body())["more_body"]:
                    pass
                self.is_whole = True
                await asyncio.sleep(self._answers_for)
        except WhatsitError as error:
            self.error = error
        self.seconds = loop.time() - begun
        return self

    async def _receive(self) -> Message:
        pause, size = next(self._chunks, (10_000, 0))
        await asyncio.sleep(pause)
        if self._left is not None:
            self._left -= size
        return {"type": "http.request", "body": bytes(size), "more_body": self._left != 0}


def at_pace(bytes_per_second: int, size: int, step: float = 0.1) -> Chunks:
    """A body that comes evenly."""
    chunk = int(bytes_per_second * step)
    for start in range(0, size, chunk):
        yield step, min(chunk, size - start)


async def begun(*senders: Sender, seconds: float = 0.0) -> list["asyncio.Task[Sender]"]:
    """The senders at work for some time."""
    tasks = [asyncio.create_task(sender.send()) for sender in senders]
    await asyncio.sleep(seconds)
    return tasks


def all_sent(*senders: Sender) -> tuple[Sender, ...]:
    async def run() -> None:
        await asyncio.gather(*(sender.send() for sender in senders))

    run_quickly(run())
    return senders


# An application that knows nothing of limits


def test_a_whole_body_passes_and_is_let_go():
    changes: list[int] = []
    start, body = talk(IntakeLayer(swallow, held(changes)), b"x" * 600, b"y" * 300)

    assert (start["status"], body["body"]) == (200, b"900")
    assert changes == [600, 900, 0]


@pytest.mark.parametrize(
    ("chunks", "status", "code"),
    [((b"x",), 408, "request_too_slow"), ((b"x" * 600, b"y" * 600), 429, "rate_limited")],
)
def test_what_stalls_or_finds_no_room_is_answered_with_the_reason(chunks, status, code):
    changes: list[int] = []
    start, body = talk(IntakeLayer(swallow, held(changes)), *chunks, stalls=True)

    assert start["status"] == status
    assert (b"connection", b"close") in start["headers"]
    assert json.loads(body["body"])["code"] == code
    assert changes[-1] == 0


@pytest.mark.parametrize("packing", [b"gzip", b"br", b"deflate", b"zstd", b"identity, GZIP"])
def test_a_packed_body_is_told_so(packing):
    headers = [(b"content-encoding", packing)]
    start, body = talk(IntakeLayer(swallow, held([])), b"x", headers=headers)

    assert start["status"] == 415
    assert (b"accept-encoding", b"identity") in start["headers"]
    assert packing.decode() in json.loads(body["body"])["detail"]


@pytest.mark.parametrize("packing", [b"identity", b"", b" Identity "])
def test_a_body_that_is_packed_in_nothing_passes(packing):
    headers = [(b"content-encoding", packing)]
    start, _ = talk(IntakeLayer(swallow, held([])), b"x", headers=headers)

    assert start["status"] == 200


def test_an_application_that_takes_leaving_calmly_is_not_heard():
    async def calm(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await swallow(scope, receive, send)
        except ClientDisconnect:
            await PlainTextResponse("bye")(scope, receive, send)

    start, _ = talk(IntakeLayer(calm, held([])), b"x", stalls=True)
    assert start["status"] == 408


def test_other_failures_of_the_application_are_its_own():
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        talk(IntakeLayer(broken, held([])), b"x")


# One body


@pytest.mark.parametrize("first", [0, 1, 65_536, 19_999_900])
@pytest.mark.parametrize("declared", [20 * MB, None])
def test_a_body_that_brings_nothing_more_ends_after_five_seconds(first, declared):
    (sender,) = all_sent(Sender(Intake(200 * MB, GRACE_SECONDS), "a", [(0, first)], declared))

    assert isinstance(sender.error, RequestTooSlow)
    assert sender.seconds == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize("pause", [0.1, 1.0, 4.9])
def test_what_came_at_once_is_no_credit_for_long(pause):
    body = [(0, 19_999_900), *[(pause, 1)] * 99]
    (sender,) = all_sent(Sender(Intake(200 * MB, GRACE_SECONDS), "a", body, 20 * MB))

    assert isinstance(sender.error, RequestTooSlow)
    assert sender.seconds <= 10.2


def test_a_bad_line_that_keeps_up_takes_as_long_as_it_takes():
    bad = [(4.5 if number % 30 == 0 else 0.3, 10_000) for number in range(200)]
    (sender,) = all_sent(Sender(Intake(200 * MB, GRACE_SECONDS), "a", bad, 2 * MB))

    assert sender.is_whole
    assert sender.seconds > 60


def test_a_longer_grace_stays_as_long_as_it_was_set():
    body = [(4.9, 1)] * 11
    (sender,) = all_sent(Sender(Intake(200 * MB, 60), "a", body, 11))

    assert sender.is_whole


# One caller, and others


def test_one_caller_holds_a_quarter_and_others_find_room():
    changes: list[int] = []
    intake = Intake(200 * MB, GRACE_SECONDS, on_change=changes.append)
    silent = [Sender(intake, "a", [(0, 19_999_900)], 20 * MB) for _ in range(10)]
    honest = [Sender(intake, "b", at_pace(5 * MB, 5 * MB), 5 * MB) for _ in range(6)]
    all_sent(*silent, *honest)

    assert all(sender.is_whole for sender in honest)
    assert max(changes) <= 80 * MB
    assert all(sender.error for sender in silent)
    assert changes[-1] == 0


def test_chunks_without_end_take_no_more_than_a_share():
    changes: list[int] = []
    intake = Intake(200 * MB, GRACE_SECONDS, on_change=changes.append)
    (sender,) = all_sent(Sender(intake, "a", [(0.01, 300_000)] * 10_000))

    assert isinstance(sender.error, RateLimited)
    assert "50 MB" in sender.error.detail
    assert max(changes) <= 50 * MB


def test_the_largest_body_fits_whatever_the_share():
    intake = Intake(40 * MB, GRACE_SECONDS, 27 * MB)
    (sender,) = all_sent(Sender(intake, "a", at_pace(10 * MB, 27 * MB), 27 * MB))

    assert sender.is_whole


def test_people_behind_one_address_wait_for_each_other():
    intake = Intake(200 * MB, GRACE_SECONDS)
    pictures = [Sender(intake, "a", at_pace(20 * MB, 20 * MB), 20 * MB) for _ in range(8)]
    all_sent(*pictures)

    assert all(sender.is_whole for sender in pictures)
    assert max(sender.seconds for sender in pictures) > 3


def test_who_finds_no_place_is_told_in_time():
    intake = Intake(200 * MB, GRACE_SECONDS)
    slow = [Sender(intake, "a", at_pace(MB, 20 * MB), 20 * MB) for _ in range(2)]
    late = Sender(intake, "a", at_pace(20 * MB, 20 * MB), 20 * MB)
    small = Sender(intake, "a", at_pace(20 * MB, MB), MB)
    all_sent(*slow, late, small)

    assert isinstance(late.error, RateLimited)
    assert late.error.retry_after_seconds == 1
    assert late.seconds == pytest.approx(5, abs=0.2)
    assert small.is_whole
    assert all(sender.is_whole for sender in slow)


def test_no_more_than_some_bodies_of_a_caller_wait():
    intake = Intake(200 * MB, GRACE_SECONDS)
    many = [Sender(intake, "a", at_pace(MB, 20 * MB), 20 * MB) for _ in range(100)]
    all_sent(*many)

    refused = [sender for sender in many if isinstance(sender.error, RateLimited)]
    assert len(refused) == 98
    assert sum(sender.seconds < 0.1 for sender in refused) == 98 - MAX_WAITING


def test_who_waits_takes_the_place_of_one_of_the_same_caller_that_crawls():
    intake = Intake(200 * MB, GRACE_SECONDS)
    crawling = [Sender(intake, "a", [(0, 0), *[(0.5, 20_000)] * 1000], 20 * MB) for _ in range(2)]
    late = Sender(intake, "a", at_pace(20 * MB, 20 * MB), 20 * MB)
    all_sent(*crawling, late)

    assert late.is_whole
    assert late.seconds < 4
    assert sum(isinstance(sender.error, Overloaded) for sender in crawling) == 1
    assert sum(sender.is_whole for sender in crawling) == 1


@pytest.mark.parametrize("kind", ["still", "drips", "slow", "endless"])
def test_under_pressure_the_slowest_goes_first(kind):
    intake = Intake(113 * MB, GRACE_SECONDS, 40 * MB)
    fast = [Sender(intake, str(n), at_pace(MB, 30 * MB), 30 * MB) for n in range(3)]
    slow = {
        "still": (at_pace(500_000, 11_500_000), 20 * MB),
        "drips": ([(0, 10 * MB), *[(0.5, 20_000)] * 500], 20 * MB),
        "slow": ([(0, 10 * MB), *at_pace(200_000, 10 * MB)], 20 * MB),
        "endless": (at_pace(400_000, 39 * MB), None),
    }
    slowest = Sender(intake, "slow", *slow[kind])
    late = Sender(intake, "late", at_pace(5 * MB, 20 * MB), 20 * MB)

    async def run() -> None:
        tasks = await begun(*fast, slowest, seconds=25)
        await late.send()
        await asyncio.gather(*tasks)

    run_quickly(run())
    assert isinstance(slowest.error, WhatsitError)
    assert late.is_whole
    assert all(sender.is_whole for sender in fast)


def test_several_callers_that_are_silent_together_keep_nobody_out():
    intake = Intake(200 * MB, GRACE_SECONDS)

    async def flood(host: str) -> None:
        for _ in range(4):
            await Sender(intake, host, [(0.2, 19_999_900)], 20 * MB).send()

    async def run() -> list[Sender]:
        floods = [asyncio.create_task(flood(str(n % 5))) for n in range(15)]
        honest = []
        for _ in range(5):
            await asyncio.sleep(1)
            honest.append(await Sender(intake, "honest", at_pace(MB, MB), MB).send())
        for task in floods:
            task.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
        return honest

    assert all(sender.is_whole for sender in run_quickly(run()))


def test_what_is_being_answered_is_never_given_up():
    intake = Intake(200 * MB, GRACE_SECONDS)
    answered = [Sender(intake, str(n), [(0, 50 * MB)], 50 * MB, answers_for=60) for n in range(4)]

    async def run() -> Sender:
        tasks = await begun(*answered, seconds=5)
        late = await Sender(intake, "late", [(0, MB)], MB).send()
        await asyncio.gather(*tasks)
        return late

    assert isinstance(run_quickly(run()).error, Overloaded)
    assert all(sender.error is None for sender in answered)


def test_bytes_that_come_another_way_count_for_their_caller_too():
    intake = Intake(200 * MB, GRACE_SECONDS)

    async def run() -> None:
        with intake.hold("a") as hold:
            hold(30 * MB)
            with pytest.raises(RateLimited):
                hold(30 * MB)
            with intake.hold("b") as other:
                other(30 * MB)
        with intake.hold("a") as hold:
            hold(50 * MB)

    run_quickly(run())


def test_everything_is_given_back_whatever_happens():
    changes: list[int] = []
    intake = Intake(20 * MB, GRACE_SECONDS, 5 * MB, on_change=changes.append)
    bodies = [
        Sender(intake, str(n % 5), at_pace(10_000 * (1 + n % 13) ** 2, MB * (n % 6)), declared)
        for n in range(60)
        for declared in ([MB * (n % 6)] if n % 3 else [None])
    ]

    async def run() -> None:
        tasks = await begun(*bodies, seconds=3)
        for task in tasks[::7]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with intake.hold("4") as hold:
            hold(5 * MB)

    run_quickly(run())
    assert max(changes) <= 20 * MB
    assert changes[-1] == 0

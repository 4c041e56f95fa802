"""Changing who answers: each request has one model throughout, and none is closed under one."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.support.waiting import wait_until
from whatsit.cache.base import CacheEntry
from whatsit.cache.memory import MemoryCache
from whatsit.cache.tiers import TieredCache
from whatsit.classifier import Classifier
from whatsit.errors import ImageUnreadable, InferenceFailed, InvalidParameter, Overloaded
from whatsit.labels.label_set import LabelEntry, LabelSet
from whatsit.picture import Picture
from whatsit.service.line_up import Drained, LineUp, Roster, Serving
from whatsit.service.service import Service
from whatsit.service.workers import Workers
from whatsit.testing import COLOURS, FakeEngine, fake_card, plain_picture

RED, BLUE, LIME = (Picture.of(plain_picture(colour)) for colour in ("red", "blue", "lime"))
FRUITS = LabelSet("fruits", tuple(LabelEntry(name) for name in ("tomato", "lime", "plum")))


class HeldEngine(FakeEngine):
    """Answers once it may, and tells whether it was closed under a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.begun = threading.Event()
        self.is_closed = False

    def infer(self, pixels):
        assert not self.is_closed
        self.begun.set()
        assert self.let.wait(10)
        assert not self.is_closed
        return super().infer(pixels)

    def close(self):
        self.is_closed = True


class FailingEngine(FakeEngine):
    """Fails at every picture."""

    def infer(self, pixels):
        raise InferenceFailed("broken")


def serving(name: str, labels: LabelSet = COLOURS, engine: FakeEngine | None = None) -> Serving:
    return Serving(Classifier(fake_card(name=name), labels, engine or FakeEngine()))


@pytest.fixture
def held() -> Iterator[HeldEngine]:
    engine = HeldEngine()
    yield engine
    engine.let.set()


@pytest.fixture
def cache() -> TieredCache:
    return TieredCache(MemoryCache(100, 60))


@pytest.fixture
def service(held: HeldEngine, cache: TieredCache, workers: Workers) -> Service:
    return Service(serving("old", engine=held).classifier, cache, workers=workers)


@pytest.fixture
def fresh() -> Serving:
    return serving("new", FRUITS)


def answer(service: Service, picture: Picture) -> tuple[str, str, str]:
    reply = service.classify(picture)
    return reply.prediction.model.name, reply.prediction.answer.label, reply.cache


def test_what_has_begun_ends_with_its_model_and_what_comes_next_has_the_new_one(
    service, held, fresh
):
    pending = service.submit(RED)
    assert held.begun.wait(5)
    (old,) = service.switch(LineUp(fresh))

    # The same picture, at the same time: it must not wait for the old model's answer.
    assert answer(service, RED) == ("new", "tomato", "miss")
    assert not old.drain(0)
    held.let.set()
    assert pending.reply().prediction.answer.label == "red thing"
    assert old.drain(5)
    assert answer(service, RED) == ("new", "tomato", "hit")


def test_what_was_kept_of_the_old_model_is_not_given_out_by_the_new_one_but_by_the_old_again(
    service, held, fresh
):
    held.let.set()
    assert answer(service, RED)[0] == "old"
    before = service.line_up
    service.switch(LineUp(fresh))

    assert answer(service, RED) == ("new", "tomato", "miss")
    service.switch(LineUp(serving("old", engine=held)))
    assert answer(service, RED) == ("old", "red thing", "hit")
    assert before.live.drain(0)


def test_a_heat_map_is_that_of_one_model(service, held, fresh):
    held.let.set()
    assert service.explain(RED).heat_map.label == "red thing"
    service.switch(LineUp(fresh))

    explanation = service.explain(RED, label="tomato")
    assert (explanation.heat_map.model.name, explanation.cache) == ("new", "miss")
    with pytest.raises(InvalidParameter, match="does not exist"):
        service.explain(RED, label="red thing")


def test_a_heat_map_keeps_its_model_open(service, held, fresh):
    maps: list[str] = []
    thread = threading.Thread(
        target=lambda: maps.append(service.explain(RED, label=0).heat_map.label)
    )
    thread.start()
    assert held.begun.wait(5)
    (old,) = service.switch(LineUp(fresh))

    assert not old.drain(0)
    held.let.set()
    thread.join()
    assert maps == ["red thing"]
    assert old.drain(0)


def test_several_pictures_of_one_request_are_answered_by_one_model(service, held, fresh):
    held.let.set()
    with service.hold_live() as one:
        (old,) = service.switch(LineUp(fresh))
        assert not old.drain(0)
        assert service.submit(BLUE, serving=one).reply().prediction.model.name == "old"
        assert service.recall(BLUE, serving=one).prediction.model.name == "old"
        assert service.recall(BLUE) is None
    assert wait_until(lambda: old.drain(0), 5)
    with pytest.raises(Drained), old.hold():
        pass


def test_whoever_leaves_or_fails_lets_the_model_go(held, cache, workers, fresh):
    one = Workers(1, max_queue=1)
    engines = (held, FailingEngine())
    service = Service(serving("old", engine=held).classifier, cache, workers=one)
    running, waiting = service.submit(RED), service.submit(BLUE)
    assert held.begun.wait(5)
    with pytest.raises(Overloaded):
        service.submit(LIME).reply()
    with pytest.raises(Overloaded):
        service.submit(LIME, cache="bypass").reply()
    joined = service.submit(RED)
    for pending in (waiting, joined, running):
        pending.abandon()
    (old,) = service.switch(LineUp(serving("failing", engine=engines[1])))
    held.let.set()
    assert old.drain(5)

    with pytest.raises(InferenceFailed):
        service.classify(RED)
    with pytest.raises(ImageUnreadable):
        service.classify(Picture.of(b"no picture"))
    with pytest.raises(InferenceFailed):
        service.explain(RED)
    with pytest.raises(InvalidParameter):
        service.explain(RED, label="nothing")
    (failing,) = service.switch(LineUp(fresh))
    assert wait_until(lambda: failing.drain(0), 5)
    one.close()


def test_whoever_leaves_while_the_cache_is_asked_lets_the_model_go(held, workers, fresh):
    class SlowLookups(TieredCache):
        """Finds out later whether it knows a picture."""

        looking: Future[CacheEntry | None] = Future()

        def get_shared(self, key: str) -> Future[CacheEntry | None]:
            return self.looking

    cache = SlowLookups(MemoryCache(100, 60))
    service = Service(serving("old", engine=held).classifier, cache, workers=workers)
    service.submit(RED).abandon()
    (old,) = service.switch(LineUp(fresh))
    assert not old.drain(0)
    cache.looking.set_result(None)

    assert old.drain(5)
    assert not held.begun.is_set()


def test_a_retired_model_that_nobody_holds_can_not_be_held_any_more():
    old = serving("old")
    with old.hold():
        old.retire()
        with old.hold():
            pass
        assert not old.drain(0)

    assert old.drain(0)
    with pytest.raises(Drained), old.hold():
        pass


def test_a_line_up_of_a_closed_model_is_refused_instead_of_waited_for(service, fresh):
    (old,) = service.switch(LineUp(fresh))
    assert old.drain(0)

    with pytest.raises(Drained):
        service.submit(RED, serving=old)
    with pytest.raises(Drained), Roster(LineUp(old)).hold():
        pass


def test_requests_and_switches_from_many_threads_never_meet_a_closed_model(cache, workers):
    engines = [HeldEngine() for _ in range(30)]
    for engine in engines:
        engine.let.set()
    line_ups = [
        LineUp(serving(f"m{number}", (COLOURS, FRUITS)[number % 2], engine))
        for number, engine in enumerate(engines)
    ]
    service = Service(line_ups[0].live.classifier, cache, workers=workers)
    service.switch(line_ups[0])
    names = {each.live.model.name: each.live.classifier.labels.name for each in line_ups}
    wrong: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            prediction = service.classify(RED, cache="refresh").prediction
            labels = "colours" if prediction.answer.label == "red thing" else "fruits"
            if names[prediction.model.name] != labels:
                wrong.append(prediction.model.name)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for line_up in line_ups[1:]:
        for old in service.switch(line_up):
            assert old.drain(5)
            old.classifier.close()
    done.set()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert [engine.is_closed for engine in engines] == [True] * 29 + [False]


def test_the_answer_that_somebody_still_looks_at_is_found_for_a_correction(service, held, fresh):
    held.let.set()
    service.classify(RED)
    service.switch(LineUp(fresh))

    assert service.find(RED.sha256) is None
    assert service.find(RED.sha256, any_model=True).prediction.answer.label == "red thing"
    service.classify(RED)
    assert service.find(RED.sha256, any_model=True).prediction.answer.label == "tomato"


def test_a_picture_goes_to_the_canary_always_or_never_and_as_many_as_its_share():
    live, canary = serving("live"), serving("canary", FRUITS)
    line_up = LineUp(live, canary, 0.1)
    digests = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(5000)]

    to_canary = {digest for digest in digests if line_up.choose(digest) is canary}
    assert len(to_canary) / len(digests) == pytest.approx(0.1, abs=0.02)
    # A larger share takes nothing away from the canary.
    more = LineUp(live, canary, 0.5)
    assert all(more.choose(digest) is canary for digest in to_canary)
    assert LineUp(live).choose(min(to_canary)) is live


def test_a_canary_answers_its_pictures_and_the_live_model_the_others(service, held, fresh):
    held.let.set()
    at = int(RED.sha256[:8], 16) / 2**32
    service.switch(LineUp(service.line_up.live, fresh, at + 0.001))
    assert answer(service, RED) == ("new", "tomato", "miss")
    assert service.find(RED.sha256).prediction.model.name == "new"
    assert service.explain(RED).heat_map.model.name == "new"

    service.switch(LineUp(service.line_up.live, fresh, at - 0.001))
    assert answer(service, RED) == ("old", "red thing", "miss")
    assert service.explain(RED).heat_map.model.name == "old"

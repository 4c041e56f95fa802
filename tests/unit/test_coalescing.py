"""Flights: who leads, who joins, and what happens when they leave."""

import pytest

from whatsit.service.coalescing import Coalescer


@pytest.fixture
def coalescer() -> Coalescer[str]:
    return Coalescer()


def test_the_first_leads_and_the_others_get_the_same_result(coalescer):
    flight, leads = coalescer.board("a")
    others = [coalescer.board("a") for _ in range(3)]
    assert leads
    assert [(other is flight, other_leads) for other, other_leads in others] == [(True, False)] * 3

    flight.land("result")
    assert {other.future.result(0) for other, _ in others} == {"result"}


def test_other_keys_fly_on_their_own(coalescer):
    assert coalescer.board("a")[1]
    assert coalescer.board("b")[1]


@pytest.mark.parametrize("ending", ["landed", "failed"])
def test_after_the_end_the_next_one_leads_again(coalescer, ending):
    flight, _ = coalescer.board("a")
    if ending == "landed":
        flight.land("result")
    else:
        flight.fail(ValueError("broken"))
        with pytest.raises(ValueError, match="broken"):
            flight.future.result(0)

    assert coalescer.board("a")[1]


def test_a_flight_is_abandoned_only_when_the_last_one_has_left(coalescer):
    flight, _ = coalescer.board("a")
    coalescer.board("a")

    flight.abandon()
    assert not flight.is_abandoned
    flight.abandon()
    assert flight.is_abandoned


def test_nobody_joins_a_flight_that_everybody_left(coalescer):
    abandoned, _ = coalescer.board("a")
    abandoned.abandon()
    flight, leads = coalescer.board("a")

    assert leads
    assert flight is not abandoned
    abandoned.land("late")
    assert coalescer.board("a") == (flight, False), "the end of the old one is not that of the new"

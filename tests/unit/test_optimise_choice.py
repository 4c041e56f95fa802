"""When 8 bits are kept."""

import pytest

from whatsit.pipeline.optimise import Parity


def parity(**changes: float) -> Parity:
    facts = {
        "top1_before": 0.9,
        "top1_after": 0.9,
        "agreement": 1.0,
        "mean_logit_difference": 0.0,
        "max_logit_difference": 0.0,
        "bytes_before": 4,
        "bytes_after": 1,
        "latency_ms_before": 10.0,
        "latency_ms_after": 5.0,
        **changes,
    }
    return Parity("validation", int(facts.pop("pictures", 1000)), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"top1_after": 0.89}, None),
        ({"top1_after": 0.889}, "cost 0.0110 of top-1; the limit is 0.0100"),
        ({"latency_ms_after": 10.0}, "8 bits take 10.00 ms"),
        # One of 50 pictures can't be told from chance.
        ({"top1_after": 0.88, "pictures": 50}, None),
        ({"top1_after": 0.86, "pictures": 50}, "the limit is 0.0200"),
    ],
)
def test_8_bits_are_kept_where_they_are_as_good_and_faster(changes, words):
    objection = parity(**changes).objection(max_drop=0.01)

    assert (words is None) == (objection is None)
    assert (words or "") in (objection or "")

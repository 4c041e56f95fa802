"""Any bytes whatever are answered or refused with a sentence; a brief look, see `make fuzz`."""

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import properties
from tests.support.running import RunningServer

brief = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
# A warning of Pillow is only logged by the service, so here it must not act as an error.
pytestmark = pytest.mark.filterwarnings("ignore")


@given(properties.pictures, st.sampled_from([None, 8, 100]))
@brief
def test_any_bytes_are_a_picture_or_refused(picture, shorter_side):
    properties.require_picture_or_refusal(picture, shorter_side)


@given(properties.mutated_pictures(), st.sampled_from([1, 40, 1_000]))
@settings(brief, max_examples=60)
def test_any_bytes_have_a_preview_or_are_refused(picture, max_side):
    properties.require_preview_or_refusal(picture, max_side)


@pytest.fixture(scope="module")
def client(api: RunningServer) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@given(properties.form_types, properties.form_bodies, st.integers(1, 40))
@settings(brief, max_examples=200)
def test_any_form_is_answered_or_refused(client, content_type, body, pieces):
    properties.require_answer_or_refusal(client, content_type, body, pieces)

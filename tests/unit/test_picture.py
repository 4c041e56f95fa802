"""A picture's bytes and digest travel together from the border on."""

import hashlib

import pytest

from whatsit.errors import ImageUnreadable
from whatsit.picture import Picture
from whatsit.testing import fake_classifier, plain_picture

RED = plain_picture("red")


def test_a_picture_knows_the_digest_of_its_bytes():
    assert Picture.of(RED) == Picture(RED, hashlib.sha256(RED).hexdigest())


def test_a_picture_is_a_value():
    with pytest.raises(AttributeError):
        Picture.of(RED).image_bytes = b""  # type: ignore[misc]


def test_bytes_that_show_nothing_are_refused_when_they_are_decoded_not_before():
    with pytest.raises(ImageUnreadable):
        fake_classifier().classify(Picture.of(b"nothing"))


def test_the_digest_is_not_computed_again():
    known = Picture(RED, "a" * 64)

    assert fake_classifier().classify(known).image.sha256 == "a" * 64

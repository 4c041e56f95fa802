"""The drawn odd pictures: repeatable, varied, and of every kind."""

import numpy as np
import pytest

from scripts.odd_pictures import KINDS, UNTOUCHED_KINDS, draw_odd_picture
from whatsit.familiarity import describe_pixels


def test_there_are_many_kinds_without_repeats():
    assert len(KINDS) == len(set(KINDS)) >= 8
    assert set(UNTOUCHED_KINDS) < set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_drawn_in_rgb_and_at_the_promised_sizes(kind):
    images = [draw_odd_picture(kind, seed) for seed in range(8)]

    assert {image.mode for image in images} == {"RGB"}
    assert all(360 <= side <= 960 for image in images for side in image.size)
    assert len({image.size for image in images}) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_the_picture(kind):
    assert draw_odd_picture(kind, 5) == draw_odd_picture(kind, 5)
    assert draw_odd_picture(kind, 5) != draw_odd_picture(kind, 6)


def test_kinds_with_one_seed_do_not_share_their_chances():
    assert len({draw_odd_picture(kind, 0).tobytes() for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"blank", "gradient"}))
def test_no_picture_is_empty_by_accident(kind):
    for seed in range(8):
        # By channel: two colours may be equally bright.
        channels = np.asarray(draw_odd_picture(kind, seed)).std(axis=(0, 1))
        assert channels.max() > 2, seed


@pytest.mark.parametrize("seed", range(8))
def test_a_blank_is_poor_in_colours(seed):
    blank = np.asarray(draw_odd_picture("blank", seed).resize((260, 260)))

    assert describe_pixels(blank)[0] < 2
    # Grain and uneven light, but no contrast between neighbours.
    assert describe_pixels(blank)[2] < 2.5


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'cat'.*blank"):
        draw_odd_picture("cat", 0)

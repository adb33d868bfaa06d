"""Sizes and lengths that clips of many shapes are brought to."""

from __future__ import annotations

import itertools

import pytest

from pack.training.data.buckets import (
    bucket_sizes,
    check_buckets,
    kept_share,
    nearest_length,
    nearest_size,
    shortest_length,
)


@pytest.mark.parametrize("asked", [(480, 480), (832, 480), (480, 832), (64, 64), (1280, 704)])
@pytest.mark.parametrize("multiple", [16, 32])
def test_no_bucket_has_more_pixels_and_sides_are_multiples(asked, multiple):
    sizes = bucket_sizes(*asked, multiple)
    assert sizes[0] == asked
    assert len(set(sizes)) == len(sizes)
    for width, height in sizes[1:]:
        assert width % multiple == height % multiple == 0
        assert 0.5 * asked[0] * asked[1] <= width * height <= asked[0] * asked[1]


def test_the_usual_shapes_of_a_square_budget():
    assert bucket_sizes(480, 480, 16)[1:7] == (
        (544, 416), (416, 544), (576, 384), (384, 576), (640, 352), (352, 640),
    )  # fmt: skip
    assert bucket_sizes(16, 16, 16) == ((16, 16),)


@pytest.mark.parametrize("asked", [(832, 480), (720, 560), (512, 480)])
def test_a_shape_near_the_asked_one_gets_no_bucket_of_its_own(asked):
    for one, two in itertools.combinations(bucket_sizes(*asked, 16), 2):
        assert kept_share(*one, *two) < 0.94
    assert nearest_size(1920, 1080, bucket_sizes(832, 480, 16)) == (832, 480)


@pytest.mark.parametrize(
    ("picture", "size"),
    [
        ((480, 480), (480, 480)),
        ((1080, 1080), (480, 480)),
        ((1920, 1080), (640, 352)),
        ((1080, 1920), (352, 640)),
        ((640, 480), (544, 416)),
        ((4000, 500), (720, 320)),
    ],
)
def test_a_picture_goes_where_the_most_of_it_is_left(picture, size):
    sizes = bucket_sizes(480, 480, 16)
    assert nearest_size(*picture, sizes) == size
    assert kept_share(*picture, *size) == max(kept_share(*picture, *other) for other in sizes)


def test_the_kept_share_is_what_a_crop_leaves():
    assert kept_share(200, 100, 50, 50) == pytest.approx(0.5)
    assert kept_share(100, 200, 50, 50) == pytest.approx(0.5)
    assert kept_share(320, 180, 640, 360) == pytest.approx(1.0)


@pytest.mark.parametrize(("wanted", "least"), [(36, 12), (24, 8), (33, 13), (49, 17), (9, 5), (5, 5), (4, 4), (1, 1)])
def test_lengths_go_down_by_whole_latents_to_a_third(wanted, least):
    assert shortest_length(wanted) == least
    for available in range(1, wanted + 9):
        frames = nearest_length(available, wanted)
        if available < least:
            assert frames is None
        else:
            assert frames is not None
            assert frames <= available
            assert (wanted - frames) % 4 == 0
            assert frames == wanted or available - frames < 4


def test_an_unknown_choice_is_refused():
    check_buckets("by aspect", 16)
    with pytest.raises(ValueError, match="buckets is 'by hand'; choose one of one size, by aspect, by aspect and len"):
        check_buckets("by hand", 16)
    with pytest.raises(ValueError, match="multiples of 0 pixels"):
        check_buckets("one size", 0)

"""Scores of pictures, where they can be computed by hand and as pictures get worse."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.methods import image_scores as scores
from pack.toy.world import COLOURS, SHAPES, Scene, render

DISC = Scene("disc", "red", "grey", "slides right quickly")


def planes(scene: Scene, frames: int = 12) -> torch.Tensor:
    return torch.from_numpy(render(scene, frames)).movedim(-1, 1)


def plain(*rgb: float, count: int = 1, size: int = 32) -> torch.Tensor:
    return torch.tensor(rgb).view(1, 3, 1, 1).expand(count, 3, size, size).clone()


def noisy(picture: torch.Tensor, amount: float) -> torch.Tensor:
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0))
    return (picture + amount * noise).clamp(0, 1)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.6), (0.0, 1.0), (0.5, 0.5), (0.9, 0.1)])
def test_ssim_of_plain_pictures_is_that_of_the_formula(a, b):
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)  # without variance the second factor is 1
    found = scores.ssim(plain(a, a, a), plain(b, b, b))
    torch.testing.assert_close(found, torch.tensor([expected]), atol=2e-4, rtol=0)


def test_ssim_of_one_window_is_that_of_the_formula():
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(1, 3, 11, 11, generator=generator) for _ in range(2))
    axis = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    weight = axis[:, None] * axis / axis.sum() ** 2

    def mean(x):
        return (x * weight).sum((2, 3))

    ma, mb = mean(first), mean(second)
    va, vb, cov = mean(first**2) - ma**2, mean(second**2) - mb**2, mean(first * second) - ma * mb
    value = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    torch.testing.assert_close(scores.ssim(first, second), value.mean(1))


def test_equal_pictures_have_the_best_of_all_scores():
    clip = planes(DISC)
    for function in (scores.ssim, scores.colour_agreement, scores.edge_agreement):
        torch.testing.assert_close(function(clip, clip), torch.ones(len(clip)), atol=1e-5, rtol=0)
    assert scores.psnr(0.0) == 100.0


def test_an_inverted_picture_has_a_negative_ssim():
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, 32, 32, generator=generator)
    assert scores.ssim(picture, 1 - picture) < -0.5


@pytest.mark.parametrize("function", [scores.ssim, scores.edge_agreement, scores.colour_agreement])
def test_more_noise_means_a_lower_score(function):
    clip = planes(DISC, 1)
    values = [float(function(clip, noisy(clip, amount))) for amount in (0.0, 0.03, 0.1, 0.3)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.3


def test_psnr_is_that_of_the_formula_and_stays_in_its_range():
    assert scores.psnr(0.01) == pytest.approx(20.0, abs=1e-4)
    assert scores.psnr(1e-4) == pytest.approx(40.0, abs=1e-4)
    assert scores.psnr(1e-30) == 100.0
    assert scores.psnr(1.0) == 0.0


def test_a_histogram_shares_every_pixel_out_and_does_not_see_places():
    picture = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    histogram = scores.colour_histogram(picture)
    assert histogram.shape == (2, 512)
    torch.testing.assert_close(histogram.sum(1), torch.ones(2))
    torch.testing.assert_close(scores.colour_histogram(picture.flip(-1)), histogram)
    black, white = scores.colour_histogram(torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)]))
    assert (black[0], white[-1]) == (1.0, 1.0)


def test_channels_are_told_apart_and_a_near_colour_is_a_near_histogram():
    red, green = plain(1, 0, 0), plain(0, 1, 0)
    assert scores.colour_agreement(red, green) == 0
    near = scores.colour_agreement(plain(0.5, 0.5, 0.5), plain(0.52, 0.5, 0.5))
    torch.testing.assert_close(near, torch.tensor([1 - 0.02 * 7]), atol=1e-4, rtol=0)


def test_colour_agreement_is_the_area_of_the_same_colour():
    half = plain(1, 0, 0)
    half[..., :8] = plain(0, 0, 1)[..., :8]  # a quarter is blue
    torch.testing.assert_close(scores.colour_agreement(half, plain(1, 0, 0)), torch.tensor([0.75]))


def test_edges_agree_in_another_style_and_not_at_another_place():
    clip = planes(DISC, 1)
    other_colours = planes(replace(DISC, colour="blue", background="white"), 1)
    moved = planes(replace(DISC, offset=(12.0, 9.0)), 1)
    assert scores.edge_agreement(clip, other_colours) > 0.95
    assert scores.edge_agreement(clip, moved) < 0.2


def test_edges_are_seen_in_both_directions():
    ramp = (torch.arange(16.0) / 20).expand(1, 3, 16, 16)
    for picture in (ramp, ramp.transpose(2, 3), ramp.flip(-1)):
        torch.testing.assert_close(scores.edges(picture), torch.full((1, 14, 14), 8 / 20))


def test_plain_pictures_agree_in_having_no_edges():
    assert scores.edge_agreement(plain(0.2, 0.2, 0.2), plain(0.7, 0.7, 0.7)) == 1
    assert scores.edge_agreement(planes(DISC, 1), planes(DISC, 1) * 0 + 0.5) == 0


def test_a_moved_object_is_found_again():
    clip = planes(DISC, 36)
    assert scores.patches_found(clip, clip[:1])[0] == pytest.approx(1.0, abs=1e-5)
    assert scores.patches_found(clip, clip[:1]).min() > 0.95


@pytest.mark.parametrize("colour", [name for name in COLOURS if name != "red"])
def test_an_object_of_another_colour_is_not_found(colour):
    assert scores.patches_found(planes(replace(DISC, colour=colour)), planes(DISC, 1)).max() < 0.3


@pytest.mark.parametrize("background", ["black", "white"])
def test_another_background_is_not_found(background):
    assert scores.patches_found(planes(replace(DISC, background=background)), planes(DISC, 1)).max() == 0


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "disc"])
def test_another_shape_is_found_less(shape):
    own = scores.patches_found(planes(DISC), planes(DISC, 1)).mean()
    assert scores.patches_found(planes(replace(DISC, shape=shape)), planes(DISC, 1)).mean() < own - 0.03


def test_an_empty_frame_and_noise_keep_nothing():
    picture = planes(DISC, 1)
    empty = picture[..., :1, :1].expand(1, 3, 64, 64)
    assert scores.patches_found(empty, picture) < 0.2
    values = [float(scores.patches_found(noisy(picture, amount), picture)) for amount in (0.0, 0.05, 0.1, 0.3)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0


def test_correlation_of_constant_signals_is_said_and_not_divided_by_nothing():
    constant, wave = torch.full((1, 50), 0.3), torch.sin(torch.arange(50.0))[None]
    assert scores.correlation(constant, constant + 0.2) == 1
    assert scores.correlation(constant, wave) == 0
    torch.testing.assert_close(scores.correlation(wave, 0.5 - 2 * wave), torch.tensor([-1.0]))


def test_a_blur_keeps_plain_areas_and_loses_the_border():
    out = scores.gaussian_blur(torch.ones(1, 2, 20, 30), 9, 2.0)
    assert out.shape == (1, 2, 12, 22)
    torch.testing.assert_close(out, torch.ones_like(out))

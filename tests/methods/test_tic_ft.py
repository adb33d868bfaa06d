"""TIC-FT's layout, levels, schedule and loss."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
import torch

from pack.methods import tic_ft
from pack.methods.tic_ft import Layout

COUNTS = [(length, buffer, target) for length in (0, 1, 4, 7) for buffer in (0, 1, 3, 6) for target in (1, 6)]


@pytest.mark.parametrize(("condition", "buffer", "target"), COUNTS)
def test_any_counts_give_levels_that_rise_from_clean_to_free(condition, buffer, target):
    layout = Layout.linear(condition, buffer, target)
    sigmas = layout.max_sigmas()
    assert layout.prefix == condition + buffer
    assert len(sigmas) == layout.frames == condition + buffer + target
    assert (sigmas[:condition] == 0).all()
    assert (sigmas[layout.target_slice] == 1).all()
    assert (sigmas[condition : layout.prefix + 1].diff() > 0).all()


def test_linear_levels_are_those_of_the_paper():
    assert Layout.linear(1, 3, 9).levels == (0.25, 0.5, 0.75)
    assert tic_ft.linear_levels(0) == ()
    assert tic_ft.linear_levels(1) == (0.5,)


@pytest.mark.parametrize(("condition", "buffer", "target"), [(-1, 0, 4), (1, -1, 4), (1, 3, 0)])
def test_impossible_counts_are_refused(condition, buffer, target):
    with pytest.raises(ValueError, match=r"^TIC-FT got .*condition.*; give no negative count and at least one"):
        Layout(condition, buffer, target, ())


def test_a_wrong_number_of_levels_is_refused():
    expected = (
        "TIC-FT got 2 buffer levels for 3 buffer latents; "
        "give one level per buffer, or leave the levels empty for evenly rising ones"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        Layout(1, 3, 6, (0.2, 0.4))


@pytest.mark.parametrize(
    "levels", [(0.5, 0.25), (0.5, 0.5), (0.0, 0.5), (0.5, 1.0), (-0.1, 0.5), (0.5, 1.5), (float("nan"), 0.5)]
)
def test_levels_that_do_not_rise_between_0_and_1_are_refused(levels):
    expected = f"TIC-FT got buffer levels {list(levels)}; they must rise and lie between 0 and 1, like [0.333, 0.667]"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        Layout(1, 2, 6, levels)


def test_levels_are_read_from_text_with_commas_semicolons_or_blanks():
    for text in ("0.2,0.4,0.8", " 0.2; 0.4 ;0.8 ", "0.2 0.4  0.8"):
        assert tic_ft.parse_levels(text, 3) == (0.2, 0.4, 0.8)
    assert tic_ft.parse_levels("  ", 3) == (0.25, 0.5, 0.75)


def test_levels_that_are_no_numbers_are_refused():
    expected = "buffer levels '0.2, low' are not numbers; write them like 0.25, 0.5, 0.75"
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        tic_ft.parse_levels("0.2, low", 2)


@pytest.mark.parametrize(("condition", "buffer", "target"), COUNTS)
def test_a_frames_level_is_the_smaller_of_the_global_and_its_own(condition, buffer, target):
    layout = Layout.linear(condition, buffer, target)
    sigma = torch.tensor([1.0, 0.6, 0.0])
    levels = tic_ft.frame_sigmas(layout, sigma)
    assert levels.shape == (3, layout.frames)
    own = [0.0] * condition + [(b + 1) / (buffer + 1) for b in range(buffer)] + [1.0] * target
    for row, s in zip(levels.tolist(), (1.0, 0.6, 0.0), strict=True):
        assert row == pytest.approx([min(s, top) for top in own])


def test_frames_are_held_above_their_level_and_released_at_it():
    layout = Layout.linear(2, 3, 4)
    held = {1.0: 5, 0.76: 5, 0.75: 4, 0.6: 4, 0.5: 3, 0.25: 2, 0.1: 2, 0.0: 2}
    assert {sigma: tic_ft.frozen_frames(layout, sigma) for sigma in held} == held
    pending = {1.0: 5, 0.75: 5, 0.74: 4, 0.5: 4, 0.25: 3, 0.24: 2, 0.0: 2}
    assert {sigma: tic_ft.pending_frames(layout, sigma) for sigma in pending} == pending


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 20])
@pytest.mark.parametrize("buffer", [0, 1, 3, 6])
def test_every_level_becomes_a_point_of_the_schedule_and_no_point_is_lost(steps, buffer):
    layout = Layout.linear(1, buffer, 4)
    sigmas = (torch.linspace(1, 0, steps + 1) ** 0.3).tolist()
    points = tic_ft.insert_levels(sigmas, layout)
    assert set(sigmas) <= set(points)
    assert all(later < sigma for sigma, later in pairwise(points))
    assert len(points) <= len(sigmas) + buffer
    assert set(layout.levels) <= set(points)


def test_without_buffers_the_schedule_is_left_alone_even_where_it_rises():
    for sigmas in ([1.0, 0.5, 0.0], [0.0, 0.5, 1.0]):
        assert tic_ft.insert_levels(sigmas, Layout(0, 0, 4)) == sigmas


def test_levels_outside_a_stage_are_left_to_the_other_stage():
    layout = Layout.linear(1, 3, 4)
    high = tic_ft.insert_levels([1.0, 0.9, 0.6], layout)
    low = tic_ft.insert_levels([0.6, 0.3, 0.0], layout)
    assert high == [1.0, 0.9, 0.75, 0.6]
    assert low == [0.6, 0.5, 0.3, 0.25, 0.0]
    assert [*high, *low[1:]] == tic_ft.insert_levels([1.0, 0.9, 0.6, 0.3, 0.0], layout)


def test_a_point_that_is_a_level_but_for_rounding_is_moved_onto_it_not_doubled():
    sigmas = [1.0, 0.7500005, 0.25, 0.0]
    points = tic_ft.insert_levels(sigmas, Layout.linear(0, 3, 1))
    assert points == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert sigmas[1] != 0.75


def test_a_rising_schedule_is_refused():
    expected = (
        "TIC-FT got sigmas that rise (0.1 to 1); condition and buffer frames need falling ones, so take Flip Sigmas out"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        tic_ft.insert_levels([0.1, 0.5, 1.0], Layout.linear(1, 0, 4))


@pytest.mark.parametrize("buffer", [0, 1, 3, 6])
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_pieces_share_their_ends_and_add_up_to_the_schedule(buffer, steps):
    layout = Layout.linear(1, buffer, 4)
    points = tic_ft.insert_levels((torch.linspace(1, 0, steps + 1) ** 0.3).tolist(), layout)
    pieces = tic_ft.split_where_unfrozen(points, layout)
    assert (pieces[0][0], pieces[-1][1]) == (0, len(points) - 1)
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert [points[last] for _, last in pieces[:-1]] == list(layout.levels[::-1])


def test_without_extra_points_a_piece_ends_behind_the_step_that_leads_across_a_level():
    layout = Layout.linear(1, 3, 4)
    points = tic_ft.insert_levels([1.0, 0.9, 0.6, 0.4999999, 0.4, 0.1, 0.0], layout, extra=False)
    assert points == [1.0, 0.9, 0.6, 0.5, 0.4, 0.1, 0.0]
    pieces = [points[first : last + 1] for first, last in tic_ft.split_where_unfrozen(points, layout)]
    assert pieces == [[1.0, 0.9, 0.6], [0.6, 0.5], [0.5, 0.4, 0.1], [0.1, 0.0]]


def test_one_step_across_all_levels_is_one_piece():
    assert tic_ft.split_where_unfrozen([1.0, 0.0], Layout.linear(1, 3, 4)) == [(0, 1)]


def test_a_schedule_of_one_point_is_one_piece():
    assert tic_ft.split_where_unfrozen([1.0], Layout.linear(1, 3, 1)) == [(0, 0)]


@pytest.mark.parametrize(("condition", "buffer", "target"), COUNTS)
def test_the_loss_is_the_mean_square_over_target_frames_alone(condition, buffer, target):
    layout = Layout.linear(condition, buffer, target)
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, layout.frames, 2, 2)
    prediction = torch.randn(shape, generator=generator, requires_grad=True)
    velocity = torch.randn(shape, generator=generator)
    loss = tic_ft.target_loss(prediction, velocity, layout)
    by_hand = [((prediction[b] - velocity[b])[:, condition + buffer :] ** 2).mean() for b in range(2)]
    assert torch.allclose(loss, torch.stack(by_hand))
    (gradient,) = torch.autograd.grad(loss.sum(), prediction)
    assert (gradient[:, :, : layout.prefix] == 0).all()
    assert (gradient[:, :, layout.target_slice] != 0).all()


def test_the_loss_of_half_precision_is_summed_in_single():
    layout = Layout(0, 0, 1)
    loss = tic_ft.target_loss(torch.full((1, 1, 1, 1, 1), 300.0).half(), torch.zeros(1, 1, 1, 1, 1).half(), layout)
    assert loss.dtype == torch.float32
    assert float(loss) == 90_000


@pytest.mark.parametrize("compression", [1, 4, 8])
def test_pixel_and_latent_frames_are_inverses(compression):
    for latents in range(12):
        pixels = tic_ft.pixel_frames(latents, compression)
        assert tic_ft.latent_frames(pixels, compression) == latents
    assert tic_ft.pixel_frames(4) == 13
    assert tic_ft.pixel_frames(7) == 25
    assert tic_ft.latent_frames(24) == 6
    assert tic_ft.pixel_frames(0) == tic_ft.latent_frames(0) == 0

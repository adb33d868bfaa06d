"""Optical flow on clips whose motion is known."""

from __future__ import annotations

import math

import pytest
import torch

from pack.methods import optical_flow as flow
from pack.toy.world import Scene, render


def texture(dx: float = 0.0, dy: float = 0.0, height: int = 64, width: int = 64, seed: int = 0) -> torch.Tensor:
    """A smooth random picture ``[1, 3, H, W]`` moved by exactly (dx, dy) pixels: a sum of waves."""
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(24, 2, generator=generator) * 0.25
    phase = torch.rand(24, 3, 1, 1, generator=generator) * 2 * math.pi
    x, y = torch.arange(width) - dx, torch.arange(height)[:, None] - dy
    angle = waves[:, 0, None, None] * x + waves[:, 1, None, None] * y
    return (0.5 + 0.04 * torch.cos(angle[:, None] + phase).sum(0)).clamp(0, 1)[None]


def error(found: torch.Tensor, dx: float, dy: float, margin: int = 16) -> torch.Tensor:
    """End point error in pixels, away from the edges, where new picture comes in."""
    away = found - torch.tensor([dx, dy]).view(1, 2, 1, 1)
    return away.norm(dim=1)[:, margin:-margin, margin:-margin]


@pytest.mark.parametrize(("dx", "dy"), [(0.5, 0.25), (1.3, -0.7), (-2.0, 3.0), (6.0, -5.0), (10.0, 0.0)])
def test_a_texture_moved_by_a_known_step_is_found_within_a_tenth_of_a_pixel(dx, dy):
    away = error(flow.optical_flow(texture(), texture(dx, dy)), dx, dy)
    assert away.mean() < 0.05
    assert away.max() < 0.12


def test_what_leaves_the_picture_does_not_pull_at_its_neighbours():
    away = error(flow.optical_flow(texture(), texture(6.0, 0.0)), 6.0, 0.0, margin=1)
    assert away.mean() < 0.05  # also of the last columns, which nothing tells of


@pytest.mark.parametrize(("height", "width"), [(48, 80), (65, 33), (16, 16)])
def test_other_sizes_work_too(height, width):
    first, second = texture(0, 0, height, width), texture(0.6, -0.4, height, width)
    away = error(flow.optical_flow(first, second), 0.6, -0.4, margin=4)
    assert away.mean() < 0.1


def test_equal_frames_do_not_move():
    frame = texture()
    assert not flow.optical_flow(frame, frame).any()


def test_a_plain_picture_has_no_flow_and_no_trust():
    plain = torch.full((1, 3, 32, 32), 0.4)
    assert not flow.optical_flow(plain, plain + 0.1).any()
    assert flow.trust(plain).max() == 0


@pytest.mark.parametrize(
    "scene",
    [
        Scene("disc", "red", "grey", "slides right quickly"),
        Scene("square", "yellow", "white", "slides up slowly"),
        Scene("ring", "blue", "black", "circles clockwise"),
    ],
)
def test_objects_of_the_toy_world_move_as_they_are_told(scene):
    frames = torch.from_numpy(render(scene, 25))
    motion = flow.clip_motion(frames.movedim(-1, 1))
    inside = ((frames - frames[0, 0, 0]).abs().sum(-1) > 0.3)[:-1, None]
    found = (motion.flow * inside).sum((2, 3)) / inside.sum((2, 3))
    told = torch.from_numpy(scene.pose(25)[0]).float().diff(dim=0)
    assert (found - told).norm(dim=1).max() < 0.1


def test_equally_bright_colours_are_told_apart():
    red, green = torch.tensor([0.7, 0.3, 0.4]), torch.tensor([0.4, 0.453, 0.405])
    assert abs(float((red - green) @ torch.tensor([0.299, 0.587, 0.114]))) < 1e-3
    cover = texture()[:, :1], texture(1.5, 0)[:, :1]
    first, second = (c * red.view(1, 3, 1, 1) + (1 - c) * green.view(1, 3, 1, 1) for c in cover)
    assert error(flow.optical_flow(first, second), 1.5, 0.0).mean() < 0.1


def test_a_clip_in_pieces_has_the_flow_of_its_pairs(monkeypatch):
    clip = torch.cat([texture(0.7 * i, 0) for i in range(6)])
    whole = flow.clip_motion(clip)
    monkeypatch.setattr(flow, "PIECE", 2)
    pieces = flow.clip_motion(clip)
    torch.testing.assert_close(pieces.flow, whole.flow)
    assert whole.flow.shape == (5, 2, 64, 64)
    assert whole[1:3].flow.shape == (2, 2, 64, 64)
    assert whole.trust.shape == (5, 1, 64, 64)


def test_what_is_seen_moving_is_where_something_is():
    frames = torch.from_numpy(render(Scene("disc", "red", "grey", "slides right quickly"), 2)).movedim(-1, 1)
    motion = flow.clip_motion(frames)
    assert motion.seen[0, :, :8].abs().max() < 1e-3  # far above the disc
    assert motion.seen.norm(dim=1).max() > 0.5


def test_warping_fetches_from_where_the_flow_leads():
    picture = texture()
    shift = torch.zeros(1, 2, 64, 64)
    shift[:, 0], shift[:, 1] = 3.0, -2.0
    moved, inside = flow.warp(picture, shift)
    torch.testing.assert_close(moved[..., 2:, :-3], picture[..., :-2, 3:], atol=1e-5, rtol=0)
    assert inside[0, 0, 2:, :-3].all()
    assert not inside[0, 0, :2].any()
    assert not inside[0, 0, :, -3:].any()


def test_points_follow_the_chained_flow_and_rest_once_they_have_left():
    steps = torch.zeros(10, 2, 32, 32)
    steps[:, 0], steps[:, 1] = 1.0, 0.5
    steps[8:] *= -1
    path = flow.follow(steps, torch.tensor([[2.0, 4.0], [28.0, 4.0]]))
    assert path.shape == (11, 2, 2)
    torch.testing.assert_close(path[8, 0], torch.tensor([10.0, 8.0]))
    torch.testing.assert_close(path[-1, 0], torch.tensor([8.0, 7.0]))
    torch.testing.assert_close(path[3, 1], torch.tensor([31.0, 5.5]))
    assert torch.equal(path[-1, 1], path[3, 1])


def test_values_at_points_are_interpolated():
    field = torch.arange(16.0).view(1, 4, 4)
    values = flow.at_points(field, torch.tensor([[1.0, 2.0], [0.5, 0.0]]))
    torch.testing.assert_close(values, torch.tensor([[9.0], [0.5]]))

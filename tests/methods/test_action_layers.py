"""Encodings of time and position, and attention that AICL's modules share."""

from __future__ import annotations

import pytest
import torch

from pack.methods.action_layers import (
    Attention,
    AttentionStep,
    attention,
    clip_times,
    frame_times,
    grouped_times,
    position_features,
    time_angles,
    turned,
)


def test_times_are_the_middles_of_frames_whatever_the_length():
    torch.testing.assert_close(frame_times(4), torch.tensor([0.125, 0.375, 0.625, 0.875]))
    assert frame_times(1).tolist() == [0.5]


def test_frames_in_front_of_a_clip_stand_at_its_start():
    assert clip_times(6, 2).tolist() == [0.0, 0.0, *frame_times(4).tolist()]
    assert clip_times(5).tolist() == frame_times(5).tolist()


def test_times_of_patches_are_the_means_of_their_frames():
    torch.testing.assert_close(grouped_times(frame_times(6), 2), frame_times(3))
    torch.testing.assert_close(grouped_times(torch.tensor([1.0, 2.0, 5.0]), 2), torch.tensor([1.5, 5.0]))
    assert grouped_times(frame_times(3), 1).tolist() == frame_times(3).tolist()


def test_turned_vectors_keep_their_length_and_know_differences_of_times_only():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 8, generator=generator, dtype=torch.float64)

    def product(first, second):
        angles = (time_angles(torch.tensor([time]), 8).double()[:, None] for time in (first, second))
        return (turned(q[None], next(angles)) * turned(k[None], next(angles))).sum()

    torch.testing.assert_close(product(0.1, 0.4), product(0.5, 0.8), atol=1e-5, rtol=1e-5)
    assert (product(0.1, 0.4) - product(0.1, 0.6)).abs() > 1e-2
    assert (turned(q[None], time_angles(torch.tensor([0.7]), 8)[:, None]).norm() - q.norm()).abs() < 1e-6


def test_the_fastest_channel_turns_sixteen_radians_over_a_clip_and_the_slowest_far_less():
    angles = time_angles(torch.tensor([1.0]), 64)[0]
    assert angles[0] == 16.0
    assert 0.16 < angles[-1] < 0.2


def test_positions_of_all_sizes_lie_over_each_other():
    small, large = position_features(2, 2), position_features(6, 6)
    assert small.shape == (2, 2, 24)
    torch.testing.assert_close(small[0, 1], large[1, 4], atol=1e-5, rtol=1e-5)  # the middle of the same quarter


def test_attention_equals_the_formula_and_leaves_out_what_is_masked():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 5, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.tensor([[True, True, True, False, True], [True, False, True, True, True]])
    out = attention(q, k, v, 2, mask)
    for b in range(2):
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            scores = q[b, :, part] @ k[b, :, part].T / 2.0
            weights = scores.masked_fill(~mask[b], -torch.inf).softmax(-1)
            torch.testing.assert_close(out[b, :, part], weights @ v[b, :, part])


def test_queries_may_have_any_leading_dimensions():
    torch.manual_seed(0)
    layer = Attention(8, 2, context=6, inner=4).double()
    x, context = torch.randn(2, 3, 5, 8).double(), torch.randn(2, 7, 6).double()
    times, key_times = frame_times(3), torch.rand(2, 7)
    keys, values = layer.keys_values(context, key_times)
    out = layer(x, keys, values, times[:, None])
    assert out.shape == x.shape
    flat = layer(x.flatten(1, 2), keys, values, times.repeat_interleave(5))
    torch.testing.assert_close(out.flatten(1, 2), flat)


def test_channels_that_heads_cannot_share_are_refused():
    with pytest.raises(ValueError, match="10 channels cannot be shared by 4 heads"):
        Attention(10, 4)
    with pytest.raises(ValueError, match="in pairs"):
        Attention(6, 2)


def test_without_a_context_tokens_look_at_each_other():
    torch.manual_seed(0)
    step = AttentionStep(8, 2)
    x = torch.randn(1, 3, 8)
    moved = x.clone()
    moved[0, 2, 0] += 3.0
    assert (step(x) - step(moved))[0, 0].abs().max() > 1e-4
    assert torch.equal(step(x, torch.ones(1, 2, 8))[0, 0], step(moved, torch.ones(1, 2, 8))[0, 0])

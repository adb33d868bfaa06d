"""The parts of Tune-A-Video: which tokens a frame sees, and an attention that starts as nothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pack.methods.tune_a_video import (
    POOLED,
    TemporalAttention,
    TemporalLayers,
    Tuned,
    attention,
    pooled_over_frames,
    sparse_causal,
)

FRAMES, TOKENS, CHANNELS, HEADS = 5, 3, 8, 2
SHAPES = {"in.0": (CHANNELS, HEADS), "out.0": (2 * CHANNELS, HEADS)}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def trained(seed: int = 1) -> TemporalAttention:
    layer = TemporalAttention(CHANNELS, HEADS)
    for number, parameter in enumerate(layer.parameters()):
        parameter.data = random(*parameter.shape, seed=seed + number) * 0.5
    return layer.requires_grad_(False)


def test_a_frame_sees_the_first_frame_and_the_one_before_it():
    tokens = random(2, FRAMES, TOKENS, CHANNELS)
    seen = sparse_causal(tokens)
    assert seen.shape == (2, FRAMES, 2 * TOKENS, CHANNELS)
    for part in range(2):
        for i in range(FRAMES):
            assert torch.equal(seen[part, i, :TOKENS], tokens[part, 0])
            assert torch.equal(seen[part, i, TOKENS:], tokens[part, max(i - 1, 0)])


def test_tiles_of_a_frame_see_the_same_tile_of_the_others():
    tokens = random(1, FRAMES, 4, TOKENS, CHANNELS)
    seen = sparse_causal(tokens)
    for tile in range(4):
        assert torch.equal(seen[:, :, tile], sparse_causal(tokens[:, :, tile]))


def test_attention_is_its_formula():
    q, k, v = (random(2, length, CHANNELS, seed=length) for length in (3, 7, 7))
    k, v = random(2, 7, CHANNELS, seed=8), random(2, 7, CHANNELS, seed=9)
    expected = []
    for head in range(HEADS):
        part = slice(head * 4, head * 4 + 4)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / 4**0.5
        expected.append(scores.softmax(-1) @ v[..., part])
    torch.testing.assert_close(attention(q, k, v, HEADS), torch.cat(expected, -1))


def test_an_untrained_layer_adds_exactly_nothing():
    layer = TemporalAttention(CHANNELS, HEADS, torch.Generator().manual_seed(0))
    x = random(2 * FRAMES, TOKENS, CHANNELS)
    assert torch.equal(x + layer(x, FRAMES), x)
    assert all(float(weight.detach().std()) > 0.1 for weight in (layer.to_q, layer.to_k, layer.to_v))


def test_positions_and_parts_do_not_see_each_other_and_all_frames_do():
    layer, x = trained(), random(2 * FRAMES, TOKENS, CHANNELS)
    before = layer(x, FRAMES)
    moved = x.clone()
    moved[FRAMES - 1, 1, 0] += 1  # a position of the last frame of the first part
    change = (layer(moved, FRAMES) - before).abs().amax(-1)
    assert (change[:FRAMES, 1] > 1e-4).all()
    change[:FRAMES, 1] = 0
    assert float(change.max()) == 0


def test_frames_have_no_order():
    layer, x = trained(), random(FRAMES, TOKENS, CHANNELS)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(layer(x[order], FRAMES), layer(x, FRAMES)[order])


def test_the_layer_is_its_formula_with_torchs_own_attention():
    layer, x = trained(), random(FRAMES, TOKENS, CHANNELS)
    theirs = nn.MultiheadAttention(CHANNELS, HEADS, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([layer.to_q, layer.to_k, layer.to_v])
    theirs.in_proj_bias.data.zero_()
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = layer.to_out.data, layer.to_out_bias.data
    lines = F.layer_norm(x, (CHANNELS,)).transpose(0, 1)  # f n d -> n f d
    expected, _ = theirs(lines, lines, lines)
    torch.testing.assert_close(layer(x, FRAMES), expected.transpose(0, 1).detach())


def test_half_precision_goes_through_and_gradients_come_back():
    layer = TemporalAttention(CHANNELS, HEADS)
    out = layer(random(FRAMES, TOKENS, CHANNELS).bfloat16(), FRAMES)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    assert layer.to_out.grad is not None
    assert layer.to_out.dtype == torch.float32


def test_layers_start_from_the_seed_and_apart_from_each_other():
    one, again, other = (TemporalLayers(SHAPES, seed).tensors() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["in.0.to_q"], other["in.0.to_q"])
    assert not torch.equal(one["in.0.to_q"], one["in.0.to_k"])
    assert set(one) == {
        f"{block}.{name}" for block in SHAPES for name in ("to_q", "to_k", "to_v", "to_out", "to_out_bias")
    }
    alone = TemporalLayers({"in.0": SHAPES["in.0"]}, 1).tensors()
    assert torch.equal(alone["in.0.to_q"], one["in.0.to_q"])


def test_weights_go_out_and_in_again():
    made, taken = TemporalLayers(SHAPES, 1), TemporalLayers(SHAPES, 2)
    tensors = made.tensors()
    assert all(torch.equal(taken.load(tensors).tensors()[name], value) for name, value in tensors.items())
    tensors["in.0.to_q"].zero_()  # a copy
    assert float(made.tensors()["in.0.to_q"].abs().max()) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in.0.to_q": torch.zeros(4, 4)}, r"in\.0\.to_q has shape \(4, 4\), the network needs \(8, 8\)"),
        ({"in.0.to_q": None}, r"in\.0\.to_q has shape None, the network needs \(8, 8\)"),
        ({"mid.0.to_q": torch.zeros(4, 4)}, r"mid\.0\.to_q has shape \(4, 4\), the network needs None; take the base"),
    ],
)
def test_weights_of_another_network_are_refused(change, message):
    tensors = {**TemporalLayers(SHAPES).tensors(), **change}
    with pytest.raises(ValueError, match=message):
        TemporalLayers(SHAPES).load({name: value for name, value in tensors.items() if value is not None})


def test_a_pooled_norm_is_that_of_a_tensor_with_an_axis_for_frames():
    norm = nn.GroupNorm(2, CHANNELS)
    norm.weight.data, norm.bias.data = random(CHANNELS), random(CHANNELS, seed=1)
    x = random(2 * FRAMES, CHANNELS, 3, 4)
    clips = x.view(2, FRAMES, CHANNELS, 3, 4).transpose(1, 2)
    expected = F.group_norm(clips, 2, norm.weight, norm.bias).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(pooled_over_frames(norm, x, FRAMES), expected)
    assert not torch.allclose(norm(x), expected, atol=0.1)


def test_group_norms_of_no_known_kind_are_refused():
    assert Tuned("a base", group_norms=POOLED).sparse_causal
    with pytest.raises(ValueError, match="group norms 'batch' are not known; use one of per frame, pooled over frames"):
        Tuned("a base", group_norms="batch")

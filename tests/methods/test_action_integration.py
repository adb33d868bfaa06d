"""Action Integration: nothing at the start, each sample its own references, and time as a share of the clip."""

from __future__ import annotations

import pytest
import torch

from pack.methods.action_integration import ActionIntegration, ActionIntegrations, inner_channels, spread
from pack.methods.action_prism import PrismSizes
from pack.methods.action_tokens import ActionTokens, joined, stacked
from pack.methods.aicl import AdapterSizes, new_adapter


def integration(seed: int = 0) -> ActionIntegration:
    """One with something to add."""
    torch.manual_seed(seed)
    return ActionIntegration(channels=8, token=6, inner=4).double()


def tokens(length: int, seed: int = 0, batch: int = 1) -> ActionTokens:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, length, 6, generator=generator, dtype=torch.float64)
    return ActionTokens(values, torch.rand(batch, length, generator=generator))


def video(batch: int = 1, frames: int = 3, positions: int = 5, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, positions, 8, generator=generator, dtype=torch.float64)


def added(block: ActionIntegration, x: torch.Tensor, action: ActionTokens, **options) -> torch.Tensor:
    return block(x, block.keys_values(action), action.mask, **options)


def test_an_untrained_integration_adds_exactly_nothing():
    sizes = AdapterSizes(PrismSizes(3, 5, 8, 2, 1, token=6), {"blocks.0": 8, "blocks.1": 12}, inner=4)
    blocks = new_adapter(sizes)[1]
    action = ActionTokens(torch.randn(1, 4, 6), torch.rand(1, 4))
    out = blocks["blocks.1"](torch.randn(2, 3, 5, 12), blocks["blocks.1"].keys_values(action))
    assert not out.any()
    assert "blocks.1" in blocks
    assert "blocks.2" not in blocks


def test_every_sample_of_a_batch_reads_its_own_references():
    block, x = integration(), video(batch=3)
    actions = [tokens(4, seed) for seed in range(3)]
    batch = ActionTokens(torch.cat([a.tokens for a in actions]), torch.cat([a.times for a in actions]))
    together = added(block, x, batch)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], added(block, x[i : i + 1], actions[i]))


def test_parts_of_a_call_lie_behind_each_other_with_all_samples_each():
    block, x = integration(), video(batch=4)
    action = tokens(4, batch=2)
    out = added(block, x, action)
    torch.testing.assert_close(out[:2], added(block, x[:2], action))
    torch.testing.assert_close(out[2:], added(block, x[2:], action))


def test_a_batch_that_actions_cannot_share_is_refused():
    with pytest.raises(ValueError, match="a batch of 3 cannot be shared by the actions of 2 samples"):
        added(integration(), video(batch=3), tokens(4, batch=2))


def test_one_sample_s_action_serves_all():
    block, x = integration(), video(batch=2)
    out = added(block, x, tokens(4))
    torch.testing.assert_close(out[1:], added(block, x[1:], tokens(4)))
    assert spread(torch.zeros(1, 4), 3).shape == (3, 4)


def test_the_order_of_references_does_not_matter():
    block, x = integration(), video()
    first, second, third = (tokens(length, length) for length in (4, 2, 3))
    out = added(block, x, joined([first, second, third]))
    torch.testing.assert_close(out, added(block, x, joined([third, first, second])))
    assert (out - added(block, x, first)).abs().max() > 1e-4


def test_samples_with_fewer_references_or_none_are_not_disturbed_by_the_batch():
    block, x = integration(), video(batch=3)
    first, last = tokens(4, 1), tokens(2, 2)
    batch = stacked([first, None, last], 6)
    out = added(block, x, ActionTokens(batch.tokens.double(), batch.times, batch.mask))
    torch.testing.assert_close(out[:1], added(block, x[:1], first))
    torch.testing.assert_close(out[2:], added(block, x[2:], last))
    assert not out[1].any()


def test_positions_are_alike_and_times_are_not():
    block, action = integration(), tokens(4)
    same = torch.ones(1, 3, 5, 8, dtype=torch.float64) * torch.arange(8)
    out = added(block, same, action)
    torch.testing.assert_close(out[:, :, :1].expand_as(out), out)
    assert (out[:, 0] - out[:, 2]).abs().max() > 1e-4


def test_times_can_be_given():
    block, x, action = integration(), video(), tokens(4)
    torch.testing.assert_close(added(block, x, action), added(block, x, action, times=torch.tensor([1, 3, 5]) / 6))
    late = added(block, x, action, times=torch.tensor([0.8, 0.9, 1.0]))
    assert (late - added(block, x, action)).abs().max() > 1e-5


def test_the_attention_can_be_computed_elsewhere():
    block, asked = integration(), []

    def attend(q, k, v, heads):
        asked.append((q.shape, k.shape, v.shape, heads))
        return torch.zeros_like(q)

    out = added(block, video(), tokens(4), attend=attend)
    assert asked == [((1, 15, 4), (1, 4, 4), (1, 4, 4), 1)]
    torch.testing.assert_close(out, block.attention.to_out.bias.expand_as(out))


@pytest.mark.parametrize(
    ("channels", "most", "inner"), [(1536, 1024, 1024), (320, 1024, 320), (100, 1024, 64), (48, 9, 8), (2, 512, 2)]
)
def test_the_attention_has_whole_heads_or_one_even_one(channels, most, inner):
    assert inner_channels(channels, most) == inner
    assert ActionIntegrations({"a": channels}, 6, most)["a"].attention.to_q.out_features == inner

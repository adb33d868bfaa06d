"""Action tokens of several references and samples."""

from __future__ import annotations

import pytest
import torch

from pack.methods.action_tokens import ActionTokens, joined, stacked


def tokens(length: int, seed: int = 0, batch: int = 1, channels: int = 4) -> ActionTokens:
    generator = torch.Generator().manual_seed(seed)
    return ActionTokens(
        torch.randn(batch, length, channels, generator=generator), torch.rand(batch, length, generator=generator)
    )


def test_references_are_laid_one_behind_another_each_with_its_own_times():
    first, second = tokens(3, 1), tokens(2, 2)
    both = joined([first, second])
    assert torch.equal(both.tokens, torch.cat([first.tokens, second.tokens], 1))
    assert torch.equal(both.times[:, 3:], second.times)
    assert both.mask is None


def test_masks_stay_with_their_references():
    masked = ActionTokens(torch.zeros(1, 2, 4), torch.zeros(1, 2), torch.tensor([[True, False]]))
    assert joined([masked, tokens(1)]).mask.tolist() == [[True, False, True]]


def test_references_of_other_samples_or_none_cannot_be_joined():
    with pytest.raises(ValueError, match="cannot be joined"):
        joined([tokens(2), tokens(2, batch=2)])
    with pytest.raises(ValueError, match="cannot be joined"):
        joined([])


def test_samples_with_other_numbers_of_tokens_make_a_batch():
    batch = stacked([tokens(3, 1), None, tokens(1, 2)], 4)
    assert batch.tokens.shape == (3, 3, 4)
    assert batch.mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
    assert torch.equal(batch.tokens[2, :1], tokens(1, 2).tokens[0])
    assert stacked([None, None], 4).mask.tolist() == [[False], [False]]


def test_shapes_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"times of \[1, 2\]"):
        ActionTokens(torch.zeros(1, 3, 4), torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"mask of \[2, 3\]"):
        ActionTokens(torch.zeros(1, 3, 4), torch.zeros(1, 3), torch.zeros(2, 3))


def test_tokens_take_another_type_and_times_do_not():
    moved = tokens(3).to(torch.zeros(1, dtype=torch.float16))
    assert (moved.tokens.dtype, moved.times.dtype) == (torch.float16, torch.float32)

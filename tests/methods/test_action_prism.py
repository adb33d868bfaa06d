"""The Action Prism: which shapes it takes, and what its tokens depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pack.methods.action_prism import FLATTENED, PrismSizes, caption_mask
from pack.methods.aicl import AdapterSizes, new_adapter

SIZES = PrismSizes(channels=3, text=5, width=8, heads=2, layers=2, queries=2, token=6, grid=2)
FLAT = replace(SIZES, head=FLATTENED, size=(2, 4, 6), patch=1)


def prism_of(sizes: PrismSizes = SIZES):
    return new_adapter(AdapterSizes(sizes, {"a": 4}))[0].double()


def clip(frames: int = 3, height: int = 4, width: int = 4, batch: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, frames, height, width, generator=generator, dtype=torch.float64)


def caption(batch: int = 1, tokens: int = 4, seed: int = 9) -> torch.Tensor:
    return torch.randn(batch, tokens, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("size", [(2, 4, 4), (5, 4, 4), (3, 8, 2), (3, 5, 7), (1, 1, 1)])
def test_the_resampler_takes_references_of_any_size_and_length(size):
    out = prism_of()(clip(*size), caption())
    assert out.tokens.shape == (1, 2 * size[0], 6)
    assert out.times.tolist() == [pytest.approx([(f + 0.5) / size[0] for f in range(size[0]) for _ in range(2)])]
    assert torch.isfinite(out.tokens).all()


def test_the_flattened_head_lays_four_channels_a_place_side_by_side():
    out = prism_of(FLAT)(clip(2, 4, 6), caption())
    assert out.tokens.shape == (1, 2, 4 * 4 * 6)
    assert FLAT.token_channels == 96


def test_the_flattened_head_refuses_references_of_another_size():
    with pytest.raises(ValueError, match=r"has \[3, 4, 6\] latents, .* takes \[2, 4, 6\]"):
        prism_of(FLAT)(clip(3, 4, 6), caption())


@pytest.mark.parametrize("sizes", [SIZES, FLAT], ids=["resampler", "flattened"])
def test_every_reference_of_a_batch_is_on_its_own(sizes):
    prism, clips, captions = prism_of(sizes), clip(2, 4, 6, batch=3), caption(3)
    together = prism(clips, captions).tokens
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], prism(clips[i : i + 1], captions[i : i + 1]).tokens)


@pytest.mark.parametrize("sizes", [SIZES, FLAT], ids=["resampler", "flattened"])
def test_tokens_depend_on_other_frames_positions_and_the_caption(sizes):
    prism, still = prism_of(sizes), clip(2, 4, 6)
    before = prism(still, caption()).tokens
    for place in ((slice(None), slice(None), 1), (slice(None), slice(None), 0, 3, 5)):
        changed = still.clone()
        changed[place] += 1.0
        first = prism(changed, caption()).tokens.unflatten(1, (2, -1))[:, 0]
        assert (first - before.unflatten(1, (2, -1))[:, 0]).abs().max() > 1e-6
    assert (prism(still, caption(seed=8)).tokens - before).abs().max() > 1e-6


def test_the_order_of_frames_matters():
    prism, frames = prism_of(), clip()
    tokens = prism(frames, caption()).tokens.unflatten(1, (3, 2))
    turned = prism(frames.flip(2), caption()).tokens.unflatten(1, (3, 2)).flip(1)
    assert (tokens - turned).abs().max() > 1e-4


def test_padding_behind_a_caption_changes_nothing():
    padded = torch.cat([caption(), torch.zeros(1, 3, 5, dtype=torch.float64)], 1)
    torch.testing.assert_close(prism_of()(clip(), padded).tokens, prism_of()(clip(), caption()).tokens)
    assert caption_mask(torch.zeros(1, 2, 5)).all()
    assert torch.isfinite(prism_of()(clip(), torch.zeros_like(caption())).tokens).all()


def test_without_still_parts_what_does_not_move_is_not_seen():
    prism = prism_of(replace(SIZES, still=False))
    offset = torch.randn(1, 3, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(prism(clip(), caption()).tokens, prism(clip() + offset, caption()).tokens)
    assert (prism_of()(clip(), caption()).tokens - prism_of()(clip() + offset, caption()).tokens).abs().max() > 1e-4


def test_latents_are_taken_as_the_vae_gives_them():
    prism, scaled = prism_of(), prism_of()
    scaled.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    scaled.std.copy_(torch.tensor([0.5, 2.0, 4.0]))
    raw = clip() * scaled.std.view(-1, 1, 1, 1) + scaled.mean.view(-1, 1, 1, 1)
    torch.testing.assert_close(scaled(raw, caption()).tokens, prism(clip(), caption()).tokens)


def test_gradients_reach_every_weight():
    for sizes in (SIZES, FLAT):
        prism = prism_of(sizes)
        prism(clip(2, 4, 6), caption()).tokens.square().sum().backward()
        assert [name for name, value in prism.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_latents_and_captions_of_another_model_are_refused():
    with pytest.raises(ValueError, match=r"the adapter takes 3 channels"):
        prism_of()(clip()[:, :2], caption())
    with pytest.raises(ValueError, match=r"takes \[1, n, 5\]"):
        prism_of()(clip(), caption()[..., :4])
    with pytest.raises(ValueError, match=r"takes \[1, n, 5\]"):
        prism_of()(clip(), caption(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "other"}, "head 'other' is not known"),
        ({"layers": 0}, "whole numbers from 1"),
        ({"layers": 10**9}, "up to 512 layers"),
        ({"width": 6.0}, "whole numbers from 1"),
        ({"heads": 3}, "cannot be shared by 3 heads"),
        ({"head": FLATTENED}, "needs the size of the references"),
        ({"size": (2, 4, 4)}, "needs the size of the references"),
        ({"head": FLATTENED, "size": (2, 5, 4)}, "do not divide into patches of 2"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SIZES, **change)


def test_where_something_is_matters():
    prism, here = prism_of(), clip(3, 4, 4)
    there = here.roll(2, dims=-1)  # whole patches, so that the same patches come at other positions
    assert (prism(here, caption()).tokens - prism(there, caption()).tokens).abs().max() > 1e-4

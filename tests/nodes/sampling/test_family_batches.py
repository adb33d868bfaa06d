"""Clips of a batch are sampled with a TIC-FT context as each would be alone, in every family."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_families as families
import tiny_sampling as tiny
import torch

from pack.methods.tic_ft import Layout
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.sampling.wrappers import Context

CLOSE = 1e-4  # share of the largest value; rounding gives 5e-5 where CogVideoX falls from its last sigma, 4519


@pytest.mark.parametrize("family", families.ALL, ids=lambda family: family.name)
def test_each_clip_of_a_batch_is_what_it_is_alone(family):
    layout = Layout.linear(1, 3, 3) if family.time_patch == 1 else Layout.linear(2, 4, 4)
    prompts = (family.conditioning(1), family.conditioning(2))
    start = tiny.scene(layout, 2, 0, families.model_of(family.name), prompts=prompts)
    model = Context(layout, start.x0).put_on(repaired(start.model))
    both = tiny.sample(model, start, steps=4, cfg=3.0)
    assert torch.equal(both[:, :, : layout.condition], start.latent[:, :, : layout.condition])
    target = both[:, :, layout.prefix :]
    assert float((target[0] - target[1]).abs().max() / target.abs().max()) > 100 * CLOSE
    for i in range(2):
        one = slice(i, i + 1)
        alone = tiny.sample(model, replace(start, latent=start.latent[one], noise=start.noise[one]), steps=4, cfg=3.0)
        assert float((both[one] - alone).abs().max() / alone.abs().max()) <= CLOSE

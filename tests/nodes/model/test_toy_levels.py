"""Levels per frame, finer tokens and the richer world in the toy model's training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pack.toy import looks, text, world
from pack.toy.pretrain import base, captions, finer, latents
from pack.toy.pretrain.levels import LEVELS, draw_levels


def test_one_level_is_one_a_clip_and_spread_over_all():
    sigma, continued = draw_levels("one", 16, 13, 4.0, np.random.default_rng(0))
    assert sigma.shape == (16,)
    assert not continued
    assert sigma.min() < 0.3
    assert sigma.max() > 0.97


def test_a_prefix_is_less_noisy_than_the_rest_and_at_most_half():
    rng = np.random.default_rng(0)
    drawn = [draw_levels("per frame", 16, 10, 4.0, rng) for _ in range(100)]
    prefixed = [sigma for sigma, continued in drawn if continued]
    assert 60 < len(prefixed) < 90
    for sigma in prefixed:
        level = sigma[:, -1:]
        lower = sigma < level
        assert lower[:, 0].all()
        assert not lower[:, 5:].any()
        assert torch.equal(sigma[:, 5:], level.expand(-1, 5))
    clean = torch.cat([sigma[:, 0] == 0 for sigma in prefixed]).float().mean()
    assert 0.6 < clean < 0.8
    assert all(torch.equal(sigma, sigma[:, :1].expand_as(sigma)) for sigma, continued in drawn if not continued)


def test_unknown_levels_are_refused():
    with pytest.raises(ValueError, match="use one of one, per frame"):
        draw_levels("many", 2, 4, 4.0, np.random.default_rng(0))
    assert LEVELS == ("one", "per frame")


def test_the_loss_is_that_of_the_noisy_frames():
    x0, noise = torch.randn(2, 16, 4, 8, 8), torch.randn(2, 16, 4, 8, 8)
    seen = {}

    def network(xt, timestep, *_context, **_options):
        seen.update(xt=xt, timestep=timestep)
        return torch.zeros_like(xt)

    sigma = torch.tensor([[0.0, 0.0, 0.8, 0.8], [0.2, 0.5, 0.5, 0.5]])
    loss = base.flow_loss(network, x0, torch.zeros(2, 77, text.WIDTH), sigma, noise)
    assert torch.equal(seen["xt"][0, :, :2], x0[0, :, :2])
    assert torch.equal(seen["timestep"], sigma * 1000)
    error = (noise - x0).square().mean((1, 3, 4))
    torch.testing.assert_close(loss, torch.stack([error[0, 2:].mean(), error[1].mean()]))
    scalar = base.flow_loss(network, x0, torch.zeros(2, 77, text.WIDTH), torch.tensor([0.3, 0.9]), noise)
    torch.testing.assert_close(scalar, error.mean(1))


def test_finer_tokens_keep_what_a_flat_patch_was_told():
    torch.manual_seed(0)
    coarse, fine = base.build_network(base.COARSE), base.build_network()
    fine.load_state_dict(finer.finer(coarse.state_dict()))
    flat = torch.randn(1, 16, 3, 1, 1).expand(-1, -1, -1, 2, 2)
    with torch.no_grad():
        told = [network.patch_embedding(flat.contiguous()).flatten(3) for network in (coarse, fine)]
        torch.testing.assert_close(told[1], told[0].expand(-1, -1, -1, 4))
        again = fine.head.head(told[1].permute(0, 2, 3, 1))
    torch.testing.assert_close(again, flat.flatten(3).permute(0, 2, 3, 1), atol=1e-4, rtol=0)


def test_places_in_the_picture_turn_channels_about_as_before():
    torch.manual_seed(0)
    coarse = base.build_network(base.COARSE)
    state = coarse.state_dict()
    fine = base.build_network()
    fine.load_state_dict(finer.finer(state))
    turns = (
        coarse.rope_encode(1, 16, 16)[0].view(8, 8, 1, 32, 2, 2),
        fine.rope_encode(1, 16, 16)[0].view(16, 16, 1, 32, 2, 2),
    )
    angles = [torch.atan2(turn[..., 1, 0], turn[..., 0, 0])[:, :, 0] for turn in turns]
    rows = finer.rows_by_frequency()[:64].view(32, 2)[:, 0] // 2  # old pair of each new one
    assert sorted(rows.tolist()) == list(range(32))
    for new, old in enumerate(rows.tolist()):
        first = new in (12, 22)  # the fastest of height and width, which got the slowest
        far, near = angles[1][2, 2, new], angles[0][1, 1, old]
        if new < 12:
            assert new == old
        elif not first:
            assert float(far / near) == pytest.approx(0.8, abs=0.01)


def test_scenes_of_the_richer_world_are_seeded_and_every_fourth_is_plain():
    first, again = ([latents.rich_scene_of(i, 0) for i in range(80)] for _ in range(2))
    assert first == again
    assert all(scene == latents.scene_of(i, 0) for i, scene in enumerate(first) if i % 4 == 3)
    rich = [scene for i, scene in enumerate(first) if i % 4 != 3]
    assert all(scene.lit for scene in rich)
    assert {scene.marking for scene in rich} == set(looks.MARKINGS)
    assert {scene.backdrop for scene in rich} == set(looks.BACKDROPS)


def test_captions_of_marked_objects_vary_but_never_lie():
    scene = world.Scene(
        "ring", "cyan", "white", "bounces", marking="top", mark_colour="red", backdrop="striped", lit=True
    )
    rng = np.random.default_rng(0)
    texts = {captions.vary_caption(scene, rng, continued=bool(i % 2)) for i in range(600)}
    assert {"", scene.caption(), "a thing bounces"} <= texts
    wrong = {*world.COLOURS, *world.SHAPES, *world.BACKGROUNDS, "side", "stripe"} - {"ring", "cyan", "white", "red"}
    assert not any(word in wrong for text in texts for word in text.split())

"""The toy model's training walks the host's own networks, and goes on where it stopped."""

from __future__ import annotations

import comfy.ldm.wan.model as wan
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pack.nodes.host.model import toy
from pack.toy import text, weights, world
from pack.toy.pretrain import base, captions, latents, vae
from pack.toy.pretrain.loop import Plan, Stage


@pytest.fixture(scope="module")
def trained_vae():
    return vae.load_vae(weights.VAE)


def test_the_whole_clip_pass_equals_the_hosts_chunked_one(trained_vae):
    clip = torch.rand(1, 3, 17, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        mean, _ = vae.encode_clip(trained_vae, clip)
        torch.testing.assert_close(mean, trained_vae.encode(clip), atol=2e-5, rtol=0)
        torch.testing.assert_close(vae.decode_clip(trained_vae, mean), trained_vae.decode(mean), atol=2e-5, rtol=0)


def test_folding_statistics_changes_the_scale_and_nothing_else():
    torch.manual_seed(0)
    network = vae.build_vae()
    clip = torch.rand(1, 3, 5, 32, 32) * 2 - 1
    with torch.no_grad():
        raw, _ = vae.encode_clip(network, clip)
        before = vae.decode_clip(network, raw)
        flat = raw.transpose(0, 1).flatten(1)
        vae.fold_statistics(network, flat.mean(1), flat.std(1))
        folded, _ = vae.encode_clip(network, clip)
        after = vae.decode_clip(network, folded)
    from comfy.latent_formats import Wan21

    inside = Wan21().process_in(folded).transpose(0, 1).flatten(1)
    torch.testing.assert_close(inside.mean(1), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.std(1), torch.ones(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(after, before, atol=1e-4, rtol=0)


def test_the_fast_attention_equals_the_hosts(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr("comfy.model_management.in_training", True)
    network = base.build_network()
    inputs = (torch.randn(2, 16, 3, 8, 8), torch.tensor([300.0, 700.0]), torch.randn(2, 77, text.WIDTH))
    monkeypatch.setattr(wan, "optimized_attention", wan.optimized_attention)
    monkeypatch.setattr(wan, "apply_rope1", wan.apply_rope1)
    with torch.no_grad():
        slow = network(*inputs, transformer_options={})
        base.use_fast_attention()
        fast = network(*inputs, transformer_options={})
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=1e-4)


def test_the_fresh_network_has_the_agreed_size_and_copies_its_input():
    torch.manual_seed(0)
    network = base.build_network()
    assert sum(p.numel() for p in network.parameters()) <= 8_000_000
    x = torch.randn(1, 16, 2, 8, 8)
    with torch.no_grad():
        out = network(x, torch.tensor([900.0]), torch.zeros(1, 77, text.WIDTH), transformer_options={})
    assert torch.nn.functional.cosine_similarity(out.flatten(), x.flatten(), dim=0) > 0.3


def test_a_stage_goes_on_where_it_stopped(tmp_path):
    def stage() -> Stage:
        torch.manual_seed(0)
        network = torch.nn.Linear(8, 8)
        plan = Plan(seconds=1e9, rate=1e-2, other_rate=1e-2, constant=1.0, average=0.9)
        return Stage(network, [network.weight], plan, tmp_path / "state.safetensors")

    def loss(running: Stage) -> torch.Tensor:
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(running.step))
        return (running.network(x) - x).square().mean()

    whole = stage()
    for _ in range(6):
        whole.update(loss(whole))
    first = stage()
    for _ in range(3):
        first.update(loss(first))
    first.save()
    second = stage()
    assert second.step == 3
    for _ in range(3):
        second.update(loss(second))
    for name, value in whole.averaged().items():
        assert torch.equal(value, second.averaged()[name])


def test_scenes_of_the_latents_are_seeded_and_of_the_pretraining_half():
    shown = set(world.combinations(False))
    first, again = ([latents.scene_of(i, 0) for i in range(50)] for _ in range(2))
    assert first == again
    named = [scene for i, scene in enumerate(first) if i % 3 != 2]
    assert {(s.shape, s.colour, s.motion) for s in named} <= shown


def test_one_clip_in_three_shows_an_object_without_a_name():
    scenes = [latents.scene_of(i, 0) for i in range(2, 300, 3)]
    rng = np.random.default_rng(0)
    for scene in scenes:
        assert scene.shape in world.UNNAMED_SHAPES or scene.colour in world.UNNAMED_COLOURS
        words = set(captions.vary_caption(scene, rng).split())
        assert not words & {*world.UNNAMED_SHAPES, *world.UNNAMED_COLOURS}
    assert len({(s.shape, s.colour, s.motion) for s in scenes}) > 90


def test_latents_lie_where_the_host_puts_what_it_encodes(trained_vae, tmp_path, monkeypatch):
    monkeypatch.setattr(latents, "SHARD", 4)
    latents.encode_shard(trained_vae, 0, seed=0, folder=tmp_path)
    model, vae_of_host = toy.load_model(), toy.load_vae()
    with torch.inference_mode():
        clip = torch.from_numpy(world.render(latents.scene_of(0, 0), latents.FRAMES))
        expected = model.model.process_latent_in(vae_of_host.encode(clip))[0]
    found = latents.read_latents(tmp_path)[0].float()
    torch.testing.assert_close(found, expected.clone(), atol=5e-3, rtol=5e-3)


def test_latents_are_read_up_to_the_first_missing_shard(tmp_path):
    for number in (0, 1, 3):
        shard = {"latents": torch.full((2, 16, 13, 8, 8), float(number), dtype=torch.float16)}
        save_file(shard, tmp_path / f"latents_{number:04}.safetensors")
    assert latents.read_latents(tmp_path)[:, 0, 0, 0, 0].tolist() == [0, 0, 1, 1]
    (tmp_path / "latents_0000.safetensors").unlink()
    with pytest.raises(RuntimeError, match="the first shard of latents is not in"):
        latents.read_latents(tmp_path)


def test_captions_vary_but_never_lie():
    scene = world.Scene("ring", "cyan", "white", "circles clockwise")
    rng = np.random.default_rng(0)
    texts = {captions.vary_caption(scene, rng) for _ in range(300)}
    assert "" in texts
    assert scene.caption() in texts
    assert "a thing circles clockwise" in texts
    wrong = {*world.COLOURS, *world.SHAPES, *world.BACKGROUNDS} - {"ring", "cyan", "white"}
    assert not any(word in wrong for text in texts for word in text.split())


def test_the_text_weights_come_from_their_seed():
    first, again, other = text.clip_state_dict(), text.clip_state_dict(), text.clip_state_dict(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(
        first["text_model.embeddings.token_embedding.weight"], other["text_model.embeddings.token_embedding.weight"]
    )

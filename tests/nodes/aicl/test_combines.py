"""AICL beside LoRAs, TIC-FT contexts, image-to-video bases and other node packs, and what the host manages."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import tiny_aicl
import tiny_families
import tiny_sampling
import tiny_svd
import torch
from tiny_aicl import BASES, CLOSE, KINDS, acted, action_of, differs, host_adapter, plain, sample, start

from pack.methods.tic_ft import Layout
from pack.nodes.host.aicl.adapter import HostAdapter
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.aicl.evaluation import times_of
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.sampling.wrappers import Context

LAYERS = {"Wan 2.1": "blocks.0.ffn.0", "CogVideoX 5B": "blocks.0.ff_proj"}
LAYERS |= {"LTX-2.3": "transformer_blocks.0.ff.net.2", "HunyuanVideo": "double_blocks.0.img_mlp.0"}
LAYERS["Kandinsky 5"] = "visual_transformer_blocks.0.feed_forward.in_layer"
LAYERS["SVD"] = "middle_block.1.time_stack.0.norm3"  # whose forward is replaced itself


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.model.diffusion_model.state_dict().items()}


def with_lora(model: Any, name: str) -> Any:
    """A clone with a patch on one weight, as a LoRA loader makes it."""
    key = f"diffusion_model.{LAYERS[name]}.weight"
    weight = model.model.state_dict()[key]
    delta = torch.randn(weight.shape, generator=torch.Generator().manual_seed(5))
    clone = model.clone()
    assert clone.add_patches({key: ("diff", (delta,))}) == [key]
    return clone


@pytest.mark.parametrize("name", KINDS)
def test_loras_work_before_and_behind(name):
    begin, base = start(name), tiny_aicl.model_of(name)
    before = sample(apply_action(with_lora(base, name), action_of(name), 1.0), name, begin)
    behind = sample(with_lora(apply_action(base, action_of(name), 1.0), name), name, begin)
    assert torch.equal(before, behind)
    assert differs(acted(name, begin), before)
    untrained = action_of(name, adapter=host_adapter(name, 0, False))
    alone = sample(with_lora(apply_action(base, untrained, 0.0), name), name, begin)
    assert torch.equal(sample(apply_action(with_lora(base, name), untrained, 1.0), name, begin), alone)


@pytest.mark.parametrize("name", KINDS)
def test_a_clone_over_another_copy_of_the_network_is_the_same_and_takes_loras(name):
    base, begin = repaired(tiny_aicl.model_of(name)).clone(), start(name)
    fresh = tiny_svd.fresh_svd if name == "SVD" else partial(tiny_families.fresh_model_of, name)
    base.cached_patcher_init = (lambda **_: fresh(), ())  # as the host's loaders do
    model = apply_action(base, action_of(name), 1.0)
    copy = model.clone(force_deepcopy=True)  # as for LoRA hooks and training where the host pages weights
    assert copy.model is not base.model
    assert torch.equal(sample(copy, name, begin), sample(model, name, begin))
    expected = sample(with_lora(model, name), name, begin)
    assert differs(sample(model, name, begin), expected)
    assert torch.equal(sample(with_lora(copy, name), name, begin), expected)


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 5B", "LTX-2.3", "HunyuanVideo 1.5", "Kandinsky 5"])
def test_tic_ft_contexts_work_before_and_behind(name):
    layout = Layout.linear(1, 1, 2)
    base = repaired(tiny_aicl.model_of(name))
    scene = tiny_sampling.scene(layout, model=base)
    scene.prompts = tiny_aicl.conditioning_of(name, 1), tiny_aicl.conditioning_of(name, 2)
    context = Context(layout, scene.x0)
    alone = tiny_sampling.sample(context.put_on(base), scene)
    first = tiny_sampling.sample(apply_action(context.put_on(base), action_of(name), 1.0), scene)
    second = tiny_sampling.sample(context.put_on(apply_action(base, action_of(name), 1.0)), scene)
    assert torch.equal(first, second)
    assert torch.equal(first[:, :, :1], scene.x0[:, :, :1])
    assert differs(first[:, :, 2:], alone[:, :, 2:])
    untrained = action_of(name, adapter=host_adapter(name, 0, False))
    assert torch.equal(tiny_sampling.sample(apply_action(context.put_on(base), untrained, 1.0), scene), alone)


def test_behind_a_tic_ft_context_the_action_spans_the_target(monkeypatch):
    import pack.nodes.host.aicl.apply as module

    seen = []

    def heard(*args):
        seen.append(times_of(*args))
        return seen[-1]

    monkeypatch.setattr(module, "times_of", heard)
    layout = Layout.linear(1, 1, 2)
    scene = tiny_sampling.scene(layout)
    model = apply_action(Context(layout, scene.x0).put_on(scene.model), action_of("Wan 2.1"), 1.0)
    tiny_sampling.sample(model, scene)
    assert {tuple(times.tolist()) for times in seen} == {(0.0, 0.0, 0.25, 0.75)}
    sample(apply_action(scene.model, action_of("Wan 2.1"), 1.0), "Wan 2.1", start("Wan 2.1", frames=2), steps=1)
    assert seen[-1].tolist() == [0.25, 0.75]


def test_a_context_window_knows_when_it_is_in_the_whole_clip():
    from comfy.context_windows import IndexListContextWindow

    x = torch.zeros(1, 16, 3, 4, 4)
    window = IndexListContextWindow([2, 3, 5], dim=2, total_frames=8)
    times = times_of(x, 1, 0, {"context_window": window}, None, None)
    torch.testing.assert_close(times, torch.tensor([2.5, 3.5, 5.5]) / 8)
    assert times_of(x, 2, 0, {}, None, None).tolist() == pytest.approx([1 / 3, 2.5 / 3])
    assert len(times_of(torch.zeros(6, 4, 2, 2), 1, 0, {}, 3, None)) == 3


@pytest.mark.parametrize("name", BASES)
def test_the_base_stays_as_it_is(name):
    base, begin = tiny_aicl.model_of(name), start(name)
    sample(base, name, begin, steps=1)  # so that no LoRA of another test is merged in
    before, options = weights_of(base), repr(base.model_options)
    acted(name, begin, 1.0, 0.0, 1.0, 2.0, cfg=3.0, steps=1)
    assert all(torch.equal(value, before[key]) for key, value in weights_of(base).items())
    assert repr(base.model_options) == options
    assert not base.object_patches
    assert not base.get_additional_models()


@pytest.mark.parametrize("name", KINDS)
def test_the_host_loads_the_integrations_and_not_the_prism_and_their_size_is_what_is_added(name):
    import comfy.model_management as management
    from comfy.patcher_extension import WrappersMP

    adapter = HostAdapter(tiny_aicl.random_adapter(name))
    model = apply_action(tiny_aicl.model_of(name), action_of(name, adapter=adapter), 1.0)
    management.unload_all_models()
    seen = []

    def look(executor, *args, **options):
        seen.append([entry.model.model for entry in management.current_loaded_models])
        return executor(*args, **options)

    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "look", look)
    sample(model, name, start(name), steps=1)
    assert [sum(one is part.model for one in seen[0]) for part in (adapter.integrations, adapter.prism)] == [1, 0]
    numbers = sum(value.numel() for value in adapter.integrations.model.parameters())
    assert adapter.integrations.model_size() == 4 * numbers
    assert adapter.integrations.loaded_size() in (0, 4 * numbers)  # on a CPU nothing moves


@pytest.mark.parametrize("name", KINDS)
def test_an_adapter_of_half_precision_is_cast(name):
    from dataclasses import replace

    adapter = tiny_aicl.random_adapter(name)
    half = replace(adapter, tensors={key: value.half() for key, value in adapter.tensors.items()})
    host = HostAdapter(half)
    assert host.integrations.model["".join(list(half.sizes.blocks)[:1])].norm.weight.dtype == torch.float16
    out = acted(name, start(name), action=action_of(name, adapter=host), steps=1)
    torch.testing.assert_close(out, acted(name, start(name), steps=1), atol=5e-2, rtol=5e-2)


@pytest.mark.parametrize("name", KINDS)
def test_features_are_worked_out_once_and_keys_once_a_run(name, monkeypatch):
    from pack.methods.action_integration import ActionIntegration
    from pack.methods.action_prism import ActionPrism

    counts = {"prism": 0, "keys": 0}
    prism, keys = ActionPrism.forward, ActionIntegration.keys_values

    def count(name, original):
        def counted(self, *args):
            counts[name] += 1
            return original(self, *args)

        return counted

    monkeypatch.setattr(ActionPrism, "forward", count("prism", prism))
    monkeypatch.setattr(ActionIntegration, "keys_values", count("keys", keys))
    action = action_of(name)
    model = apply_action(tiny_aicl.model_of(name), action, 1.0)
    blocks = len(action.adapter.sizes.blocks)
    sample(model, name, start(name), cfg=3.0, steps=3)
    assert counts == {"prism": 1, "keys": blocks}
    sample(model, name, start(name), cfg=3.0, steps=1)
    assert counts == {"prism": 1, "keys": 2 * blocks}


@pytest.mark.parametrize("name", ["CogVideoX 5B", "SVD"])
def test_another_pack_s_forward_in_a_block_is_kept(name):
    base = tiny_aicl.model_of(name)
    block = next(iter(host_adapter(name).sizes.blocks))
    module = base.model.diffusion_model.get_submodule(block)
    calls = []

    def forward(*args, **options):
        calls.append(1)
        return type(module).forward(module, *args, **options)

    clone = base.clone()
    clone.add_object_patch(f"diffusion_model.{block}.forward", forward)
    out = sample(
        apply_action(apply_action(clone, action_of(name), 0.5), action_of(name), 0.5), name, start(name), steps=2
    )
    assert calls == [1, 1]
    torch.testing.assert_close(out, acted(name, start(name), steps=2), **CLOSE)


@pytest.mark.parametrize("name", ["CogVideoX 5B", "SVD"])
def test_a_block_that_does_not_come_by_the_norm_is_reported(name):
    base = tiny_aicl.model_of(name)
    block = next(iter(host_adapter(name).sizes.blocks))

    def forward(x=None, hidden_states=None, encoder_hidden_states=None, **_options):
        return x if hidden_states is None else (hidden_states, encoder_hidden_states)

    clone = base.clone()
    clone.add_object_patch(f"diffusion_model.{block}.forward", lambda *a, **o: forward(*a[:1], **o))
    with pytest.raises(RuntimeError, match="replaced a block that AICL adds to"):
        sample(apply_action(clone, action_of(name), 1.0), name, start(name), steps=1)


def test_image_to_video_works_where_the_base_does_it(tmp_path):
    base, name = wan_i2v(tmp_path), "Wan 2.1"
    generator = torch.Generator().manual_seed(4)
    image = {"concat_latent_image": torch.randn(1, 16, 3, 4, 4, generator=generator)}
    image["concat_mask"] = torch.zeros(1, 1, 3, 4, 4)
    prompt = [[tiny_aicl.conditioning_of(name, 1)[0][0], image]]
    begin = start(name)
    out = sample(base, name, begin, prompts=(prompt, prompt))
    untrained = action_of(name, adapter=host_adapter(name, 0, False))
    assert torch.equal(sample(apply_action(base, untrained, 1.0), name, begin, prompts=(prompt, prompt)), out)
    assert differs(sample(apply_action(base, action_of(name), 1.0), name, begin, prompts=(prompt, prompt)), out)


def wan_i2v(folder: Any) -> Any:
    """Wan 2.1's image-to-video network, the size of the tests' text-to-video one."""
    import json

    import comfy.ops
    import tiny_wan
    from comfy.ldm.wan.model import WanModel
    from safetensors.torch import save_file

    net = WanModel(
        model_type="i2v", in_dim=36, out_dim=16, cross_attn_norm=True, operations=comfy.ops.disable_weight_init,
        dtype=torch.float32, device="cpu", **tiny_wan.CONFIG,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    state = {}
    for key, value in net.named_parameters():
        flat = value.ndim < 2 and "bias" not in key
        state[key] = torch.ones(value.shape) if flat else torch.randn(value.shape, generator=generator) * 0.1
    path = folder / "i2v.safetensors"
    save_file(state, path, metadata={"config": json.dumps({"transformer": tiny_wan.CONFIG})})
    model = tiny_wan.load_tiny_wan(path)
    assert model.model.image_to_video
    return model


def test_plain_sampling_afterwards_is_as_before():
    for name in KINDS:
        begin = start(name)
        before = plain(name, begin)
        acted(name, begin)
        assert torch.equal(plain(name, begin), before)


@pytest.mark.parametrize("name", ["LTX-2", "LTX-2.3"])
def test_the_video_of_a_latent_with_sound_is_added_to(name):
    from comfy.nested_tensor import NestedTensor

    video = start(name)
    sound = torch.randn(1, 8, 6, 16, generator=torch.Generator().manual_seed(4))
    begin = tiny_aicl.Start(
        NestedTensor([video.noise, sound]), NestedTensor([video.latent, torch.zeros_like(sound)])
    )  # fmt: skip
    base = plain(name, begin).unbind()
    untrained = action_of(name, adapter=host_adapter(name, 0, False))
    assert all(map(torch.equal, acted(name, begin, action=untrained).unbind(), base))
    out = acted(name, begin).unbind()
    assert [part.shape for part in out] == [video.noise.shape, sound.shape]
    assert differs(out[0], base[0])
    assert not torch.equal(out[1], base[1])  # the sound hears of it through the video


def test_guides_of_ltx_are_refused_in_one_sentence():
    guided = [[text, {**more, "keyframe_idxs": torch.zeros(1, 3, 16, 2)}]
              for text, more in tiny_aicl.conditioning_of("LTXV", 1)]  # fmt: skip
    with pytest.raises(RuntimeError, match=r"^the conditioning has guide frames, .*; take the LTXV guide node off, or"):
        acted("LTXV", start("LTXV"), prompts=(guided, guided))

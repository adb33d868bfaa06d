"""The host's image UNet made to see clips: exactly the image model where it must be, and nothing else touched."""

from __future__ import annotations

import weakref
from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.model_management
import comfy.ops
import comfy.sd
import comfy.utils
import pytest
import tiny_sampling
import tiny_unet
import torch
from tiny_unet import answer, clip
from torch import Tensor
from tuned_models import tuned_of

import nodes as host_nodes
from pack.methods.tune_a_video import PER_FRAME, POOLED, Tuned
from pack.nodes.host.model.image_model import base_of
from pack.nodes.host.services.keys import TUNE_A_VIDEO_KEY
from pack.nodes.host.tune_a_video.apply import apply_tuned, new_layers
from pack.nodes.host.tune_a_video.inflation import blocks_of, inflate
from pack.nodes.tune_a_video import TuneAVideoApply

CFG = [1, 0]
FRAMES = 6


@pytest.fixture
def base() -> Any:
    return tiny_unet.tiny_unet()


def attention_patch(frames: int) -> Any:
    """Sparse-causal attention as a patch of the host's own kind, with loops."""

    def patch(n: Tensor, context: Tensor, _value: Tensor, _extra: Any) -> tuple[Tensor, Tensor, Tensor]:
        rows = []
        for i in range(len(context)):
            first = i - i % frames
            rows.append(torch.cat([context[first], context[max(i - 1, first)]]))
        seen = torch.stack(rows)
        return n, seen, seen

    return patch


def test_an_untrained_model_is_the_one_with_sparse_causal_attention_alone_bit_for_bit(base):
    alone = base.clone()
    alone.set_model_attn1_patch(attention_patch(FRAMES))
    x = clip(FRAMES, 1, 2)
    expected = answer(alone, x, 500, CFG)
    assert torch.equal(answer(inflate(base, new_layers(base)), x, 500, CFG), expected)
    assert torch.equal(answer(apply_tuned(base, tuned_of(base), 0.0), x, 500, CFG), expected)
    assert not torch.allclose(answer(base, x, 500, CFG), expected, atol=0.01)


@pytest.mark.parametrize("group_norms", [PER_FRAME, POOLED])
@pytest.mark.parametrize("kind", ["SD15", "SD20"])
def test_one_frame_and_identical_frames_are_the_image_model(kind, group_norms):
    base = tiny_unet.tiny_unet(kind == "SD20", kind)
    model = inflate(base, new_layers(base), group_norms=group_norms)
    image = clip(1, 2)
    expected = answer(base, image, 300, [0])
    torch.testing.assert_close(answer(model, image, 300, [0]), expected, rtol=0, atol=1e-5)
    still = answer(model, image.expand(FRAMES, -1, -1, -1), 300, [0])
    torch.testing.assert_close(still, expected.expand(FRAMES, -1, -1, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("changed", [0, 2, 5])
def test_a_later_frame_never_changes_an_earlier_one(base, changed):
    model = inflate(base, new_layers(base))
    x = clip(FRAMES, 3, 2)
    before = answer(model, x, 700, CFG)
    x[changed] += 1
    change = (answer(model, x, 700, CFG) - before).flatten(1).abs().amax(1)
    assert float(change[:changed].sum()) == 0
    assert (change[changed:FRAMES] > 1e-4).all()
    assert float(change[FRAMES:].sum()) == 0  # the other prompt's


def test_the_base_is_untouched_where_it_is_not_applied():
    model = tiny_unet.fresh_unet()
    x = clip(FRAMES, 1, 2)
    before, names = answer(model, x, 500, CFG), list(model.model.state_dict())
    weights = {name: value.clone() for name, value in model.model.state_dict().items()}
    tuned = apply_tuned(model, tuned_of(model, POOLED), 1.0)
    changed = answer(tuned, x, 500, CFG)
    assert not torch.allclose(changed, before, atol=0.01)
    assert torch.equal(answer(model, x, 500, CFG), before)
    assert list(model.model.state_dict()) == names
    assert all(torch.equal(value, weights[name]) for name, value in model.model.state_dict().items())
    assert not model.object_patches
    assert model.get_attachment(TUNE_A_VIDEO_KEY) is None
    assert torch.equal(answer(tuned, x, 500, CFG), changed)


def lora_for(model: Any) -> dict[str, Tensor]:
    """A LoRA on every attention projection and one behind it, in the host's names."""
    generator, lora = torch.Generator().manual_seed(7), {}
    for name in blocks_of(model):
        for layer in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn2.to_k", "ff.net.2"):
            weight = model.model.diffusion_model.get_submodule(f"{name}.{layer}").weight
            key = f"diffusion_model.{name}.{layer}"
            lora[f"{key}.lora_up.weight"] = torch.randn(weight.shape[0], 2, generator=generator) * 0.3
            lora[f"{key}.lora_down.weight"] = torch.randn(2, weight.shape[1], generator=generator) * 0.3
    return lora


def test_a_lora_still_acts_on_top_and_below(base):
    lora, x = lora_for(base), clip(FRAMES, 4, 2)
    tuned = apply_tuned(base, tuned_of(base), 1.0)
    plain = answer(tuned, x, 500, CFG)  # loaded while the LoRA's keys are looked up
    on_top, _ = comfy.sd.load_lora_for_models(tuned, None, lora, 1.0, 0.0)
    assert len(on_top.patches) == len(set(tuned.patches) | {f"{key.rsplit('.', 2)[0]}.weight" for key in lora})
    below = apply_tuned(comfy.sd.load_lora_for_models(base, None, lora, 1.0, 0.0)[0], tuned_of(base), 1.0)
    torch.testing.assert_close(answer(on_top, x, 500, CFG), answer(below, x, 500, CFG), rtol=0, atol=1e-5)
    assert not torch.allclose(answer(on_top, x, 500, CFG), plain, atol=0.01)
    merged = tiny_unet.fresh_unet()
    weights = merged.model.diffusion_model.state_dict()
    for key in (key for key in lora if key.endswith(".lora_up.weight")):
        layer = key.removesuffix(".lora_up.weight")
        delta = lora[key] @ lora[f"{layer}.lora_down.weight"]
        with torch.inference_mode():
            weights[f"{layer.removeprefix('diffusion_model.')}.weight"] += delta
    expected = answer(apply_tuned(merged, tuned_of(merged), 1.0), x, 500, CFG)
    torch.testing.assert_close(answer(on_top, x, 500, CFG), expected, rtol=0, atol=1e-5)


def test_two_halves_are_a_whole_and_siblings_do_not_know_each_other(base):
    tuned, x = tuned_of(base), clip(FRAMES, 5, 2)
    whole = apply_tuned(base, tuned, 1.0)
    expected = answer(whole, x, 500, CFG)
    half = apply_tuned(base, tuned, 0.5)
    twice = apply_tuned(half, tuned, 0.5)
    torch.testing.assert_close(answer(twice, x, 500, CFG), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(answer(half, x, 500, CFG), expected, atol=1e-3)
    assert torch.equal(answer(whole, x, 500, CFG), expected)
    assert len(twice.get_additional_models()) == 2


def test_two_applies_must_have_the_same_settings(base):
    once = apply_tuned(base, tuned_of(base), 1.0)
    with pytest.raises(
        ValueError, match=r"norms per frame and .* on, and this one asks for pooled over frames and on; choose"
    ):
        apply_tuned(once, tuned_of(base), 1.0, POOLED)
    again = apply_tuned(apply_tuned(base, tuned_of(base), 1.0, POOLED), tuned_of(base), 1.0, POOLED)
    assert torch.isfinite(answer(again, clip(FRAMES, 1, 2), 500, CFG)).all()


def test_another_packs_patch_of_the_same_forward_is_kept(base):
    name, block = next(iter(blocks_of(base).items()))
    other = base.clone()

    def louder(*args: Any, **options: Any) -> Tensor:
        return type(block).forward(block, *args, **options) * 1.5

    other.add_object_patch(f"diffusion_model.{name}.forward", louder)
    x = clip(1, 6)
    expected = answer(other, x, 500, [0])
    torch.testing.assert_close(answer(inflate(other, new_layers(base)), x, 500, [0]), expected, rtol=0, atol=1e-5)
    assert not torch.allclose(answer(base, x, 500, [0]), expected, atol=1e-3)


def add_tokens(n: Tensor, context: Tensor, value: Tensor, _extra: Any) -> tuple[Tensor, Tensor, Tensor]:
    """What an IP-Adapter does: more tokens to attend to."""
    more = torch.linspace(-1, 1, context.shape[-1]).expand(len(context), 2, -1).to(context)
    return n, torch.cat([context, more], 1), torch.cat([value, more], 1)


def in_tiles(n: Tensor, _context: Tensor, _value: Tensor, _extra: Any) -> tuple[Tensor, Tensor, Tensor]:
    tiles = n.unflatten(1, (2, -1)).flatten(0, 1)
    return tiles, tiles, tiles


PATCHES = {
    "more text tokens": lambda m: m.set_model_attn2_patch(add_tokens),
    "more image tokens": lambda m: m.set_model_attn1_patch(add_tokens),
    "attention to itself alone": lambda m: m.set_model_attn1_replace(lambda _q, _k, v, _o: v, "middle", 0),
    "another output": lambda m: m.set_model_attn1_output_patch(lambda n, _extra: n * 0.5),
    "tiles": lambda m: (
        m.set_model_attn1_patch(in_tiles),
        m.set_model_attn1_output_patch(lambda n, _extra: n.unflatten(0, (-1, 2)).flatten(1, 2)),
    ),
}


@pytest.mark.parametrize("kind", list(PATCHES))
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_attention_patches_of_others_still_act(base, kind, first):
    patched = base.clone()
    PATCHES[kind](patched)
    image = clip(1, 7)
    expected = answer(patched, image, 500, [0])
    assert not torch.allclose(expected, answer(base, image, 500, [0]), atol=1e-3)
    if first:
        model = inflate(patched, new_layers(base))
    else:
        model = inflate(base, new_layers(base))
        PATCHES[kind](model)
    still = answer(model, image.expand(2 * FRAMES, -1, -1, -1), 500, [0, 0])
    torch.testing.assert_close(still, expected.expand(2 * FRAMES, -1, -1, -1), rtol=0, atol=1e-5)


def sampled(model: Any, x: Tensor, positive: Any) -> Tensor:
    with torch.inference_mode():
        (out,) = host_nodes.KSamplerAdvanced().sample(
            model, "disable", 0, 2, 5.0, "euler", "normal", positive, tiny_unet.conditioning(2), {"samples": x}, 0,
            10000, "disable",
        )  # fmt: skip
    return out["samples"]


def control_net() -> Any:
    """A tiny ControlNet of the host's own class."""
    config = {key: value for key, value in tiny_unet.CONFIG.items() if not key.startswith(("out", "legacy"))}
    config.pop("transformer_depth_output", None)
    config |= {"model_channels": 32, "num_heads": 8, "hint_channels": 3, "dtype": torch.float32}
    net = comfy.cldm.cldm.ControlNet(**config, operations=comfy.ops.disable_weight_init)
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    device = comfy.model_management.get_torch_device()
    return comfy.controlnet.ControlNet(net.eval(), load_device=device, compression_ratio=8)


@pytest.mark.parametrize("group_norms", [PER_FRAME, POOLED])
def test_a_controlnet_still_acts_on_each_frame(base, group_norms):
    with torch.inference_mode():
        hints = torch.rand(FRAMES, 32, 32, 3, generator=torch.Generator().manual_seed(2))
        net = control_net()
        apply = host_nodes.ControlNetApply().apply_controlnet
        (moving,) = apply(tiny_unet.conditioning(1), net, hints, 1.0)
        (other,) = apply(tiny_unet.conditioning(1), net, torch.cat([hints[:-1], 1 - hints[-1:]]), 1.0)
    x, model = clip(FRAMES, 8) * 10, inflate(base, new_layers(base), group_norms=group_norms)
    with_hints = sampled(model, x, moving)
    assert not torch.allclose(with_hints, sampled(model, x, tiny_unet.conditioning(1)), atol=1e-2)
    change = (sampled(model, x, other) - with_hints).flatten(1).abs().amax(1)
    assert group_norms == POOLED or float(change[:-1].max()) < 1e-4  # pooled norms see the hints of all frames
    assert float(change[-1]) > 1e-2


def test_the_temporal_layers_are_loaded_by_the_host(base):
    model = apply_tuned(base, tuned_of(base), 1.0)
    sampled(model, clip(FRAMES, 8), tiny_unet.conditioning(1))
    (temporal,) = model.get_additional_models()
    assert any(entry.real_model() is temporal.model for entry in comfy.model_management.current_loaded_models)
    assert len(apply_tuned(base, tuned_of(base), 0.0).get_additional_models()) == 0


def test_the_temporal_layers_go_with_their_model_and_the_next_one_is_not_disturbed(base, caplog):
    model, x = apply_tuned(base, tuned_of(base), 1.0), clip(FRAMES, 8, 2)
    expected = answer(model, x, 500, CFG)
    layer = weakref.ref(model.get_attachment(TUNE_A_VIDEO_KEY).layers[0][0].layers[0])
    del model
    assert layer() is None  # though the network is patched still
    plain = answer(base, x, 500, CFG)
    assert torch.equal(answer(apply_tuned(base, tuned_of(base), 1.0), x, 500, CFG), expected)
    assert torch.equal(answer(base, x, 500, CFG), plain)
    assert "memory leak" not in caplog.text


@pytest.mark.parametrize("group_norms", [PER_FRAME, POOLED])
def test_a_clone_over_another_copy_of_the_network_is_the_same(group_norms):
    base, x = tiny_unet.fresh_unet(), clip(FRAMES, 8, 2)
    base.cached_patcher_init = (lambda **_: tiny_unet.fresh_unet(), ())  # as the host's loaders do
    model = apply_tuned(base, tuned_of(base, group_norms), 1.0)
    expected, plain = answer(model, x, 500, CFG), answer(base, x, 500, CFG)
    copy = model.clone(force_deepcopy=True)  # as for LoRA hooks and training where the host pages weights
    assert copy.model is not base.model
    assert torch.equal(answer(copy, x, 500, CFG), expected)
    assert torch.equal(answer(copy.clone(), x, 500, CFG), expected)
    assert torch.equal(answer(base, x, 500, CFG), plain)


def test_the_node_applies_it_with_the_chosen_norms(base):
    tuned, x = tuned_of(base), clip(FRAMES, 1, 2)
    for chosen, expected in (("as tuned", PER_FRAME), (PER_FRAME, PER_FRAME), (POOLED, POOLED)):
        (model,) = TuneAVideoApply.execute(base, tuned, 1.0, group_norms=chosen).result
        assert torch.equal(
            answer(model, x, 9, CFG), answer(apply_tuned(base, tuned_of(base, expected), 1.0), x, 9, CFG)
        )
    (model,) = TuneAVideoApply.execute(base, tuned_of(base, POOLED), 1.0).result
    assert model.get_attachment(TUNE_A_VIDEO_KEY).group_norms == POOLED


def test_other_models_and_other_bases_are_refused_and_named(base):
    with pytest.raises(ValueError, match=r"works with Stable Diffusion 1\.x and .* 2\.x, the model is a WAN21"):
        apply_tuned(tiny_sampling.tiny_model(), Tuned("x"), 1.0)
    later = tiny_unet.tiny_unet(True, "SD20")
    message = (
        r"tuned on Stable Diffusion 1\.x, noise prediction, the model is Stable Diffusion 2\.x, velocity prediction"
    )
    with pytest.raises(ValueError, match=message):
        apply_tuned(later, tuned_of(base), 1.0)
    wide = tiny_unet.fresh_unet(model_channels=64)
    with pytest.raises(ValueError, match=r"whose input_blocks.* is \(32, 32\), the .* that is loaded has \(64, 64\)"):
        apply_tuned(wide, tuned_of(base), 1.0)
    with pytest.raises(ValueError, match=r"has shape \(32, 32\), the network needs \(64, 64\); take the base"):
        apply_tuned(wide, Tuned(base_of(base), tuned_of(base).temporal), 1.0)
    with pytest.raises(ValueError, match="group norms 'none' are not known"):
        inflate(base, group_norms="none")


def test_calls_that_do_not_tell_frames_from_prompts_are_refused(base):
    model = inflate(base)
    with pytest.raises(RuntimeError, match=r"without cond_or_uncond.*sample with the host's own sampler nodes"):
        answer(model, clip(2), 1, [])
    with pytest.raises(RuntimeError, match=r"a batch of 3 for 2 prompts; sample one clip at a time"):
        answer(model, clip(3), 1, [1, 0])

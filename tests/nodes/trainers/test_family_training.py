"""Training on every family that is trained: its own noise, its own layers, and nothing learned from what is given."""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import tiny_cogvideox
import tiny_families as families
import tiny_sampling as tiny
import torch
from clip_pairs import encoded_pairs
from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete
from comfy_extras.nodes_train import LoraModelLoader
from tic_ft_runs import STEPS, train
from tiny_families import (
    COG_2B,
    COG_5B,
    COG_15,
    COGVIDEOX,
    HUNYUAN_15,
    HUNYUANS,
    IMAGE_TO_VIDEO,
    KANDINSKY,
    LTX,
    WAN_5B,
    Tiny,
    text_of,
)
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.model import loras
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.session import session as training
from pack.nodes.host.session.session import HostPredictor
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora
from pack.training.lora.metadata import from_metadata
from pack.training.tic_ft.objective import TicftObjective

TRAINED = (*IMAGE_TO_VIDEO, WAN_5B, COG_5B, COG_2B, COG_15, *LTX, *HUNYUANS, KANDINSKY)
EVERY = pytest.mark.parametrize("family", TRAINED, ids=lambda family: family.name)


def pairs(family: Tiny, **more: Any) -> Any:
    if family in LTX:
        ltx = {"width": 32, "height": 32, "channels": 128, "frames": 16, "text": text_of(family), "compression": 8}
        return encoded_pairs(**{**ltx, **more})
    size = 32 if family is WAN_5B else 16
    channels = families.model_of(family.name).model.latent_format.latent_channels
    text = text_of(family)
    return encoded_pairs(width=size, height=size, channels=channels, text=text, **more)


def entries_of(family: Tiny, start: tiny.Scene) -> dict[str, Tensor]:
    """A prompt of a scene as training keeps it."""
    return {"cross_attn": start.prompts[0][0][0][0], **family.kept}


def counts(family: Tiny) -> tuple[int, int, int]:
    return (2, 4, 2) if family.time_patch == 2 else (1, 3, 2)


@EVERY
def test_training_lowers_the_loss_on_clips_it_has_seen(family):
    model, data = families.model_of(family.name), pairs(family, clips=1)
    lora, loss, steps, _, settings = train(
        model, f"learns {family.name}", encoded=data, validation=data, steps=30, rank=8, batch_size=4
    )
    record = from_metadata(lora.metadata)
    assert len(loss["loss"]) == steps == 30
    assert torch.tensor(loss["loss"]).isfinite().all()
    assert float(record["validation_loss_after"]) < 0.9 * float(record["validation_loss_before"])
    assert record["base_family"] == family.name
    found = tuple(settings[f"{part}_latents"] for part in ("condition", "buffer", "target"))
    assert found == counts(family)
    assert settings["buffer_levels"] == pytest.approx([(b + 1) / (found[1] + 1) for b in range(found[1])])


@EVERY
def test_only_the_target_frames_outputs_get_a_gradient(family, monkeypatch):
    outputs, predict = [], HostPredictor.__call__

    def keep(self: Any, *inputs: Any) -> Tensor:
        outputs.append(predict(self, *inputs))
        if outputs[-1].requires_grad:
            outputs[-1].retain_grad()
        return outputs[-1]

    monkeypatch.setattr(HostPredictor, "__call__", keep)
    lora = train(families.model_of(family.name), f"gradient {family.name}", encoded=pairs(family), steps=2)[0]
    prefix = sum(counts(family)[:2])
    for output in outputs:
        assert not output.grad[:, :, :prefix].any()
        assert output.grad[:, :, prefix:].abs().amin(dim=(1, 3, 4)).min() > 0
    for key, value in lora.items():
        if "lora_up" in key:  # what HunyuanVideo 1.5's last block makes of the text is read by nothing
            assert value.any() == (family is not HUNYUAN_15 or "double_blocks.1.txt_attn.proj" not in key)


@EVERY
def test_the_saved_file_equals_the_live_adapters_in_the_hosts_own_loader(family, monkeypatch, caplog):
    model, live, spy = families.fresh_model_of(family.name), {}, {}
    layout = Layout.linear(*counts(family))
    start = tiny.scene(layout, model=model, prompts=(family.conditioning(1), family.conditioning(2)))
    probe = (start.noise, torch.tensor([0.7]), [entries_of(family, start)])
    tensors, make = training.LoraAdapters.tensors, HostPredictor.__init__

    def remember(self: Any, patcher: Any) -> None:
        make(self, patcher)
        spy["predict"] = self

    def look(self: Any, *args) -> dict[str, Tensor]:
        with torch.no_grad():
            live["output"] = spy["predict"](*probe)
        return tensors(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(HostPredictor, "__init__", remember)
        patch.setattr(training.LoraAdapters, "tensors", look)
        lora, _, _, path, _ = train(model, f"file {family.name}", encoded=pairs(family))

    def output_of(patched: Any) -> Tensor:
        with torch.inference_mode():
            ready = repaired(patched)
            comfy.model_management.load_models_gpu([ready])
            return HostPredictor(ready)(*probe)

    assert (live["output"] - output_of(model)).abs().max() > 1e-3
    layers = {key.split(".lora_")[0] for key in lora if ".lora_" in key}
    with caplog.at_level(logging.INFO):
        ours = loras.apply_lora(model, load_lora(Path(path)), 1.0, "lora")
    assert f"lora: {len(layers)} of {len(layers)} layers applied at strength 1" in caplog.text
    from_file = comfy.sd.load_lora_for_models(model, None, dict(load_lora(Path(path))), 1.0, 0.0)[0]
    for patched in (from_file, LoraModelLoader.execute(model, lora, 1.0).result[0], ours):
        assert len(patched.patches) == len(layers)
        # A file's product is added to the weight, a live one to the output: sums in another order, so rounding, which
        # depends on the threads and goes with the largest value.
        assert (output_of(patched) - live["output"]).abs().max() <= 1e-6 * live["output"].abs().max()


def with_ofs() -> Any:
    """CogVideoX 1.5 with the embedding its image-to-video form has, which the model itself fills in."""
    save = partial(tiny_cogvideox.save_tiny_cogvideox, **tiny_cogvideox.LATER, ofs_embed_dim=16)
    with TemporaryDirectory() as folder:
        return tiny_cogvideox.load_tiny_cogvideox(save(Path(folder) / "model.safetensors"))


@pytest.mark.parametrize("family", [*TRAINED, COG_15], ids=[*(family.name for family in TRAINED), "1.5 with ofs"])
def test_the_predictor_asks_the_network_what_a_sampler_asks_it(family, request):
    model = with_ofs() if "ofs" in request.node.callspec.id else families.model_of(family.name)
    start = tiny.scene(Layout(0, 0, 4), model=model, prompts=(family.conditioning(1), family.conditioning(2)))
    heard, calls = tiny.record(repaired(model))
    tiny.sample(heard, start, steps=3)
    conditioning = [entries_of(family, start)]
    for call in calls:
        with torch.inference_mode():
            output = HostPredictor(repaired(model))(call.x, torch.tensor([call.sigma]), conditioning)
        torch.testing.assert_close(output, call.velocity, atol=1e-6, rtol=1e-6)
    if "ofs" in request.node.callspec.id:
        network = model.model.diffusion_model
        with torch.inference_mode():
            text = start.prompts[0][0][0]
            without = network(calls[0].x, calls[0].timestep, text, transformer_options={})
        assert not torch.allclose(without, calls[0].velocity, atol=1e-3)


@pytest.mark.parametrize("family", COGVIDEOX, ids=lambda family: family.name)
def test_cogvideox_is_trained_at_timesteps_with_each_frame_at_its_own(family, monkeypatch):
    """The network's input, its timestep and the loss, written out anew."""
    model, inputs, results = families.model_of(family.name), [], []
    predict, loss = HostPredictor.__call__, TicftObjective.loss

    def hear(self: Any, xt: Tensor, sigma: Tensor, conditioning: Any) -> Tensor:
        inputs.append((xt.detach().clone(), sigma.clone(), predict(self, xt, sigma, conditioning)))
        return inputs[-1][-1]

    def note(self: Any, predicted: Any, batch: Any) -> Any:
        results.append((batch, loss(self, predicted, batch)))
        return results[-1][1]

    monkeypatch.setattr(HostPredictor, "__call__", hear)
    monkeypatch.setattr(TicftObjective, "loss", note)
    train(model, f"timesteps {family.name}", encoded=pairs(family), steps=4, batch_size=3)
    condition, buffer, target = counts(family)
    table = repaired(model).get_model_object("model_sampling").sigmas.double()
    alphas = 1 / (1 + table**2)
    for (xt, sigma, output), (batch, result) in zip(inputs, results, strict=True):
        for i, level in enumerate(batch.sigma.tolist()):
            step = min(int(level * 1000), 999)  # share l of a thousand timesteps lies in the l-th of them
            assert sigma[i] == table[step].float()
            own = [round(1000 * (b + 1) / (buffer + 1)) - 1 for b in range(buffer)]
            places = [-1] * condition + [min(step, most) for most in own] + [step] * target
            a = torch.tensor(
                [1.0 if place < 0 else float(alphas[place].sqrt()) for place in places], dtype=torch.float64
            )
            a = a.view(1, -1, 1, 1)
            b = (1 - a**2).clamp(min=0).sqrt()
            x0, noise = batch.x0[i].double(), batch.noise[i].double()
            torch.testing.assert_close(xt[i].double(), a * x0 + b * noise, atol=1e-5, rtol=1e-5)
            error = (output[i].double() - (a * noise - b * x0))[:, -target:]
            assert float(result.per_sample[i]) == pytest.approx(float(error.detach().square().mean()), rel=1e-5)


def test_another_schedule_is_another_run():
    model = families.model_of("CogVideoX 5B")
    patched = ModelSamplingDiscrete().patch(model, "v_prediction", False)[0]
    paths = [train(some, "schedules", encoded=pairs(COG_5B), steps=1)[3] for some in (model, model)]
    assert paths[0] == paths[1]
    with pytest.raises(ValueError, match="other settings: noise process"):
        train(patched, "schedules", encoded=pairs(COG_5B), steps=1)


def test_per_frame_timesteps_reach_wan_2_2_5b():
    model, data = families.model_of("Wan 2.2 5B"), pairs(WAN_5B)
    plain = train(model, "scalar 5B", encoded=data)
    framed = train(model, "framed 5B", encoded=data, settings=TrainConfig(per_frame_timesteps=True))
    assert framed[4]["per_frame_timesteps"] is True
    assert plain[1]["loss"] != framed[1]["loss"]
    assert len(framed[1]["loss"]) == STEPS


REFUSED = [
    (
        COG_5B, {"settings": TrainConfig(per_frame_timesteps=True)},
        "CogVideoX 5B takes no timestep per frame; switch per_frame_timesteps off",
    ),
    (
        COG_15, {"condition_latents": 1},
        "this model takes latent frames 2 at a time, condition has 1 latents; use 0 or 2",
    ),
    (COG_15, {"frames": 4}, "the targets have 4 frames; TIC-FT needs at least 8, load longer clips"),
    (
        COG_5B, {"buffer_latents": 2, "buffer_levels": "0.5002, 0.5007"},
        "TIC-FT got buffer levels [0.5002, 0.5007], two of which are the same timestep of this model; "
        "give levels that are further apart",
    ),
    (
        WAN_5B, {"encoded": encoded_pairs(channels=48)},
        "width 16 is no multiple of 32, which Wan 2.2 5B needs; use 32 or 64",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("family", "order", "sentence"), REFUSED)
def test_an_order_that_a_family_cannot_fill_is_refused_in_a_sentence(family, order, sentence):
    order = dict(order)
    data = encoded_pairs(frames=order.pop("frames")) if "frames" in order else pairs(family)
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        train(families.model_of(family.name), "refused", **{"encoded": data, **order})
    assert not LORA.files("refused").exists()


@pytest.mark.parametrize("more", [{}, tiny_cogvideox.LATER])
def test_image_to_video_variants_are_not_trained(more, tmp_path):
    path = tiny_cogvideox.save_tiny_cogvideox(tmp_path / "i2v.safetensors", in_channels=32, **more)
    with pytest.raises(ValueError, match=r"^the model is an image-to-video CogVideoX .*; load that instead$"):
        train(tiny_cogvideox.load_tiny_cogvideox(path), "refused", encoded=pairs(COG_15))


def test_unknown_classes_are_not_trained():
    other = type("Model", (), {"model": type("SDXL", (), {})(), "clone": None})()
    with pytest.raises(ValueError, match=r"^the model is a SDXL, this node works with Wan 2\.1, .*; load one of these"):
        train(other, "refused")


def test_cogvideox_learns_without_the_hosts_chosen_attention(monkeypatch):
    import comfy.ldm.cogvideo.model as network
    from comfy.ldm.modules import attention

    model, data = families.model_of("CogVideoX 5B"), pairs(COG_5B)
    first = train(model, "attention 5B", encoded=data)[0]

    @attention.wrap_attn
    def kernel(*args: Any, **kwargs: Any) -> Tensor:
        return attention.attention_pytorch(*args, **kwargs).detach()

    monkeypatch.setattr(network, "optimized_attention", kernel)
    second = train(model, "attention 5B without backward", encoded=data)[0]
    assert all(torch.equal(first[key], second[key]) for key in first)

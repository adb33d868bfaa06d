"""Training in the host: the LoRA is right, and the model is left as it was."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from comfy_extras.nodes_train import LoraModelLoader
from tic_ft_runs import STEPS, interrupt_after, probe, train
from torch import Tensor

from pack.nodes.host.model import families, loras
from pack.nodes.host.runs import job as run_job
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.session import session as training
from pack.nodes.tic_ft_train import TICFTLoadLoRA, TICFTTrain
from pack.nodes.training import FewShotSaveLoRA
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora
from pack.training.lora.metadata import from_metadata
from pack.training.tic_ft import recipe as tic_ft_recipe


def test_training_lowers_the_loss_on_clips_it_has_seen(model):
    lora, loss, steps, path, settings = train(model, "learns", steps=60, validation=encoded_pairs())
    record = from_metadata(lora.metadata)
    assert len(loss["loss"]) == steps == 60
    assert float(record["validation_loss_after"]) < 0.8 * float(record["validation_loss_before"])
    assert Path(path).parent == LORA.files("learns")
    assert settings["condition_latents"] == 1
    assert settings["target_latents"] == 2
    assert settings["buffer_levels"] == [0.25, 0.5, 0.75]
    assert (settings["width"], settings["height"], settings["fps"]) == (16, 16, 16.0)
    assert loras.ticft_settings_of(lora, "learns") == settings


def test_latents_of_another_models_vae_are_refused_also_when_they_come_from_the_cache(model, monkeypatch):
    other = encoded_pairs(channels=4)
    with monkeypatch.context() as patch:
        patch.setattr(
            tic_ft_recipe, "check_channels", lambda *_: None
        )  # as if a model of 4 channels had filled the cache
        with pytest.raises(ValueError, match="makes latents of 4 channels"):
            train(model, "cached", encoded=other)
    assert not LORA.files("cached").exists()


def test_the_saved_file_equals_the_live_adapters_and_says_what_it_is(model, monkeypatch):
    live = {}
    tensors = training.LoraAdapters.tensors
    xt, sigma, context = probe()

    def look(self, *args) -> dict[str, Tensor]:
        with torch.no_grad():
            live["velocity"] = spy["predict"](xt, sigma, [{"cross_attn": context[0]}])
        return tensors(self, *args)

    spy = {}
    predictor = training.HostPredictor.__init__

    def remember(self, patcher: Any) -> None:
        predictor(self, patcher)
        spy["predict"] = self

    monkeypatch.setattr(training.HostPredictor, "__init__", remember)
    monkeypatch.setattr(training.LoraAdapters, "tensors", look)
    lora, _, _, path, settings = train(model, "file")
    base = tiny_wan.velocity_of(model, xt, sigma, context)
    assert (live["velocity"] - base).abs().max() > 1e-3
    from_file, _ = comfy.sd.load_lora_for_models(model, None, dict(load_lora(Path(path))), 1.0, 0.0)
    in_graph = LoraModelLoader.execute(model, lora, 1.0).result[0]
    for patched in (from_file, in_graph):
        reached = tiny_wan.velocity_of(patched, xt, sigma, context)
        torch.testing.assert_close(reached, live["velocity"], atol=1e-6, rtol=1e-6)
    record = from_metadata(load_lora(Path(path)).metadata)
    assert record["base_family"] == "Wan 2.1"
    assert record["finished"] == "true"
    assert record["steps"] == str(STEPS)
    assert settings["caption_template"] in record["caption_template"].replace("\\", "")


def test_every_adapter_is_an_attention_projection_with_the_alpha_it_was_given(model):
    lora = train(model, "alpha", settings=TrainConfig(alpha=2.0))[0]
    layers = {key.split(".lora_")[0] for key in lora if ".lora_" in key}
    assert len(layers) == 2 * 2 * 4
    assert all(layer.split(".")[-1] in "qkvo" for layer in layers)
    assert all(lora[f"{layer}.alpha"] == 2.0 for layer in layers)
    assert all(lora[f"{layer}.lora_up.weight"].any() for layer in layers)


def test_the_base_weights_are_neither_changed_nor_moved_nor_copied(model, monkeypatch):
    before, places = tiny_wan.weights_of(model), tiny_wan.places_of(model)
    objects = dict(model.model.diffusion_model.named_parameters())
    during, predict = {}, training.HostPredictor.__call__

    def look(self, xt, sigma, conditioning):
        during.update(tiny_wan.places_of(self.model))
        return predict(self, xt, sigma, conditioning)

    monkeypatch.setattr(training.HostPredictor, "__call__", look)
    train(model, "base")
    assert during == places
    assert tiny_wan.places_of(model) == places
    assert dict(model.model.diffusion_model.named_parameters()).keys() == objects.keys()
    assert all(value is objects[name] for name, value in model.model.diffusion_model.named_parameters())
    assert all(torch.equal(value, before[name]) for name, value in tiny_wan.weights_of(model).items())
    assert not any(module._forward_hooks for module in model.model.modules())
    assert comfy.model_management.in_training is False


def test_no_second_set_of_weights_is_alive_during_a_step(model, monkeypatch):
    shapes = {p.shape for p in model.model.diffusion_model.parameters() if p.ndim == 2}

    def alive() -> set[int]:
        gc.collect()
        found = (thing for thing in gc.get_objects() if type(thing) in (Tensor, torch.nn.Parameter))
        return {tensor.data_ptr() for tensor in found if tensor.shape in shapes}

    new, predict, before = [], training.HostPredictor.__call__, alive()

    def look(self, *args):
        new.append(alive() - before)
        return predict(self, *args)

    monkeypatch.setattr(training.HostPredictor, "__call__", look)
    train(model, "memory", steps=1)
    assert tiny_wan.places_of(model)["blocks.0.ffn.0.weight"] in before
    assert new == [set()]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(model):
    paths = [Path(train(model, name, seed=seed)[3]) for name, seed in (("one", 1), ("two", 1), ("three", 2))]
    first, second, third = (load_lora(path) for path in paths)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], third[key]) for key in first)


def test_training_twice_in_a_row_and_after_other_nodes_gives_the_same(model):
    xt, sigma, context = probe()
    first = train(model, "before")[0]
    base = tiny_wan.velocity_of(model, xt, sigma, context)
    patched = LoraModelLoader.execute(model, first, 1.0).result[0]
    with_lora = tiny_wan.velocity_of(patched, xt, sigma, context)  # the shared weights now hold the LoRA
    second = train(model, "after")[0]
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert torch.equal(tiny_wan.velocity_of(patched, xt, sigma, context), with_lora)
    assert torch.equal(tiny_wan.velocity_of(model, xt, sigma, context), base)


def test_a_lora_on_the_model_is_part_of_what_is_trained_on(model):
    first = train(model, "plain")[0]
    patched = LoraModelLoader.execute(model, first, 1.0).result[0]
    on_top = train(patched, "plain on top")[0]
    assert any(not torch.equal(first[key], on_top[key]) for key in first)


def test_cancel_keeps_a_lora_of_the_steps_done_and_the_host_sees_its_own_exception(model, monkeypatch):
    before = tiny_wan.weights_of(model)
    interrupt_after(monkeypatch, 3)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        train(model, "cancelled", steps=50)
    (path,) = LORA.files("cancelled").glob("*.safetensors")
    kept = load_lora(path)
    assert from_metadata(kept.metadata)["steps"] == "3"
    assert from_metadata(kept.metadata)["finished"] == "false"
    patched = loras.apply_lora(model, kept, 1.0, path.name)
    xt, sigma, context = probe()
    assert not torch.equal(
        tiny_wan.velocity_of(patched, xt, sigma, context), tiny_wan.velocity_of(model, xt, sigma, context)
    )
    tiny_wan.velocity_of(model, xt, sigma, context)
    assert all(torch.equal(value, before[name]) for name, value in tiny_wan.weights_of(model).items())
    assert not any(module._forward_hooks for module in model.model.modules())
    assert comfy.model_management.in_training is False


def test_a_loss_that_is_no_number_says_so_and_leaves_the_model_usable(model, monkeypatch):
    predict = training.HostPredictor.__call__
    monkeypatch.setattr(training.HostPredictor, "__call__", lambda self, *args: predict(self, *args) * float("nan"))
    with pytest.raises(RuntimeError, match="loss of steps 1 to 5 is not a number"):
        train(model, "nan")
    assert not LORA.files("nan").exists()
    assert not any(module._forward_hooks for module in model.model.modules())


def test_a_finished_run_is_returned_and_a_longer_one_goes_on(model, monkeypatch):
    calls, predict = [], training.HostPredictor.__call__
    monkeypatch.setattr(training.HostPredictor, "__call__", lambda self, *args: calls.append(1) or predict(self, *args))
    first = train(model, "again")
    assert len(calls) == STEPS
    second = train(model, "again")
    assert len(calls) == STEPS
    assert first[1:] == second[1:]
    assert all(torch.equal(first[0][key], second[0][key]) for key in first[0])
    longer = train(model, "again", steps=STEPS + 1)
    assert len(calls) == STEPS + 1
    assert longer[3] != first[3]
    whole = train(model, "at once", steps=STEPS + 1)
    assert all(torch.equal(longer[0][key], whole[0][key]) for key in whole[0])
    assert longer[1] == whole[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoded": encoded_pairs(conditions=0)}, "needs a condition for every clip"),
        ({"encoded": encoded_pairs(frames=3)}, "at least 4"),
        ({"run_name": "../out"}, "cannot name a folder"),
        ({"settings": TrainConfig(target_modules="nothing")}, "matches no linear layer of WanModel"),
        ({"validation": encoded_pairs(frames=12)}, "validation targets make 3 latents"),
        ({"encoded": encoded_pairs(width=24)}, r"^width 24 is no multiple of 16, which Wan 2\.1 needs; use 16 or 32$"),
        ({"validation": encoded_pairs(width=24)}, r"^width 24 is no multiple of 16"),
        ({"encoded": encoded_pairs(channels=4)}, "makes latents of 4 channels, the model takes 16; load the model's"),
    ],
)
def test_an_order_that_cannot_be_filled_is_refused_in_a_sentence(model, change, said):
    with pytest.raises(ValueError, match=said):
        train(model, **{"run_name": "refused", **change})
    assert not LORA.files("refused").exists()


def test_per_frame_timesteps_reach_the_network_and_the_settings(model):
    plain = train(model, "scalar")
    framed = train(model, "framed", settings=TrainConfig(per_frame_timesteps=True))
    assert plain[4]["per_frame_timesteps"] is False
    assert framed[4]["per_frame_timesteps"] is True
    assert plain[1]["loss"] != framed[1]["loss"]


def test_a_family_without_timesteps_per_frame_is_refused_them(model, monkeypatch):
    table = tuple(replace(family, per_frame_timesteps=False) for family in families.FAMILIES)
    monkeypatch.setattr(families, "FAMILIES", table)
    with pytest.raises(ValueError, match="takes no timestep per frame"):
        train(model, "refused", settings=TrainConfig(per_frame_timesteps=True))


def test_a_failure_after_the_last_step_loses_nothing(model, monkeypatch):
    losses = iter([1.0])
    monkeypatch.setattr(run_job, "validation_losses", lambda *_: {"mean": next(losses)})
    with pytest.raises(StopIteration):
        train(model, "late", validation=encoded_pairs())
    (path,) = LORA.files("late").glob("*.safetensors")
    assert from_metadata(load_lora(path).metadata)["steps"] == str(STEPS)


def test_without_condition_and_buffer_a_plain_lora_is_trained(model):
    settings = train(model, "plain video", encoded=encoded_pairs(conditions=0), condition_latents=0, buffer_latents=0)[
        4
    ]
    assert settings["condition_latents"] == settings["buffer_latents"] == 0


@pytest.mark.parametrize(
    ("node", "required", "optional", "outputs"),
    [
        (
            TICFTTrain,
            "model encoded task rank learning_rate steps batch_size seed",
            "settings validation condition_latents buffer_latents run_name buffer_levels encoding on_change vae",
            "LORA_MODEL LOSS_MAP INT STRING TICFT_SETTINGS",
        ),
        (TICFTLoadLoRA, "model lora_name strength", "", "MODEL TICFT_SETTINGS"),
        (FewShotSaveLoRA, "lora filename", "", "STRING"),
    ],
)
def test_the_nodes_have_the_sockets_that_were_promised(node, required, optional, outputs):
    schema = node.GET_SCHEMA()
    assert [entry.id for entry in schema.inputs if not entry.optional] == required.split()
    assert [entry.id for entry in schema.inputs if entry.optional] == optional.split()
    assert [entry.io_type for entry in schema.outputs] == outputs.split()
    assert all(entry.tooltip for entry in schema.inputs)


def test_the_seed_does_not_change_between_queues():
    seed = next(entry for entry in TICFTTrain.define_schema().inputs if entry.id == "seed")
    assert seed.as_dict()["control_after_generate"] == "fixed"

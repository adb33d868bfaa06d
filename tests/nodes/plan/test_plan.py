"""The training plan: predictions against the real step, and the node on real and fake machines."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import comfy.model_management as management
import pytest
import tiny_families as families
import tiny_wan
import torch
from clip_pairs import encoded_pairs
from plan_subjects import clip_of
from tiny_families import COG_5B, COG_15, HUNYUANS, KANDINSKY, LTX_23, LTXV, WAN, WAN_5B
from torch import nn

from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.plan import memory_profile as memory_profile
from pack.nodes.host.plan.memory_profile import measure, profile_step, small_shapes, step_of
from pack.nodes.host.session.session import training_session
from pack.nodes.plan import FewShotTrainingPlan
from pack.nodes.training import FewShotRunSettings
from pack.training.core.config import ATTENTION_PRESET, CHECKPOINTING, TrainConfig
from pack.training.core.plan import MARGIN, predict
from pack.training.core.plan_report import CELL, WAY
from pack.training.data.clips import TensorClip

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING


def plan(model: Any, **values: Any) -> tuple[str, TrainConfig]:
    """The node as the executor runs it."""
    arguments = {"encoded": encoded_pairs(), "rank": 4, "batch_size": 1, **values}
    with torch.inference_mode():
        return FewShotTrainingPlan.execute(model, **arguments).result


def with_free(monkeypatch, gib: float) -> None:
    monkeypatch.setattr(management, "get_free_memory", lambda *_args, **_options: gib * 2**30)


# LTX-2.3 behind its connectors, which always have 1024 tokens and are most of a tiny net's small steps.
@pytest.mark.parametrize(
    "family", [WAN, WAN_5B, COG_5B, COG_15, LTXV, LTX_23, *HUNYUANS, KANDINSKY], ids=lambda family: family.name
)
def test_the_memory_of_a_large_step_is_predicted_from_small_ones(family, monkeypatch):
    """Off by 1 % at most, so that the margin is for the device's allocator alone."""
    monkeypatch.setattr(memory_profile, "TIMED", 1)
    model, clip = video_model(families.model_of(family.name)), clip_of(family)
    config = TrainConfig(rank=8, batch_size=1)
    measured, network, _, notes = measure(model, config, clip)
    assert not notes
    assert list(measured) == [OFF, KEEP_ATTENTION, BLOCKS]  # on the CPU there is nowhere to offload to
    asked = step_of(clip, clip.x0.shape, config.batch_size)
    for mode, steps in measured.items():
        assert max(step.asked.tokens for step in steps) < asked.tokens
        predicted, seconds = predict(steps, network, asked, mode)
        with training_session(model, replace(config, checkpointing=mode)) as session:
            real = profile_step(session, config, clip, tuple(clip.x0.shape))
        assert predicted / MARGIN == pytest.approx(real.memory, rel=0.01)
        assert seconds > 0
    assert predict(measured[BLOCKS], network, asked, BLOCKS)[0] < predict(measured[OFF], network, asked, OFF)[0]


@pytest.mark.parametrize("family", [WAN, COG_5B], ids=lambda family: family.name)
def test_what_is_adapted_does_not_change_what_the_network_is(family, monkeypatch):
    """Its width is that of its tokens, whatever layer comes first and whichever get adapters."""
    monkeypatch.setattr(memory_profile, "TIMED", 1)
    model, inner = video_model(families.model_of(family.name)), "ffn.0" if family is WAN else "ff_proj"
    found = [
        measure(model, TrainConfig(rank=2, target_modules=modules, checkpointing=OFFLOADED), clip_of(family, 6))[1]
        for modules in (ATTENTION_PRESET, inner)
    ]
    layers = {
        name: layer for name, layer in model.model.model.diffusion_model.named_modules() if name.startswith("blocks.0.")
    }
    assert found[0] == found[1]
    assert found[0].width == layers[f"blocks.0.{inner}"].in_features != layers[f"blocks.0.{inner}"].out_features
    assert found[0].used == 2 * sum(layer.weight.numel() for layer in layers.values() if isinstance(layer, nn.Linear))


def test_a_larger_rank_takes_more_memory_and_adafactor_less_than_adamw():
    model, clip = families.model_of("Wan 2.1"), clip_of(WAN)
    shape = small_shapes(clip)[0]

    def memory(**values: Any) -> int:
        config = TrainConfig(**values)
        with training_session(video_model(model), config) as session:
            return profile_step(session, config, clip, shape).memory

    adapters = 2 * 8 * (48 + 48)  # numbers of a rank, of 2 blocks with 8 layers
    more = memory(rank=128) - memory(rank=64)
    assert more >= 4 * 4 * 64 * adapters  # weights, gradients and two states in fp32
    assert memory(rank=64, optimizer="adafactor") < memory(rank=64)


def test_small_steps_keep_whole_patches_and_are_of_two_sizes():
    for family in (WAN, COG_15):
        for frames, size in ((12, 16), (2, 64), (48, 4), (2, 2), (4, 200)):
            clip = clip_of(family, frames, size)
            first, second = small_shapes(clip)
            tokens = [step_of(clip, shape, 1).tokens for shape in (first, second)]
            if frames > family.time_patch:
                assert tokens[0] < tokens[1] <= step_of(clip, clip.x0.shape, 1).tokens
            assert first[1] % family.time_patch == first[2] % 2 == second[2] % 2 == 0
    assert [shape[1:] for shape in small_shapes(clip_of(WAN, 12, 16))] == [(2, 16, 16), (4, 16, 16)]


def test_the_plan_gives_the_settings_as_they_are_where_they_fit(monkeypatch):
    with_free(monkeypatch, 1.0)
    settings = TrainConfig(caption_dropout=0.5)
    text, planned = plan(families.model_of("Wan 2.1"), settings=settings)
    assert planned == replace(settings, rank=4, batch_size=1, checkpointing=OFF)
    assert "A step of 1 x 6 latents, 24 tokens each" in text
    assert "1.00 GiB are free for weights and step." in text
    assert re.search(r"and weights in fp8  +\d", text)
    assert "The settings that come out have checkpointing off." in text.splitlines()
    assert text.splitlines()[-1] == "  80 GB: checkpointing off, all weights on it"


def test_the_plan_takes_checkpointing_where_only_that_fits_and_says_what_else_helps_where_it_does_not(monkeypatch):
    model, data = families.model_of("Wan 2.1"), encoded_pairs(width=64, height=64, frames=24)
    with_free(monkeypatch, 0.0)
    text, planned = plan(model, encoded=data, batch_size=4)
    assert planned.checkpointing == BLOCKS
    assert "None of these fits" in text
    off, keep, blocks = (line_memory(text, f"checkpointing {mode}") for mode in (OFF, KEEP_ATTENTION, BLOCKS))
    assert blocks <= keep < off
    with_free(monkeypatch, (off + keep) / 2)
    text, planned = plan(model, encoded=data, batch_size=4)
    assert planned.checkpointing == KEEP_ATTENTION
    assert "The settings that come out have checkpointing keep attention." in text.splitlines()
    with_free(monkeypatch, blocks * 0.9)
    text, planned = plan(model, encoded=data, batch_size=4)
    assert planned.checkpointing == BLOCKS
    assert "The settings alone do not fit. Use checkpointing blocks and" in text


def test_the_plan_leaves_the_last_blocks_everything_where_there_is_room(monkeypatch, tmp_path):
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "deep.safetensors", num_layers=6))
    data = encoded_pairs(width=128, height=128, frames=24)
    with_free(monkeypatch, 1.0)
    text, _ = plan(model, encoded=data, batch_size=4)
    weights = model.model_size() / 2**30
    off, keep = (line_memory(text, f"checkpointing {mode}") for mode in (OFF, KEEP_ATTENTION))
    with_free(monkeypatch, weights + keep + (off - keep) * 3.5 / 6)
    text, planned = plan(model, encoded=data, batch_size=4, settings=TrainConfig(kept_blocks=6))
    assert (planned.checkpointing, planned.kept_blocks) == (KEEP_ATTENTION, 3)
    assert "The settings that come out have checkpointing keep attention in 3 of 6 blocks." in text.splitlines()
    assert keep < line_memory(text, "checkpointing keep attention in 3 of 6 blocks") < off
    (alone,) = FewShotRunSettings.execute(settings=planned, checkpointing=KEEP_ATTENTION).result
    assert alone.kept_blocks == 0


def test_the_plan_is_shown_on_the_node_which_can_be_run_alone():
    assert FewShotTrainingPlan.GET_SCHEMA().is_output_node
    with torch.inference_mode():
        made = FewShotTrainingPlan.execute(families.model_of("Wan 2.1"), encoded_pairs(), 4, 1)
    assert made.ui.as_dict() == {"text": (made.result[0],)}


def line_memory(text: str, name: str) -> float:
    """GiB of a row."""
    return next(float(line[WAY : WAY + CELL]) for line in text.splitlines() if line.startswith(name))


def test_the_asked_checkpointing_is_where_the_plan_begins(monkeypatch):
    with_free(monkeypatch, 1.0)
    text, planned = plan(families.model_of("Wan 2.1"), settings=TrainConfig(checkpointing=BLOCKS))
    assert planned.checkpointing == BLOCKS
    assert "checkpointing off" not in text


def test_nothing_is_compiled_for_a_plan_and_the_report_says_so(monkeypatch):
    compiled: list[object] = []
    monkeypatch.setattr(torch, "compile", lambda function, **_options: compiled.append(function) or function)
    report, settings = plan(families.model_of("Wan 2.1"), settings=TrainConfig(compile_blocks=True))
    assert compiled == []
    assert settings.compile_blocks
    assert memory_profile.UNCOMPILED in report
    assert memory_profile.UNCOMPILED not in plan(families.model_of("Wan 2.1"))[0]


def test_the_task_and_the_counts_decide_the_size():
    text, _ = plan(families.model_of("Wan 2.1"), task="custom", condition_latents=2, buffer_latents=1)
    assert "A step of 1 x 5 latents, 20 tokens each" in text


def test_a_way_that_runs_out_of_memory_already_in_a_small_step_is_left_out(monkeypatch):
    step = memory_profile.profile_step

    def failing(session: Any, config: TrainConfig, *args: Any) -> Any:
        if not any("forward" in vars(module) for module in session.predict.base.diffusion_model.modules()):
            raise management.OOM_EXCEPTION("out of memory")
        return step(session, config, *args)

    monkeypatch.setattr(memory_profile, "profile_step", failing)
    text, planned = plan(families.model_of("Wan 2.1"))
    assert planned.checkpointing == KEEP_ATTENTION
    assert "Checkpointing off: even a step of (6, 4, 4) latents is too large." in text
    monkeypatch.setattr(memory_profile, "profile_step", lambda *_args: (_ for _ in ()).throw(MemoryError()))
    text, planned = plan(families.model_of("Wan 2.1"))
    assert text.endswith("Not even a small step fits; use a smaller model, or its weights in fp8.")


def test_where_the_step_cannot_be_counted_small_ones_are_extrapolated(monkeypatch):
    def failing(*_args: Any) -> None:
        raise RuntimeError("a foreign layer")

    model = families.model_of("Wan 2.1")
    counted, _ = plan(model)
    monkeypatch.setattr(memory_profile, "counted_step", failing)
    text, planned = plan(model)
    assert planned.checkpointing == OFF
    assert text.startswith("The step was not counted at its true size (a foreign layer); small steps are extrapolated")
    assert line_memory(text, "checkpointing off") == pytest.approx(line_memory(counted, "checkpointing off"), abs=0.01)


def test_another_error_in_a_small_step_is_not_swallowed(monkeypatch):
    def failing(*_args: Any) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(memory_profile, "profile_step", failing)
    with pytest.raises(RuntimeError, match="something else"):
        plan(families.model_of("Wan 2.1"))


def test_only_the_largest_clip_is_encoded_and_the_model_is_left_as_it_was():
    model, data, seen = families.model_of("Wan 2.1"), encoded_pairs(clips=3), []
    encode = data.encode_video
    data.encode_video = lambda pixels: seen.append(len(pixels)) or encode(pixels)
    before = {name: value.detach().clone() for name, value in model.model.diffusion_model.state_dict().items()}
    plan(model, encoded=data)
    assert len(seen) == 2  # its condition alone, and the sequence
    assert len(data.dataset) == 3
    after = model.model.diffusion_model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any("forward" in vars(module) for module in model.model.diffusion_model.modules())


def test_the_plan_tells_which_frames_of_conditions_no_latent_holds(monkeypatch):
    monkeypatch.setattr(memory_profile, "TIMED", 1)
    data = encoded_pairs(clips=1)
    sample = replace(data.dataset.samples[0], conditions=(TensorClip(torch.rand(31, 16, 16, 3)),))
    data.dataset = replace(data.dataset, samples=(sample,))
    text, _ = plan(families.model_of("Wan 2.1"), encoded=data, task="video to video")
    assert text.startswith("the last 6 of 31 frames of condition 1 are left out: 'video to video' holds 25 of it")
    assert "(pair 0)\nA step of 1 x 9 latents" in text


def test_a_model_the_pack_does_not_train_is_refused(monkeypatch):
    model = families.fresh_model_of("HunyuanVideo 1.5")
    monkeypatch.setattr(model.model.diffusion_model, "time_r_in", nn.Identity())
    with pytest.raises(ValueError, match="load the one that is not distilled"):
        plan(model)

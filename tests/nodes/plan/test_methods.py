"""The training plan for the other methods: predictions against their real steps, and orders it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import aicl_runs
import motion_runs
import pytest
import tiny_aicl
import tiny_families
import tiny_unet
import torch
import tuning_clips
from aicl_runs import clips_of, small_presets
from motion_runs import one_clip
from plan_subjects import WIDE, aicl, motion, subject, tune_a_video
from tuning_clips import encoded_clips

from pack.nodes.host.plan import memory_profile as memory_profile
from pack.nodes.host.plan.memory_profile import measure, profile_step, small_shapes, step_of
from pack.nodes.host.plan.subjects import AICL, MOTION, TUNE_A_VIDEO, Subject
from pack.nodes.host.session.memory_use import peak_memory
from pack.nodes.plan import FewShotTrainingPlan
from pack.training.core import trainer
from pack.training.core.config import CHECKPOINTING, TrainConfig
from pack.training.core.plan import MARGIN, predict
from pack.training.motion.objective import default_config
from pack.training.tune_a_video.objective import PUBLISHED

OFF, KEEP_ATTENTION, BLOCKS, _ = CHECKPOINTING
WAN = "Wan 2.1"
COG = "CogVideoX 5B"


@pytest.mark.parametrize(
    ("make", "name", "off"),
    [
        # One term of the loss grows with the pairs of frames, and beside a tiny net it weighs something.
        (motion, WAN, 0.04),
        (motion, COG, 0.04),
        (aicl, WAN, 0.01),
        (aicl, COG, 0.01),
        (aicl, "LTX-2.3", 0.01),
        (aicl, "HunyuanVideo", 0.01),
        (aicl, "Kandinsky 5", 0.01),
        (aicl, "Wan 2.1 I2V", 0.01),
        (tune_a_video, "SD 1.5", 0.01),
    ],
)
def test_the_memory_of_a_large_step_is_predicted_from_small_ones(
    make: Callable[[str], Subject], name: str, off: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory_profile, "TIMED", 1)
    found = make(name)
    measured, network, _, notes = measure(found.model, found.config, found.clip, found.opened)
    assert not notes
    assert list(measured) == [OFF, KEEP_ATTENTION, BLOCKS]
    asked = step_of(found.clip, found.clip.x0.shape, 1)
    for mode, steps in measured.items():
        assert max(step.asked.tokens for step in steps) <= asked.tokens / 2
        predicted, _ = predict(steps, network, asked, mode)
        with found.opened(found.model, replace(found.config, checkpointing=mode)) as session:
            real = profile_step(session, found.config, found.clip, tuple(found.clip.x0.shape))
        assert predicted / MARGIN == pytest.approx(real.memory, rel=off)


def trained_memory(monkeypatch: pytest.MonkeyPatch, train: Callable[[], Any]) -> int:
    """Bytes of the last step of a run as the plan counts them: what the step makes, adapters and two states each."""
    peaks: list[int] = []
    step = trainer.train_step

    def measured(objective: Any, predict: Any, parameters: Any, *rest: Any) -> Any:
        with peak_memory(torch.device("cpu")) as peak:
            record = step(objective, predict, parameters, *rest)
        peaks.append(peak.bytes + 3 * sum(parameter.nbytes for parameter in parameters))
        return record

    monkeypatch.setattr(trainer, "train_step", measured)
    train()
    return peaks[-1]


def planned_memory(found: Subject) -> int:
    with small_presets(), found.opened(found.model, found.config) as session:
        return profile_step(session, found.config, found.clip, tuple(found.clip.x0.shape)).memory


def test_a_step_of_motion_train_takes_what_the_plan_says(monkeypatch):
    model, encoded = tiny_families.model_of(WAN), one_clip(49, width=128, height=128)
    real = trained_memory(
        monkeypatch, lambda: motion_runs.train(model, "", encoded=encoded, rank=8, steps=2, appearance_steps=0)
    )
    assert planned_memory(subject(MOTION, model, encoded)) == pytest.approx(real, rel=0.03)


def test_a_step_of_aicl_train_takes_what_the_plan_says(monkeypatch):
    model, encoded = tiny_aicl.model_of(WAN), clips_of(WAN, frames=49, size=128)
    order = {"group_by": "sub-folder", "max_references": 1}
    real = trained_memory(
        monkeypatch, lambda: aicl_runs.train(model, "", encoded=encoded, steps=2, batch_size=1, **order)
    )
    assert planned_memory(subject(AICL, model, encoded, max_references=1)) == pytest.approx(real, rel=0.03)


def test_a_step_of_tune_a_video_train_takes_what_the_plan_says(monkeypatch):
    model, encoded = tiny_unet.tiny_unet(), encoded_clips(16, width=WIDE)
    real = trained_memory(monkeypatch, lambda: tuning_clips.tune(model, "", encoded=encoded, steps=2, frames=16))
    found = subject(TUNE_A_VIDEO, model, encoded, rank=0, frames=16)
    assert planned_memory(found) == pytest.approx(real, rel=0.01)


def test_small_steps_of_an_image_network_keep_the_size_of_the_frames():
    for frames in (3, 8, 16):
        encoded = encoded_clips(frames, width=WIDE)
        clip = subject(TUNE_A_VIDEO, tiny_unet.tiny_unet(), encoded, rank=0, frames=frames).clip
        small = small_shapes(clip)
        assert [shape[2:] for shape in small] == [tuple(clip.x0.shape[2:])] * 2
        assert small[0][1] < small[1][1] <= frames


def test_small_steps_of_a_motion_have_one():
    for frames in (9, 17, 49):
        clip = subject(MOTION, tiny_families.model_of(WAN), one_clip(frames, width=128, height=128)).clip
        first, second = small_shapes(clip)
        assert min(first[1], second[1]) >= 2
        assert first[1] * first[2] < second[1] * second[2]


def test_references_and_the_windows_of_the_others_decide_the_size():
    model, encoded = tiny_aicl.model_of(WAN), clips_of(WAN)
    encoded.dataset = replace(
        encoded.dataset, samples=tuple(replace(sample, reference=None) for sample in encoded.dataset.samples)
    )
    three, one = (planned_memory(subject(AICL, model, encoded, max_references=count)) for count in (3, 1))
    assert three > one
    sparse = subject(MOTION, tiny_families.model_of(WAN), one_clip(49), sparse_latents=4)
    assert sparse.clip.x0.shape[1] == 4
    few = subject(TUNE_A_VIDEO, tiny_unet.tiny_unet(), encoded_clips(), rank=4, frames=3)
    assert few.clip.x0.shape[1] == 3


def plan(method: str, model: Any, encoded: Any, **values: Any) -> tuple[str, TrainConfig]:
    """The node as the executor runs it."""
    arguments = {"rank": 4, "batch_size": 1, "method": method, **values}
    with torch.inference_mode(), small_presets():
        return FewShotTrainingPlan.execute(model, encoded, **arguments).result


def test_the_settings_are_those_of_the_train_node_with_checkpointing_alone_changed():
    text, planned = plan(MOTION, tiny_families.model_of(WAN), one_clip())
    assert "A step of 1 x 3 latents" in text
    assert planned == replace(default_config(), rank=4)
    text, planned = plan(AICL, tiny_aicl.model_of(WAN), clips_of())
    assert "A step of 1 x 3 latents" in text
    assert planned == TrainConfig(rank=4)
    text, planned = plan(TUNE_A_VIDEO, tiny_unet.tiny_unet(), encoded_clips(), rank=0, frames=0)
    assert text.startswith("Each latent is one frame.\nA step of 1 x 5 latents")
    assert planned == replace(PUBLISHED, rank=1)


@pytest.mark.parametrize(
    ("method", "values", "said"),
    [
        ("magic", {}, "method is 'magic'; choose one of TIC-FT, one-shot motion, AICL, Tune-A-Video"),
        (MOTION, {"rank": 0}, "rank is 0, which Tune-A-Video alone can do; give one-shot motion a rank of 1 or more"),
        (TUNE_A_VIDEO, {}, "the model is a WAN21"),
        (AICL, {"size": "huge"}, "size is 'huge'; choose one of small, base, paper"),
        (MOTION, {"settings": TrainConfig(per_frame_timesteps=True)}, "one noise level for all frames"),
    ],
)
def test_an_order_that_cannot_be_planned_is_refused_in_a_sentence(method, values, said):
    with pytest.raises(ValueError, match=said):
        plan(method, tiny_families.model_of(WAN), one_clip(), **values)

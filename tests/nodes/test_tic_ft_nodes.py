"""The TIC-FT nodes from images to images, and what they refuse."""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from typing import Any

import pytest
import tiny_sampling as tiny
import torch
from tiny_vae import PIXELS, clip, tiny_vae

import nodes as host_nodes
from pack.nodes.host.model.loras import ticft_settings_of
from pack.nodes.tic_ft import TICFTContext, TICFTCrop, TICFTPrompt
from pack.training.lora.file import LoraModel

TASKS = {
    "image to video": ({"condition": (1, 0)}, 8, [4]),
    "video to video": ({"condition": (25, 0)}, 8, [7]),
    "keyframes": ({"condition": (2, 0), "condition_2": (1, 1), "condition_3": (1, 2)}, 8, [1, 1, 1, 4]),
    "multiple images": ({"condition": (1, 0), "condition_2": (1, 1)}, 8, [3, 4]),
    "action transfer": ({"condition": (21, 0), "condition_2": (1, 1)}, 8, [6, 1]),
    "custom": ({"condition": (5, 0), "condition_4": (1, 1)}, 4, [2, 2]),
}


def context(task: str = "image to video", sources: Any = None, target_frames: int = 8, **options: Any) -> tuple:
    """TICFTContext as the executor runs it."""
    sources = TASKS[task][0] if sources is None else sources
    images = {name: clip(*source) if isinstance(source, tuple) else source for name, source in sources.items()}
    options = {"model": tiny.tiny_model(), "vae": tiny_vae(), "width": PIXELS, "height": PIXELS, **options}
    with torch.inference_mode():
        return TICFTContext.execute(task=task, target_frames=target_frames, **images, **options).args


def ksample(model: Any, latent: dict[str, Any]) -> tuple:
    return host_nodes.common_ksampler(model, 1, 2, 1.0, "euler", "simple", tiny.POSITIVE, tiny.NEGATIVE, latent)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("task", list(TASKS))
def test_every_task_ends_with_exactly_the_target_frames(task, batch):
    _, target_frames, shares = TASKS[task]
    model, latent, _ = context(task, target_frames=target_frames, batch_size=batch)
    samples = latent["samples"]
    assert samples.shape == (batch, 16, sum(shares) + target_frames // 4, 4, 4)
    with torch.inference_mode():
        (sampled,) = ksample(model, latent)
        (images,) = host_nodes.VAEDecode().decode(tiny_vae(), sampled)
    prefix = sum(shares) - latent["tic_ft"]["buffer"]
    assert torch.equal(sampled["samples"][:, :, :prefix], samples[:, :, :prefix])
    (target,) = TICFTCrop.execute(images, sampled, "target").args
    (before,) = TICFTCrop.execute(images, sampled, "condition and buffer").args
    (everything,) = TICFTCrop.execute(images, sampled, "everything").args
    start = 4 * sum(shares) - 3
    assert len(target) == batch * target_frames
    assert len(before) == batch * start
    assert torch.equal(everything, images)
    clips = images.view(batch, start + target_frames, PIXELS, PIXELS, 3)
    assert torch.equal(target, clips[:, start:].flatten(0, 1))
    assert torch.equal(before, clips[:, :start].flatten(0, 1))


@pytest.mark.parametrize("task", list(TASKS))
def test_sources_are_encoded_apart_and_in_order(task):
    sources, target_frames, shares = TASKS[task]
    latent = context(task, target_frames=target_frames)[1]["samples"]
    last = list(sources.values())[-1]
    whole = torch.cat([clip(*source) for source in sources.values()])
    begin, pixels = sum(shares[:-1]), 1 + 4 * (shares[-1] - 1)
    final = whole if len(sources) == 1 else clip(*last)
    final = torch.cat([final, final[-1:].expand(pixels, -1, -1, -1)])[:pixels]
    with torch.inference_mode():
        expected = tiny_vae().encode(final)
    assert torch.equal(latent[:1, :, begin : sum(shares)], expected)


def test_joint_encoding_lets_sources_bleed_into_each_other_and_separate_does_not():
    def second(encoding: str, first_seed: int) -> torch.Tensor:
        sources = {"condition": (1, first_seed), "condition_2": (1, 1)}
        return context("multiple images", sources, encoding=encoding)[1]["samples"][:, :, 3:7]

    assert torch.equal(second("separate", 0), second("separate", 5))
    assert not torch.equal(second("joint", 0), second("joint", 5))
    assert second("joint", 0).shape == second("separate", 0).shape


def test_without_a_condition_the_latent_is_empty_and_4n_plus_1_frames_long():
    _, latent, _ = context(sources={}, target_frames=9, condition_latents=0, buffer_latents=0)
    assert latent["samples"].shape == (1, 16, 3, 4, 4)
    assert not latent["samples"].any()
    images = clip(9)
    assert torch.equal(TICFTCrop.execute(images, latent, "target").args[0], images)


def test_conditions_of_other_sizes_and_with_alpha_are_fitted():
    rgba = torch.rand(1, 50, 70, 4, generator=torch.Generator().manual_seed(0))
    for resize in ("crop", "pad", "stretch"):
        _, latent, _ = context(sources={"condition": rgba}, resize=resize)
        assert latent["samples"].shape == (1, 16, 6, 4, 4)


class FakeVideo:
    """A VIDEO as the host gives it, as far as nodes look."""

    def __init__(self, frames: int = 25, rate: int = 8) -> None:
        self.images, self.rate = clip(frames), rate

    def get_components(self) -> Any:
        return type("Components", (), {"images": self.images, "frame_rate": self.rate})


class FakeRatedVideo(FakeVideo):
    """A VIDEO that knows its own rate."""

    def get_frame_rate(self) -> Any:
        return Fraction(self.rate)

    def get_components(self) -> Any:
        return type("Components", (), {"images": self.images, "frame_rate": 1})


def test_a_video_serves_as_a_clip():
    _, from_video, _ = context("video to video", {"condition": FakeVideo()})
    _, from_images, _ = context("video to video")
    assert torch.equal(from_video["samples"], from_images["samples"])


@pytest.mark.parametrize("kind", [FakeVideo, FakeRatedVideo])
def test_a_video_of_another_rate_is_taken_at_the_rate_of_the_training(kind, caplog):
    settings = {**TRAINED, "task": "video to video", "condition_latents": 4, "fps": 8.0}
    with caplog.at_level(logging.INFO):
        _, slow, _ = context("video to video", {"condition": kind(75, 24)}, settings=settings)
    _, plain, _ = context("video to video", {"condition": clip(75)[::3]}, settings=settings)
    _, same, _ = context("video to video", {"condition": kind(25, 8)}, settings=settings)
    _, unknown, _ = context("video to video", {"condition": kind(75, 24)})
    assert torch.equal(slow["samples"], plain["samples"])
    assert torch.equal(same["samples"], context("video to video")[1]["samples"])
    assert not torch.equal(unknown["samples"], slow["samples"])
    assert "a condition of 24 fps is taken at the LoRA's 8 fps: 25 of 75 frames" in caplog.text


def test_a_still_stays_one_frame_at_any_rate():
    settings = {**TRAINED, "fps": 30.0}
    _, latent, _ = context(sources={"condition": FakeVideo(1, 8)}, settings=settings)
    assert torch.equal(latent["samples"], context()[1]["samples"])


@pytest.mark.parametrize(("change", "told"), [
    ({}, 0), ({"width": 64}, 1), ({"height": 48}, 1), ({"target_latents": 9}, 1),
    ({"width": 64, "target_latents": 9}, 1),
])  # fmt: skip
def test_another_size_or_length_than_in_training_is_told_in_one_line(change, told, caplog):
    with caplog.at_level(logging.INFO, logger="pack"):
        context(settings={**TRAINED, **change})
    lines = [record.message for record in caplog.records if "was trained at" in record.message]
    assert len(lines) == told
    if change == {"width": 64}:
        assert lines == ["the LoRA was trained at 64x32 with 2 target latents, this is 32x32 with 2"]


@pytest.mark.parametrize("task", list(TASKS))
def test_a_lora_that_says_nothing_binds_no_task_no_caption_and_no_counts(task, caplog):
    nothing = ticft_settings_of(LoraModel({}), "plain.safetensors")
    sources, target_frames, _ = TASKS[task]
    with caplog.at_level(logging.INFO):
        _, latent, _ = context(task, sources, target_frames, settings=nothing)
    _, plain, _ = context(task, sources, target_frames)
    assert latent["tic_ft"] == plain["tic_ft"]
    assert torch.equal(latent["samples"], plain["samples"])
    assert TICFTPrompt.execute(task, "a", "b", nothing).args == TICFTPrompt.execute(task, "a", "b").args
    assert "was trained at" not in caplog.text


def test_the_second_model_gets_the_same_context():
    first, latent, second = context(model_2=tiny.tiny_model(1))
    assert second.model is tiny.tiny_model(1).model
    with torch.inference_mode():
        (sampled,) = ksample(second, latent)
    assert torch.equal(sampled["samples"][:, :, :1], latent["samples"][:, :, :1])
    assert first.model is tiny.tiny_model().model
    alone, _, again = context()
    assert again is alone


TRAINED = {
    "task": "image to video", "condition_latents": 1, "buffer_latents": 3, "target_latents": 2,
    "width": PIXELS, "height": PIXELS, "fps": 8.0,
}  # fmt: skip
SETTINGS = {
    "task": "keyframes", "condition_latents": 2, "buffer_latents": 2, "buffer_levels": [0.3, 0.6],
    "caption_template": "{target} from {condition}", "per_frame_timesteps": True,
}  # fmt: skip


def test_settings_of_a_lora_stand_in_for_what_the_node_leaves_open():
    _, latent, _ = context("keyframes", {"condition": (2, 0)}, settings=SETTINGS)
    place = latent["tic_ft"]
    assert (place["condition"], place["buffer"], place["target"]) == (2, 2, 2)
    assert place["levels"] == [0.3, 0.6]
    own = {"condition_latents": 4, "buffer_latents": 1, "buffer_levels": "0.9"}
    _, latent, _ = context("keyframes", {"condition": (2, 0)}, settings=SETTINGS, **own)
    place = latent["tic_ft"]
    assert (place["condition"], place["buffer"], place["levels"]) == (4, 1, [0.9])


def test_the_prompt_node_writes_the_tasks_or_the_loras_caption():
    (text,) = TICFTPrompt.execute("image to video", "a red disc", "it moves left").args
    assert text.endswith("[CONDITION] a red disc [VIDEO] it moves left")
    (text,) = TICFTPrompt.execute("keyframes", "a", "b", SETTINGS).args
    assert text == "b from a"


class ImageVae:
    latent_dim, latent_channels = 2, 4
    encode = decode = None


class OtherVae:
    """A video VAE of another model."""

    latent_dim, latent_channels = 3, 48
    encode = decode = None

    def temporal_compression_decode(self) -> int:
        return 4


REFUSED = [
    ({"width": 40}, "width 40 is no multiple of 16, which Wan 2.1 needs; use 32 or 48"),
    ({"height": 8}, "height is 8; it must be a whole number from 16 to 8192"),
    ({"target_frames": 10}, "target_frames 10 must be a multiple of 4; use 8 or 12"),
    (
        {"target_frames": 8, "condition_latents": 0, "buffer_latents": 0, "sources": {}},
        "target_frames 8 must be a multiple of 4 plus 1 (there is no condition); use 5 or 9",
    ),
    (
        {"sources": {}},
        "'image to video' got no condition; connect one image to `condition`, or set both counts to 0",
    ),
    (
        {"vae": ImageVae()},
        "Wan 2.1 needs a video VAE that packs 4 frames a latent, this is an image VAE; load the model's own VAE",
    ),
    (
        {"vae": OtherVae()},
        "the VAE makes latents of 48 channels, the model takes 16; load the model's own VAE",
    ),
    (
        {"buffer_levels": "0.5, 0.2, 0.9"},
        "TIC-FT got buffer levels [0.5, 0.2, 0.9]; they must rise and lie between 0 and 1, like [0.25, 0.5, 0.75]",
    ),
    (
        {"buffer_levels": "high"},
        "buffer levels 'high' are not numbers; write them like 0.25, 0.5, 0.75",
    ),
    (
        {"settings": SETTINGS},
        "the LoRA was trained for 'keyframes', the task is 'image to video'; set the task to 'keyframes'",
    ),
    ({"resize": "zoom"}, "resize is 'zoom'; choose one of crop, pad, stretch"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(options, sentence):
    if "resize" in options:
        options = {**options, "sources": {"condition": (1, 0, 64, 48)}}
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        context(**options)


class OtherModel:
    """What the node sees of a MODEL of another family."""

    model, clone = type("SDXL", (), {})(), None


def test_models_of_other_families_are_refused_in_one_sentence():
    other = (
        "the model is a SDXL, this node works with Wan 2.1, Wan 2.2 I2V, Wan 2.1 I2V, Wan 2.1 FLF2V, Wan 2.2 5B, "
        "CogVideoX 1.5, CogVideoX 2B, CogVideoX 5B, LTXV, LTX-2.3, LTX-2, HunyuanVideo, HunyuanVideo 1.5, "
        "Kandinsky 5; "
        "load one of these"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(other)}$"):
        context(model=OtherModel())
    with pytest.raises(ValueError, match=f"^{re.escape(other)}$"):
        context(model_2=OtherModel())


def test_cropping_something_else_is_refused_in_one_sentence():
    _, latent, _ = context()
    plain = {"samples": latent["samples"]}
    sentence = "this latent has no TIC-FT layout; wire the LATENT that went through TICFTContext"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        TICFTCrop.execute(clip(21), plain, "target")
    sentence = "got 20 images, the sequence decodes to 21; wire the whole VAE Decode output"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        TICFTCrop.execute(clip(20), latent, "target")
    with pytest.raises(ValueError, match=r"^images holds values that are no numbers .*; find the node that made them"):
        TICFTCrop.execute(clip(21) * torch.nan, latent, "target")
    _, none, _ = context(sources={}, target_frames=9, condition_latents=0, buffer_latents=0)
    sentence = "the sequence has no condition and buffer frames; keep 'target' instead"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        TICFTCrop.execute(clip(9), none, "condition and buffer")

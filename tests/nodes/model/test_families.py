"""The table of families: each is found, laid out in its own counts, refused what it cannot do, and decoded right."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tiny_cogvideox
import tiny_families as tiny
import tiny_hunyuan
import torch
from tiny_families import Tiny
from tiny_vae import clip, tiny_cogvideox_vae, tiny_hunyuan_15_vae, tiny_ltxv_vae, tiny_vae, tiny_wan_5b_vae
from tiny_vision import tiny_vision

import nodes as host_nodes
from pack.nodes.host.model import families, video_model
from pack.nodes.tic_ft import TICFTContext, TICFTCrop

EVERY = pytest.mark.parametrize("family", tiny.ALL, ids=lambda family: family.name)
VAES = {
    "Wan 2.1": tiny_vae, "Wan 2.2 I2V": tiny_vae, "Wan 2.1 I2V": tiny_vae, "Wan 2.1 FLF2V": tiny_vae,
    "Wan 2.2 5B": tiny_wan_5b_vae, "CogVideoX 5B": tiny_cogvideox_vae, "LTXV": tiny_ltxv_vae,
    "LTX-2": tiny_ltxv_vae, "LTX-2.3": tiny_ltxv_vae,
    "CogVideoX 2B": tiny_cogvideox_vae, "CogVideoX 1.5": tiny_cogvideox_vae, "HunyuanVideo": tiny_vae,
    "HunyuanVideo 1.5": tiny_hunyuan_15_vae, "Kandinsky 5": tiny_vae,
}  # fmt: skip


def row(name: str) -> families.Family:
    return next(family for family in families.FAMILIES if family.name == name)


def context(family: Tiny, target_frames: int, task: str = "image to video", **options: Any) -> tuple:
    """TICFTContext as the executor runs it, at the smallest size a network takes."""
    size = row(family.name).spatial
    given = {"condition": clip(1, 0, size, size), "vae": VAES[family.name](), "clip_vision": tiny_vision()}
    options = {**given, **options}
    with torch.inference_mode():
        return TICFTContext.execute(
            tiny.model_of(family.name), task=task, width=size, height=size, target_frames=target_frames, **options
        ).args


@EVERY
def test_a_loaded_model_is_found_in_the_table(family):
    model = tiny.model_of(family.name)
    assert families.family_of(model).name == family.name
    assert {known.name for known in families.FAMILIES} == {known.name for known in tiny.ALL}
    assert families.family_of(model).time_patch == family.time_patch


@pytest.mark.parametrize("batch", [1, 2])
@EVERY
def test_a_sequence_decodes_and_crops_to_exactly_the_target_frames(family, batch):
    kind = row(family.name)
    step = kind.compression * kind.time_patch
    for target_frames in (step, 2 * step):  # an odd and an even number of latents, where both are possible
        model, latent, _ = context(family, target_frames, batch_size=batch)
        place = latent["tic_ft"]
        counts = (place["condition"], place["buffer"], place["target"])
        assert counts[:2] == ((2, 4) if kind.time_patch == 2 else (1, 3))
        assert counts[2] * kind.compression == target_frames
        with torch.inference_mode():
            prompts = (family.conditioning(1), family.conditioning(2))
            (sampled,) = host_nodes.common_ksampler(model, 1, 2, 1.0, "euler", "simple", *prompts, latent)
            (images,) = host_nodes.VAEDecode().decode(VAES[family.name](), sampled)
        assert torch.isfinite(images).all()
        (target,) = TICFTCrop.execute(images, sampled, "target").args
        (before,) = TICFTCrop.execute(images, sampled, "condition and buffer").args
        assert len(target) == batch * target_frames
        assert len(target) + len(before) == len(images)
        whole = images.unflatten(0, (batch, -1))
        assert torch.equal(target, whole[:, -target_frames:].flatten(0, 1))
        assert torch.equal(before, whole[:, :-target_frames].flatten(0, 1))


@EVERY
def test_a_sequence_without_a_condition_crops_to_exactly_the_target_frames(family):
    kind = row(family.name)
    frames = 1 + kind.compression * (2 * kind.time_patch - 1)
    none = {"condition": None, "condition_latents": 0, "buffer_latents": 0}
    _, latent, _ = context(family, frames, **none)
    with torch.inference_mode():
        (images,) = host_nodes.VAEDecode().decode(VAES[family.name](), latent)
    (target,) = TICFTCrop.execute(images, latent, "target").args
    assert torch.equal(target, images[-frames:])
    with pytest.raises(ValueError, match=r"^the sequence has no condition and buffer frames"):
        TICFTCrop.execute(images, latent, "condition and buffer")


def test_an_even_number_of_latents_is_cropped_by_the_batch_it_came_from():
    """Four latents and a VAE like CogVideoX's: 13 videos of 16 images are also 16 videos of 13."""
    place = {"condition": 1, "buffer": 1, "target": 2, "compression": 4, "target_frames": 8}
    images = torch.linspace(0, 1, 13 * 16).view(-1, 1, 1, 1).expand(-1, 1, 1, 3)
    for batch in (13, 16):
        latent = {"samples": torch.zeros(batch, 1, 4, 1, 1), "tic_ft": place}
        (target,) = TICFTCrop.execute(images, latent, "target").args
        assert torch.equal(target, images.unflatten(0, (batch, -1))[:, -8:].flatten(0, 1))


@pytest.mark.parametrize(
    ("task", "given", "counts"),
    [
        ("image to video", {}, (2, 4, 2)),
        ("video to video", {"condition": clip(25, 0, 16, 16)}, (4, 4, 2)),
        ("keyframes", {"condition": clip(3, 0, 16, 16)}, (4, 4, 2)),
        ("action transfer", {"condition": clip(21, 0, 16, 16), "condition_2": clip(1, 1, 16, 16)}, (8, 0, 2)),
        ("custom", {"condition": clip(25, 0, 16, 16)}, (4, 4, 2)),
        ("custom", {"condition": clip(29, 0, 16, 16)}, (4, 4, 2)),
        ("custom", {"condition": clip(33, 0, 16, 16)}, (6, 4, 2)),
    ],
)
def test_the_tasks_own_counts_fill_whole_patches_of_cogvideox_1_5(task, given, counts):
    place = context(tiny.COG_15, 8, task, **given)[1]["tic_ft"]
    assert (place["condition"], place["buffer"], place["target"]) == counts
    assert place["levels"] == pytest.approx([(b + 1) / (counts[1] + 1) for b in range(counts[1])])


REFUSED = [
    (tiny.COG_15, 12, {}, "target_frames 12 must be a multiple of 8; use 8 or 16"),
    (tiny.COG_15, 4, {}, "target_frames 4 must be a multiple of 8; use 8 or 16"),
    (
        tiny.COG_15, 9, {"condition": None, "condition_latents": 0, "buffer_latents": 0},
        "target_frames 9 must be a multiple of 8 plus 5 (there is no condition); use 5 or 13",
    ),
    (
        tiny.COG_15, 8, {"condition_latents": 1},
        "this model takes latent frames 2 at a time, condition has 1 latents; use 0 or 2",
    ),
    (
        tiny.COG_15, 8, {"buffer_latents": 3},
        "this model takes latent frames 2 at a time, buffer has 3 latents; use 2 or 4",
    ),
    (tiny.LTXV, 36, {}, "target_frames 36 must be a multiple of 8; use 32 or 40"),
    (
        tiny.LTXV, 16, {"condition": None, "condition_latents": 0, "buffer_latents": 0},
        "target_frames 16 must be a multiple of 8 plus 1 (there is no condition); use 9 or 17",
    ),
    (
        tiny.LTXV, 8, {"vae": "Wan 2.1"},
        "LTXV needs a video VAE that packs 8 frames a latent, this is a VAE that packs 4 frames a latent; "
        "load the model's own VAE",
    ),
    (
        tiny.WAN_5B, 8, {"vae": "Wan 2.1"},
        "the VAE makes latents of 16 channels, the model takes 48; load the model's own VAE",
    ),
    (
        tiny.COG_5B, 8, {"timesteps": "one per frame"},
        "CogVideoX 5B takes one timestep for all frames; choose 'one for all frames'",
    ),
    (
        tiny.HUNYUAN, 8, {"timesteps": "one per frame"},
        "HunyuanVideo takes one timestep for all frames; choose 'one for all frames'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("family", "target_frames", "options", "sentence"), REFUSED)
def test_what_a_family_cannot_do_is_refused_in_one_sentence(family, target_frames, options, sentence):
    options = {**options, **({"vae": VAES[options["vae"]]()} if "vae" in options else {})}
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        context(family, target_frames, **options)


def test_a_size_that_is_no_multiple_of_the_patch_is_refused_in_the_familys_own_numbers():
    for family, spatial in ((tiny.WAN_5B, 32), (tiny.LTXV, 32), (tiny.COG_5B, 16)):
        sentence = f"width 40 is no multiple of {spatial}, which {family.name} needs; use 32 or {32 + spatial}"
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            TICFTContext.execute(tiny.model_of(family.name), VAES[family.name](), "image to video", 40, 64, 8)


def test_a_sequence_longer_than_that_of_the_training_has_positions(monkeypatch):
    """14 latents of 720 x 480, one more than CogVideoX 2B's own table has rows for."""
    model, vae = tiny.model_of("CogVideoX 2B"), VAES["CogVideoX 2B"]()
    monkeypatch.setattr(vae, "encode", lambda clip: torch.zeros(1, 16, len(clip) // 4 + 1, 60, 90))  # as it would, late
    with torch.inference_mode():
        latent = TICFTContext.execute(model, vae, "image to video", 720, 480, 40, condition=clip(1)).args[1]
    assert latent["samples"].shape == (1, 16, 14, 60, 90)


@pytest.mark.parametrize("more", [{}, tiny_cogvideox.LATER])
def test_image_to_video_variants_of_cogvideox_are_refused(more, tmp_path):
    import comfy.sd

    path = tiny_cogvideox.save_tiny_cogvideox(tmp_path / "i2v.safetensors", in_channels=32, **more)
    model = comfy.sd.load_diffusion_model(str(path))
    with pytest.raises(ValueError, match=r"^the model is an image-to-video CogVideoX .*; load that instead$"):
        families.family_of(model)


def test_a_step_distilled_hunyuanvideo_is_not_trained(tmp_path):
    import comfy.sd

    later = {**tiny_hunyuan.LATER, "meanflow": True}
    path = tiny_hunyuan.save_tiny_hunyuan(tmp_path / "distilled.safetensors", **later)
    model = comfy.sd.load_diffusion_model(str(path))
    assert families.family_of(model).name == "HunyuanVideo 1.5"
    sentence = r"^the model is a step-distilled HunyuanVideo 1\.5, .*; load the one that is not distilled$"
    with pytest.raises(ValueError, match=sentence):
        video_model.trainable_video_model(model)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MiniMaxH3", "which packs video and sound into one sequence with a noise level for each"),
        ("HunyuanVideo15_SR_Distilled", "which enlarges a video that is there"),
        ("SDXL", "this node works with Wan 2.1"),
    ],
)
def test_what_stops_the_pack_at_a_model_of_another_class_is_said(name, reason):
    other = type("Model", (), {"model": type(name, (), {})()})()
    with pytest.raises(ValueError, match=f"^the model is a {name}, {reason}.*; load one of these$"):
        families.family_of(other)

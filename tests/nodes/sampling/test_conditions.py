"""Conditions of a context: of a file as much is read as the task can use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_sampling as tiny
import torch
from comfy_api.latest import InputImpl
from live_pictures import LivePictures
from odd_clips import write_clip
from tiny_vae import PIXELS, clip, tiny_vae

from pack.nodes.host.services.images import connected_frames
from pack.nodes.host.services.keys import TIMELINE_KEY
from pack.nodes.tic_ft import TICFTContext

FRAMES = 60


@pytest.fixture
def film(tmp_path: Path) -> InputImpl.VideoFromFile:
    """A moving clip of 60 frames of 0.1 s."""
    shades = np.random.default_rng(0).integers(0, 255, (FRAMES, PIXELS, PIXELS, 3), np.uint8)
    return InputImpl.VideoFromFile(str(write_clip(tmp_path / "a.mp4", frames=list(shades))))


def context(task: str, **options: Any) -> tuple[torch.Tensor, list[int]]:
    """The latents of TICFTContext, and the lengths that it tells of its conditions."""
    given = {"model": tiny.tiny_model(), "vae": tiny_vae(), "width": PIXELS, "height": PIXELS, "target_frames": 8}
    with torch.inference_mode():
        output = TICFTContext.execute(task=task, **{**given, **options})
    (text,) = output.ui[TIMELINE_KEY]
    return output.args[1]["samples"], json.loads(text)["lengths"]


ASKED = [
    pytest.param("video to video", {}, 27, id="usual"),
    pytest.param("video to video", {"condition_latents": 2, "buffer_latents": 1}, 11, id="short"),
    pytest.param("video to video", {"settings": {"task": "video to video", "fps": 5.0}}, 55, id="resampled"),
    pytest.param("action transfer", {"condition_2": clip(1)}, 27, id="of two"),
]


@pytest.mark.parametrize(("task", "options", "most"), ASKED)
def test_a_file_is_read_as_far_as_it_is_used(film, monkeypatch, task, options, most):
    rate = options.get("settings", {}).get("fps")
    whole = connected_frames(film, rate)
    wanted, lengths = context(task, condition=whole, **options)
    pictures = LivePictures(monkeypatch)
    found, told = context(task, condition=film, **options)
    assert torch.equal(found, wanted)
    assert told == lengths == [len(whole), *[1] * (len(lengths) - 1)]
    assert pictures.decoded <= most
    assert pictures.most <= 3


def test_every_frame_counts_where_the_clip_decides_how_many_latents_there_are(film):
    wanted, lengths = context("custom", condition=connected_frames(film), buffer_latents=1)
    found, told = context("custom", condition=film, buffer_latents=1)
    assert torch.equal(found, wanted)
    assert found.shape[2] == 15 + 2
    assert told == lengths == [FRAMES]


@pytest.mark.parametrize(
    ("task", "options", "refused"),
    [
        ("image to video", {}, r"'image to video' got 1 condition\(s\) with 60 frames"),
        ("keyframes", {}, "'keyframes' got 60 images for 4 condition latents"),
        ("custom", {"condition_latents": 2, "buffer_latents": 1}, "'custom' got conditions of 15 latents for 3"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "images"])
def test_a_clip_that_is_too_long_is_refused_with_its_length(film, kind, task, options, refused):
    with pytest.raises(ValueError, match=refused):
        context(task, condition=film if kind == "file" else connected_frames(film), **options)


@pytest.mark.parametrize("frames", [9, 10, 12])
def test_a_clip_is_known_to_be_longer_than_it_can_be(frames, tmp_path):
    """Nine frames fill three latents; up to three more begin no fourth one and are left out."""
    shades = np.random.default_rng(0).integers(0, 255, (frames, PIXELS, PIXELS, 3), np.uint8)
    film = InputImpl.VideoFromFile(str(write_clip(tmp_path / "a.mp4", frames=list(shades))))
    options = {"condition_latents": 2, "buffer_latents": 1}
    wanted, _ = context("custom", condition=connected_frames(film), **options)
    assert torch.equal(context("custom", condition=film, **options)[0], wanted)

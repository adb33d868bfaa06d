"""What TIC-FT nodes tell the page of a run, for their timeline."""

from __future__ import annotations

import json
from typing import Any

import tiny_sampling as tiny
import torch
from tiny_vae import PIXELS, clip, tiny_vae

from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.page import timeline
from pack.nodes.host.services.keys import TIMELINE_KEY
from pack.nodes.tic_ft import TICFTContext


def told(output: Any) -> dict[str, Any]:
    """What a node's output says to the page."""
    (text,) = output.ui[TIMELINE_KEY]
    return json.loads(text)


def context(**options: Any) -> Any:
    """The output of TICFTContext."""
    arguments = {"model": tiny.tiny_model(), "vae": tiny_vae(), "width": PIXELS, "height": PIXELS, **options}
    with torch.inference_mode():
        return TICFTContext.execute(**arguments)


def test_the_context_tells_its_layout_and_the_frames_of_its_conditions():
    output = context(task="video to video", target_frames=8, condition=clip(10), buffer_levels="0.1, 0.2, 0.4")
    assert told(output) == {
        "task": "video to video",
        "time_patch": 1,
        "lengths": [10],
        "condition": 4,
        "buffer": 3,
        "target": 2,
        "levels": [0.1, 0.2, 0.4],
        "compression": 4,
        "target_frames": 8,
        "fps": None,
        "trained": {},
    }


def test_the_context_tells_what_its_lora_was_trained_in():
    settings = {
        "task": "image to video", "condition_latents": 2, "buffer_latents": 1, "target_latents": 5,
        "buffer_levels": [0.3], "fps": 8.0,
    }  # fmt: skip
    run = told(context(task="image to video", target_frames=8, condition=clip(1), settings=settings, buffer_latents=0))
    assert (run["condition"], run["buffer"], run["levels"], run["fps"]) == (2, 0, [], 8.0)
    assert run["trained"] == {
        "task": "image to video", "condition": 2, "buffer": 1, "target": 5, "levels": [0.3],
    }  # fmt: skip


def test_the_training_tells_the_layout_it_trained_in():
    settings = {
        "task": "keyframes", "condition_latents": 4, "buffer_latents": 1, "target_latents": 6,
        "buffer_levels": [0.5], "fps": 12.0, "caption_template": "",
    }  # fmt: skip
    (text,) = timeline.timeline_of_training(video_model(tiny.tiny_model()).family, settings)[TIMELINE_KEY]
    assert json.loads(text) == {
        "task": "keyframes", "condition": 4, "buffer": 1, "target": 6, "levels": [0.5], "compression": 4,
        "time_patch": 1, "fps": 12.0,
    }  # fmt: skip

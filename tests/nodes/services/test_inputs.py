"""What widgets keep out, links and API calls bring: it gets a sentence before a node runs."""

from __future__ import annotations

import pytest
import torch
from numpy import int64

from pack.nodes.aicl import AICLEncodeAction
from pack.nodes.dataset import FewShotDatasetClip
from pack.nodes.host.services.images import connected_frames
from pack.nodes.inversion import FewShotInversion
from pack.nodes.motion import FewShotMotionApply
from pack.nodes.tic_ft import TICFTContext, TICFTCrop, TICFTPrompt
from pack.nodes.tic_ft_long import TICFTLongVideo
from pack.nodes.training import FewShotSaveLoRA, FewShotTrainSettings
from pack.nodes.tune_a_video import TuneAVideoApply

NAN = float("nan")
FRAMES = torch.zeros(5, 16, 16, 3)
CONTEXT = {"model": None, "vae": None, "task": "image to video", "width": 64, "height": 64, "target_frames": 16}
PROMPT = {"task": "image to video", "condition_text": "", "target_text": ""}


@pytest.mark.parametrize(
    ("node", "values", "sentence"),
    [
        (TICFTContext, {**CONTEXT, "buffer_latents": 10**12}, r"buffer_latents is 1000000000000; .* from -1 to 64"),
        (TICFTContext, {**CONTEXT, "target_frames": 10**9}, r"target_frames is 1000000000; it must be a whole number"),
        (TICFTContext, {**CONTEXT, "width": 64.5}, r"width is 64\.5, a whole number is needed"),
        (TICFTContext, {**CONTEXT, "width": True}, r"width is True, a whole number is needed"),
        (TICFTContext, {**CONTEXT, "task": "nonsense"}, r"task is 'nonsense'; choose one of image to video, "),
        (
            TICFTContext,
            {**CONTEXT, "encoding": "both"},
            r"encoding is 'both'; choose one of as trained, sep",
        ),
        (TICFTContext, {**CONTEXT, "condition": FRAMES * NAN}, r"condition: .* values that are no numbers"),
        (TICFTContext, {**CONTEXT, "condition": FRAMES + 255}, r"condition: .* from 255 to 255, an IMAGE holds 0 to 1"),
        (TICFTContext, {**CONTEXT, "settings": {"buffer_latents": 10**9}}, r"settings say buffer_latents 1000000000"),
        (TICFTCrop, {"images": FRAMES, "latent": {"samples": FRAMES}, "keep": "all"}, r"keep is 'all'; choose one of"),
        (TICFTCrop, {"images": FRAMES, "latent": FRAMES, "keep": "target"}, r"latent is a Tensor, a LATENT is needed"),
        (TICFTPrompt, {**PROMPT, "target_text": "a\0b"}, r"target_text holds a null character at place 2"),
        (TICFTPrompt, {**PROMPT, "target_text": "a\ud800"}, r"target_text holds half a character at place 2"),
        (TICFTPrompt, {**PROMPT, "target_text": 7}, r"target_text is 7, a text is needed"),
        (
            FewShotDatasetClip,
            {"target": "a clip", "caption": "a"},
            r"target is 'a clip', an IMAGE or a VIDEO is needed",
        ),
        (
            FewShotInversion,
            {"model": None, "conditioning": [], "latent": {"samples": FRAMES}, "steps": 2},
            r"is empty; ",
        ),
        (
            FewShotInversion,
            {"model": None, "conditioning": [[FRAMES * NAN, {}]], "latent": {"samples": FRAMES}, "steps": 2},
            r"conditioning holds values that are no numbers \(NaN or infinite\) in its tokens",
        ),
        (
            FewShotInversion,
            {"model": None, "conditioning": [[FRAMES, {}]], "latent": {"samples": FRAMES / 0}, "steps": 2},
            r"latent holds values that are no numbers",
        ),
        (
            FewShotMotionApply,
            {"model": None, "lora": {"a": FRAMES * NAN}, "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0},
            r"lora holds values that are no numbers",
        ),
        (FewShotSaveLoRA, {"lora": {"a": FRAMES * NAN}, "filename": "a"}, r"lora holds values that are no numbers"),
        (FewShotTrainSettings, {"alpha": NAN, "beta_1": 0.9, "beta_2": 0.9}, r"alpha is nan; it must be a number from"),
        (TuneAVideoApply, {"model": None, "tuned": {}, "strength": 1.0}, r"tuned is a dict, a TUNE_A_VIDEO is needed"),
        (
            AICLEncodeAction,
            {"adapter": None, "vae": None, "reference": FRAMES, "conditioning": None, "max_frames": -3},
            r"max_frames is -3; it must be a whole number from 0",
        ),
    ],
)
def test_what_the_schema_does_not_allow_is_a_sentence(node, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        node.execute(**values)


SOLVED = dict.fromkeys(("model", "vae", "positive", "negative", "sampler", "sigmas"))
LONG = {**SOLVED, "source": FRAMES, "task": "image to video", "width": 64, "height": 64, "cfg": 1.0, "seed": 0}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"sampler": "euler"}, "sampler is 'euler', a SAMPLER is needed"),
        ({"sigmas": [1.0, 0.0]}, "sigmas is a list, a SIGMAS is needed"),
        ({"sigmas": torch.ones(2, 2)}, "sigmas is a Tensor, a SIGMAS is needed"),
        ({"sigmas": torch.tensor([NAN, 0.0])}, "sigmas holds values that are no numbers"),
        ({"sigmas_2": torch.tensor([float("inf"), 0.0])}, "sigmas_2 holds values that are no numbers"),
        ({"clip_vision": object()}, "clip_vision is a object, a CLIP_VISION is needed"),
    ],
)
def test_what_is_no_solver_is_a_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        TICFTLongVideo.execute(**{**LONG, **values}, filename="a")


def test_numbers_of_other_types_and_inputs_without_a_link_are_taken():
    caption = TICFTPrompt.execute(task="image to video", condition_text="", target_text="a ball", settings=None)
    assert "a ball" in caption.result[0]
    with pytest.raises(AttributeError):  # past the checks, it fails at the missing model
        TICFTContext.execute(**{**CONTEXT, "width": int64(64)})


def test_positional_inputs_are_checked_as_named_ones():
    with pytest.raises(ValueError, match="task is 'x'; choose one of"):
        TICFTPrompt.execute("x", "", "")


class Broken:
    """A VIDEO whose file is gone or damaged."""

    def get_components(self):
        raise OSError(1094995529, "Invalid data found when processing input")


class Endless(Broken):
    def get_frame_rate(self):
        return float("inf")

    def get_components(self):
        return type("Components", (), {"images": FRAMES})


def test_a_broken_video_is_a_sentence():
    with pytest.raises(ValueError, match=r"the video cannot be decoded \(.*Invalid data.*\); check the file"):
        connected_frames(Broken())


def test_a_video_of_an_impossible_rate_is_a_sentence():
    with pytest.raises(ValueError, match="says it has inf frames a second; save it again"):
        connected_frames(Endless(), fps=16.0)

"""Video Score in the host: its sockets, IMAGE and VIDEO alike, and what it refuses."""

from __future__ import annotations

import json
import logging
from fractions import Fraction

import pytest
import torch
from comfy_api.latest import InputImpl, Types

from pack.methods.metrics import METRICS
from pack.nodes.evaluation import FewShotVideoScore
from pack.toy.world import Scene, render

DISC = Scene("disc", "red", "grey", "circles clockwise")
IMAGE_OR_VIDEO = {"IMAGE", "VIDEO"}


def clip(frames: int = 8, motion: str = "circles clockwise") -> torch.Tensor:
    return torch.from_numpy(render(Scene("disc", "red", "grey", motion), frames))


def as_video(frames: torch.Tensor, rate: int):
    return InputImpl.VideoFromComponents(Types.VideoComponents(images=frames, frame_rate=Fraction(rate)))


def run(video, metric: str = "frame_consistency", **inputs) -> tuple[float, dict[str, float]]:
    with torch.inference_mode():
        number, text, _ = FewShotVideoScore.execute(video, metric, **inputs).result
    return number, json.loads(text)


def test_the_sockets_are_those_of_the_contract():
    schema = FewShotVideoScore.GET_SCHEMA()
    video, metric, reference, condition, asked = schema.inputs
    assert (schema.node_id, schema.category) == ("FewShotVideoScore", "FewShot Video/evaluation")
    assert [field.id for field in schema.inputs] == ["video", "metric", "reference", "condition", "asked"]
    assert [field.optional for field in schema.inputs] == [False, False, True, True, True]
    assert all(set(f.get_io_type().split(",")) == IMAGE_OR_VIDEO for f in (video, reference, condition, asked))
    assert (metric.options, metric.default) == (list(METRICS), "frame_consistency")
    assert [output.get_io_type() for output in schema.outputs] == ["FLOAT", "STRING", "IMAGE"]
    assert all(socket.tooltip for socket in [*schema.inputs, *schema.outputs])


def test_the_default_metric_needs_the_video_alone():
    number, scores = run(clip())
    assert number == scores["frame_consistency"]
    assert "ssim" not in scores
    assert "condition_fidelity" not in scores


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_can_be_chosen_and_stands_in_the_json(metric):
    number, scores = run(clip(), metric, reference=clip(motion="bounces"), condition=clip(1))
    assert isinstance(number, float)
    assert number == scores[metric]
    assert list(scores) == [*METRICS, "compared_frames"]
    assert scores["compared_frames"] == 8


def test_a_video_serves_as_a_clip_everywhere():
    frames, other = clip(), clip(motion="bounces")
    images = run(frames, "ssim", reference=other, condition=frames[:1])
    videos = run(as_video(frames, 12), "ssim", reference=as_video(other, 12), condition=as_video(frames[:1], 12))
    assert images == videos


def test_a_reference_of_another_rate_is_taken_at_that_of_the_video(caplog):
    with caplog.at_level(logging.INFO):
        number, scores = run(as_video(clip(24)[::2], 6), "ssim", reference=as_video(clip(24), 12))
    assert (number, scores["compared_frames"]) == (1.0, 12)
    assert "a reference of 12 fps is taken at the video's 6 fps: 12 of 24 frames" in caplog.text
    assert run(clip(24)[::2], "ssim", reference=as_video(clip(24), 12))[0] < 0.99  # an IMAGE has no rate


def test_a_metric_without_its_input_is_refused():
    with pytest.raises(ValueError, match=r"^metric 'psnr' compares with a reference and none is connected; "):
        run(clip(), "psnr", condition=clip(1))
    with pytest.raises(ValueError, match=r"^metric 'condition_colour' compares with a condition and none is "):
        run(clip(), "condition_colour", reference=clip())


def test_a_still_has_no_motion_to_score():
    with pytest.raises(ValueError, match=r"^metric 'dynamic_degree' needs 2 frames and got 1; "):
        run(clip(1), "dynamic_degree")
    assert run(clip(1), "ssim", reference=clip(1))[0] == 1.0


def test_the_inputs_are_not_changed():
    frames, other = clip(), clip(motion="bounces")
    before = frames.clone(), other.clone()
    run(frames, "ssim", reference=other, condition=other[:1])
    assert torch.equal(frames, before[0])
    assert torch.equal(other, before[1])


BLUE = torch.tensor([0, 114, 178]) / 255


def plot(video, **inputs) -> torch.Tensor:
    with torch.inference_mode():
        return FewShotVideoScore.execute(video, "frame_consistency", **inputs).result[2]


def line(picture: torch.Tensor, strip: int) -> torch.Tensor:
    """Height of the curve in each column of pixels where it is, from the top of its strip."""
    part = picture[0, 8 + 96 * strip : 8 + 96 * (strip + 1)]
    on = (part - BLUE).abs().amax(-1) < 0.02
    columns = on.any(0)
    return torch.argmax(on[:, columns].int(), 0)


def test_the_plot_has_a_strip_for_each_metric_that_has_values_by_frame():
    alone = plot(clip())
    assert alone.shape == (1, 8 + 2 * 96 + 26, 640, 3)
    assert plot(clip(), reference=clip(), condition=clip(1)).shape[1] == 8 + 4 * 96 + 26


def test_a_jump_in_the_video_is_seen_where_it_is():
    video = clip(9)
    video[6:] = 1 - video[6:]  # between frames 5 and 6
    fall = line(plot(video), 0)
    assert int(fall.argmax()) / len(fall) == pytest.approx(5 / 7, abs=0.05)  # the sixth of eight pairs

"""Evaluation: how good a generated clip is, in numbers that need no net."""

from __future__ import annotations

import json

from comfy_api.latest import io

from ..methods.metrics import METRICS, check_metric
from ..methods.score_curves import curves
from ..methods.video_scores import score
from .host.page.score_plot import score_plot
from .host.services.images import connected_frames, frames_of, rate_of
from .sockets import Node

DIGITS = 6  # behind the decimal point


class FewShotVideoScore(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotVideoScore",
            display_name="Video Score",
            category="FewShot Video/evaluation",
            description=(
                "Scores a video: how steady it is and how much it moves, how well it keeps the condition it was "
                "made from, and how much it moves and looks like a reference. Pixels only, no other model."
            ),
            search_aliases=["metric", "evaluate", "ssim", "psnr", "optical flow", "consistency", "fidelity"],
            inputs=[
                io.MultiType.Input(
                    "video",
                    [io.Image, io.Video],
                    tooltip="The video to score, an IMAGE batch or a VIDEO, at least 16 x 16 pixels.",
                ),
                io.Combo.Input(
                    "metric",
                    options=list(METRICS),
                    default=next(iter(METRICS)),
                    tooltip="Which number to give as `score`. The help page has the direction, range and unit of each.",
                ),
                io.MultiType.Input(
                    "reference",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="A clip to compare with frame by frame: the true one, or the motion to follow. Of another "
                    "size it is cropped and resized in pixels; of another length the first frames of both count.",
                ),
                io.MultiType.Input(
                    "condition",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="The image the video was made from; of another size it is cropped and resized in pixels. "
                    "Of several images up to four, evenly spread, count.",
                ),
                io.MultiType.Input(
                    "asked",
                    [io.Image, io.Video],
                    optional=True,
                    tooltip="Frames of what the prompt asks for, such as the same prompt without the LoRA: what they "
                    "share with the reference is no appearance leak. Resized in pixels likewise.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="score", tooltip="The chosen metric, in its own unit."),
                io.String.Output(display_name="scores", tooltip="All metrics the inputs allow, as JSON."),
                io.Image.Output(display_name="plot", tooltip="Scores over the frames, where a frame has one."),
            ],
        )

    @classmethod
    def execute(cls, video, metric, reference=None, condition=None, asked=None) -> io.NodeOutput:
        clips = (
            connected_frames(video),
            frames_of(reference, rate_of(video), ("reference", "video's")),
            frames_of(condition),
        )
        check_metric(metric, *clips)
        scores = {name: round(value, DIGITS) for name, value in score(*clips, frames_of(asked)).items()}
        plot = score_plot(curves(*clips), len(clips[0]))
        return io.NodeOutput(float(scores[metric]), json.dumps(scores, indent=2, allow_nan=False), plot)


NODES = [FewShotVideoScore]

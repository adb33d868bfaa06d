"""The metrics of ``video_scores``: their direction, range and unit, and what they need."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """What there is to know of a number before it is computed."""

    better: str  # "higher", "lower", or "beside": it says how to read the others
    low: float
    high: float
    frames: int = 1  # that the clip must have at least
    needs: str = ""  # "reference" or "condition"
    unit: str = ""


METRICS: dict[str, Metric] = {
    "frame_consistency": Metric("higher", -1, 1, 2),
    "frame_consistency_all_pairs": Metric("higher", -1, 1, 2),
    "dynamic_degree": Metric("beside", 0, math.inf, 2, unit="% of the short side a frame"),
    "flicker": Metric("lower", 0, 1, 2),
    "jerk": Metric("lower", 0, 2, 3),
    "warping_error": Metric("lower", 0, 1, 2),
    "condition_fidelity": Metric("higher", 0, 1, needs="condition"),
    "condition_colour": Metric("higher", 0, 1, needs="condition"),
    "flow_agreement": Metric("higher", -1, 1, 2, "reference"),
    "flow_error": Metric("lower", 0, 1, 2, "reference"),
    "trajectory_agreement": Metric("higher", -1, 1, 2, "reference"),
    "self_similarity": Metric("higher", -1, 1, 3, "reference"),
    "ssim": Metric("higher", -1, 1, needs="reference"),
    "psnr": Metric("higher", 0, 100, needs="reference", unit="dB"),
    "colour_agreement": Metric("higher", 0, 1, needs="reference"),
    "edge_agreement": Metric("higher", -1, 1, needs="reference"),
    "appearance_leak": Metric("lower", 0, 1, needs="reference"),
}


def check_metric(name: str, video: Tensor, reference: Tensor | None = None, condition: Tensor | None = None) -> None:
    """Refuse a metric that the inputs do not allow, before any is computed.

    Raises:
        ValueError: the metric is not known, its input is not connected, or there are too few frames.
    """
    if name not in METRICS:
        raise ValueError(f"metric {name!r} is not known; use one of {', '.join(METRICS)}")
    metric = METRICS[name]
    if {"": video, "reference": reference, "condition": condition}[metric.needs] is None:
        raise ValueError(
            f"metric {name!r} compares with a {metric.needs} and none is connected; connect one to "
            f"`{metric.needs}` or choose another metric"
        )
    frames = len(video) if metric.needs != "reference" or reference is None else min(len(video), len(reference))
    if frames < metric.frames:
        raise ValueError(
            f"metric {name!r} needs {metric.frames} frames and got {frames}; give a longer clip or choose "
            "another metric"
        )

"""Frames to an MP4 file that every browser plays."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from .atomic import write_atomically

CODEC, QUALITY = "libx264", "18"  # constant rate factor: hardly to be told from the original
HD_WIDTH, HD_HEIGHT = 1280, 720  # pixels; what players assume of untagged files changes here
BT709, BT601, LIMITED = 1, 6, 1  # code points of ITU-T H.273: matrix, and range of 16 to 235


def write_video(frames: Tensor, path: Path, fps: float) -> Path:
    """Write frames ``[T, H, W, 3]`` in [0, 1] at ``fps`` frames a second; the file is there whole or not at all.

    H.264 needs even sides: an odd one loses its last row or column. The colours are BT.709 in HD and BT.601 below, and
    tagged so, that players need not guess.

    Raises:
        ValueError: there are no frames, or one side is below two pixels.
        OSError: the file cannot be written.
    """
    import av

    frames = frames[:, : frames.shape[1] // 2 * 2, : frames.shape[2] // 2 * 2, :3]
    if frames.numel() == 0 or not fps > 0:
        raise ValueError(
            f"a video of {len(frames)} frames of {frames.shape[2]}x{frames.shape[1]} pixels at {fps:g} fps cannot be "
            "written; give at least one frame of 2x2 pixels and a rate above 0"
        )
    pixels = (frames.float().clamp(0.0, 1.0) * 255.0).round().byte().cpu().contiguous().numpy()
    file = io.BytesIO()
    with av.open(file, mode="w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1000)
        stream = container.add_stream(CODEC, rate=rate, options={"crf": QUALITY})
        stream.width, stream.height, stream.pix_fmt = pixels.shape[2], pixels.shape[1], "yuv420p"
        matrix = BT709 if stream.width >= HD_WIDTH or stream.height >= HD_HEIGHT else BT601
        _tag(stream.codec_context, matrix)
        for image in pixels:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=LIMITED)
            frame.colorspace, frame.color_range = matrix, LIMITED
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    write_atomically(path, file.getvalue())
    return path


def _tag(context: Any, matrix: int) -> None:
    """Say what the colours are; transfer and primaries are BT.709's, which those of sRGB are."""
    context.colorspace, context.color_range = matrix, LIMITED
    context.color_primaries = context.color_trc = BT709

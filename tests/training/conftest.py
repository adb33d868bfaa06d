"""Small videos and pictures, written where a test wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

CODECS = {".mp4": "libx264", ".mov": "mpeg4", ".webm": "libvpx-vp9", ".mkv": "libx264", ".gif": "gif"}
GREY_STEP = 10  # frame i is grey with level 10 i: a decoded frame tells its own number


def _write_video(
    path: Path, frames: int = 20, fps: int = 10, size: tuple[int, int] = (48, 32), times: Sequence[int] = ()
) -> Path:
    """Grey frames of rising brightness; ``times`` in ms for a variable rate, ``size`` (width, height)."""
    import av

    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as container:
        stream = container.add_stream(CODECS[path.suffix], rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb8" if path.suffix == ".gif" else "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(len(times) or frames):
            picture = np.full((size[1], size[0], 3), i * GREY_STEP % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _write_picture(path: Path, picture: np.ndarray) -> Path:
    """Save uint8 RGB [H, W, 3] as a PNG."""
    import av

    path.parent.mkdir(exist_ok=True)
    codec = av.CodecContext.create("png", "w")
    codec.height, codec.width = picture.shape[:2]
    codec.pix_fmt, codec.time_base = "rgb24", Fraction(1, 1)
    packets = codec.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    path.write_bytes(b"".join(bytes(packet) for packet in [*packets, *codec.encode()]))
    return path


@pytest.fixture
def write_video() -> Callable[..., Path]:
    return _write_video


@pytest.fixture
def write_picture() -> Callable[..., Path]:
    return _write_picture

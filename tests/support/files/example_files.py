"""The picture and the clip that workflows of real models name as examples, drawn here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from workflow_checks import INPUT_FILES

SIZE, FRAMES, RATE = 256, 49, 16  # pixels of a side, frames, frames a second


def frame(number: int) -> np.ndarray:
    """A disc on its way from left to right, ``[H, W, 3]`` in 0 to 255."""
    y, x = np.mgrid[:SIZE, :SIZE]
    left = SIZE * (0.2 + 0.6 * number / (FRAMES - 1))
    picture = np.stack([60 + x // 4, 70 + y // 4, np.full_like(x, 110)], axis=-1).astype(np.uint8)
    picture[(x - left) ** 2 + (y - SIZE / 2) ** 2 < (SIZE / 6) ** 2] = (230, 180, 40)
    return picture


def write_examples(folder: Path) -> list[Path]:
    """Write both files into the host's ``input`` folder; returns their paths."""
    import av
    from PIL import Image

    picture, clip = (folder / name for name in INPUT_FILES)
    Image.fromarray(frame(FRAMES // 2)).save(picture)
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for number in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame(number), format="rgb24")))
        container.mux(stream.encode(None))
    return [picture, clip]

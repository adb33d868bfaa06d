"""Contact sheets: rows of frames, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def strip(video: np.ndarray, count: int, *before: np.ndarray) -> np.ndarray:
    """``count`` frames of a clip ``[T, H, W, 3]`` side by side, evenly spread; the frames ``before`` come first."""
    picks = np.linspace(0, len(video) - 1, count).astype(int)
    return np.concatenate([*before, *video[picks]], axis=1)


def write_rows(rows: Sequence[np.ndarray], path: Path) -> None:
    """Write rows of equal width with values in 0 to 1 below each other, as a picture."""
    from PIL import Image

    Image.fromarray((np.concatenate(list(rows)).clip(0, 1) * 255).astype("uint8")).save(path)

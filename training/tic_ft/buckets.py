"""TIC-FT training over buckets: which of several layouts a clip has, and whether its latents fit one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...methods import tic_ft
from ...methods.tic_ft import Layout
from ..storage.lazy import shapes_of

if TYPE_CHECKING:
    from ..data.dataset import Dataset

COMPRESSION = 4  # pixel frames a latent after the first stands for


def target_frames(layout: Layout, compression: int = COMPRESSION) -> int:
    """Pixel frames of the target: 4K behind a condition, ``1 + 4(K - 1)`` without one."""
    return compression * layout.target if layout.prefix else tic_ft.pixel_frames(layout.target, compression)


def layout_for(frames: int, layouts: Sequence[Layout], compression: int = COMPRESSION) -> Layout:
    """The longest layout that a target of so many pixel frames fills.

    Raises:
        ValueError: it fills none.
    """
    filled = [layout for layout in layouts if target_frames(layout, compression) <= frames]
    if not filled:
        least = min(target_frames(layout, compression) for layout in layouts)
        raise ValueError(f"a target has {frames} frames, the layout needs {least}; use longer clips for both sets")
    return max(filled, key=lambda layout: layout.target)


def check_latents(x0: Sequence[Tensor], layouts: Sequence[Layout]) -> None:
    """Refuse an empty set, mixed numbers of channels and a wrong number of frames.

    Raises:
        ValueError: the set is empty, or channels or frames do not fit.
    """
    shapes = shapes_of(x0)
    channels = {shape[0] for shape in shapes}
    if len(channels) != 1:
        found = ", ".join(map(str, sorted(channels))) or "no clips"
        raise ValueError(f"clips must share one number of latent channels, got {found}; encode all with one VAE")
    known = {layout.frames: layout for layout in layouts}
    for shape in shapes:
        if (frames := shape[1]) not in known:
            needed = " or ".join(
                f"{count} ({layout.condition}+{layout.buffer}+{layout.target})" for count, layout in known.items()
            )
            raise ValueError(
                f"the encoded clips have {frames} latent frames, the layout needs {needed}; use the VAE of the model"
            )


def data_form(dataset: Dataset, layouts: tuple[Layout, ...], compression: int) -> dict[str, Any]:
    """Width, height and fps of a data set, for TICFT_SETTINGS; with several buckets also a list of them.

    The size is that of the fullest bucket. Each bucket is listed with the target latents of its layout.
    """
    buckets = dataset.buckets()
    first = next(iter(buckets), dataset)
    form = {"width": first.width, "height": first.height, "fps": dataset.fps}
    if len(buckets) < 2:
        return form
    listed = [
        {
            "width": bucket.width,
            "height": bucket.height,
            "target_latents": layout_for(bucket.frames, layouts, compression).target,
            "clips": clips,
        }
        for bucket, clips in buckets.items()
    ]
    return {**form, "buckets": listed}

"""The bar of a run of several windows, with the window under way as its preview."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..services.progress import throw_if_cancelled

SHARE = 1000  # of the bar, for each window; stages and steps of a window are shares of it


class WindowProgress:
    """One bar over all windows."""

    def __init__(self, windows: int, model: Any) -> None:
        from comfy.utils import ProgressBar
        from latent_preview import get_previewer

        self.bar = ProgressBar(max(1, windows) * SHARE)
        self.previewer = get_previewer(model.load_device, model.model.latent_format)

    def of(self, window: int) -> Callable[..., None]:
        """A sampler's callback for a window, behind its stage and their number; Cancel raises the host's exception."""

        def on_step(stage: int, stages: int, step: int, x0: Tensor, _x: Tensor, steps: int) -> None:
            throw_if_cancelled()
            share = (stage + (step + 1) / max(1, steps)) / stages
            preview = None
            if self.previewer is not None:  # its last frame: the first ones are the condition
                preview = self.previewer.decode_latent_to_preview_image("JPEG", x0[:, :, -1:])
            self.bar.update_absolute(round((window + share) * SHARE), preview=preview)

        return on_step

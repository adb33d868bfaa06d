"""Tune-A-Video training: which frames of a clip are encoded, and which of them a step sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..core.methods import TUNE_A_VIDEO
from ..data.clips import clip_length
from ..tic_ft.layout import check_channels

if TYPE_CHECKING:
    from ..data.dataset import Sample

FIXED, RANDOM_START, RANDOM = "fixed", "random start", "random start and stride"
WINDOWS = (FIXED, RANDOM_START, RANDOM)


@dataclass(frozen=True)
class FrameWindow:
    """The frames of a clip that a step sees: every ``stride``-th one, ``frames`` of them.

    ``fixed`` sees the same ones at every step, from ``start`` on. The others see a longer clip in parts: the first
    frame is drawn among those that leave room for the rest, and with ``random start and stride`` before that the
    stride, from 1 to the given one.

    Raises:
        ValueError: a count is out of its range, or there is nothing to draw.

    Source: arXiv 2212.11565, section 4.1, has the fixed one: 32 frames of a clip, evenly spread.
    Differs: the drawn ones are ours.
    """

    frames: int = 24  # 0: all there are at the stride
    stride: int = 1
    start: int = 0  # counted from 0
    kind: str = FIXED

    def __post_init__(self) -> None:
        if self.frames < 0 or self.stride < 1 or self.start < 0:
            raise ValueError(
                f"{self.frames} frames at a stride of {self.stride} from frame {self.start} were asked for; give a "
                "stride of at least 1 and no negative number"
            )
        if self.kind not in WINDOWS:
            raise ValueError(f"the window {self.kind!r} is not known; use one of {', '.join(WINDOWS)}")
        if self.kind != FIXED and not self.frames:
            raise ValueError(f"a window of all frames has no {self.kind}; set frames, or the window to {FIXED}")

    @property
    def encoded(self) -> slice:
        """What of a clip is encoded: of a fixed window its frames alone, else all from ``start`` on."""
        if self.kind != FIXED:
            return slice(self.start, None)
        return slice(self.start, self.start + (self.frames - 1) * self.stride + 1 if self.frames else None, self.stride)

    def within(self, count: int, generator: torch.Generator | None = None) -> slice:
        """The frames of a step among ``count`` encoded ones; without a generator the first that could be drawn.

        Where there are fewer than a window has, it is as long as they let it be.
        """
        if self.kind == FIXED:
            return slice(0, self.frames or None)
        frames = min(self.frames, 1 + (count - 1) // self.stride)
        stride, start = self.stride, 0
        if generator is not None:
            drawn = int(torch.randint(1, self.stride + 1, (), generator=generator))
            stride = drawn if self.kind == RANDOM else stride
            start = int(torch.randint(count - (frames - 1) * stride, (), generator=generator))
        return slice(start, start + (frames - 1) * stride + 1, stride)

    def check(self, count: int) -> None:
        """Refuse a clip of so many frames that is shorter than the window, or shows no motion in it.

        Raises:
            ValueError: the clip does not fit the window.
        """
        needed = self.start + (max(1, self.frames) - 1) * self.stride + 1
        if count < needed:
            raise ValueError(
                f"the clip has {count} frames, {self.frames or 1} at a stride of {self.stride} from frame {self.start} "
                f"need {needed}; lower frames, stride or start, or take a longer clip"
            )
        if (self.frames or 1 + (count - 1 - self.start) // self.stride) < 2:
            raise ValueError(
                f"one frame of the clip's {count} is learned, in which nothing moves; raise frames, lower start or "
                "stride, or take a longer clip"
            )


@dataclass(frozen=True)
class ClipRecipe:
    """What a clip becomes: latents of its frames, each encoded alone by the image model's VAE, and its caption.

    Source: arXiv 2212.11565, section 3.2.
    Differs: latents are the mean of what the VAE's encoder gives, as the host takes it; the reference draws a sample.
    """

    window: FrameWindow
    channels: int | None = None  # latent channels of the model; None: any
    shorter: bool = False  # whether clips may have fewer frames than the window, down to a single image

    frame_by_frame = True  # what ``EncodedDataset`` asks: an image VAE is needed

    @property
    def key(self) -> str:
        """Everything that changes the latents."""
        frames = self.window.encoded
        return f"{TUNE_A_VIDEO} 1 {frames.start}:{frames.stop}:{frames.step}"

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``clip``: the frames to be encoded.

        Raises:
            ValueError: the clip is too short.
        """
        self.check(sample)
        return {"clip": sample.target.frames()[self.window.encoded]}

    def check(self, sample: Sample) -> None:
        """Refuse a sample whose clip is too short.

        Raises:
            ValueError: the clip does not fit the window.
        """
        if not self.shorter:
            self.window.check(clip_length(sample.target))

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``x0 [C, T, h, w]``.

        Raises:
            ValueError: the latents are of another model's VAE.
        """
        if self.channels is not None:
            check_channels(latents["clip"], self.channels)
        return {"x0": latents["clip"]}

    def captions(self, sample: Sample) -> dict[str, str]:
        """The clip's caption."""
        return {"caption": sample.caption}

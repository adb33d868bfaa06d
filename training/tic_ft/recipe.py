"""TIC-FT training: what of a clip pair is encoded, and how its latents are put together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...methods import tic_ft_tasks
from ...methods.tic_ft import Layout
from ..core.methods import TIC_FT
from ..data.clips import clip_length
from ..data.known_frames import KNOWN, KnownFrames
from .buckets import COMPRESSION, layout_for, target_frames
from .layout import check_channels, ticft_settings

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Sample


@dataclass(frozen=True)
class TicftRecipe:
    """What a clip pair becomes: its condition arranged as the task says, its target encoded behind it.

    Target latents see the condition's pixels in the encoder's past, as they do at inference where the whole
    sequence is decoded, so K latents are 4K frames. With ``joint`` the condition comes from the same pass.
    """

    task: str
    layout: Layout  # of the fullest bucket
    joint: bool = False
    compression: int = COMPRESSION
    channels: int | None = None  # latent channels of the model; None: any
    others: tuple[Layout, ...] = ()  # of buckets with targets of other lengths; only K differs
    known: KnownFrames | None = None  # further inputs of an image-to-video network: the condition's frames

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """All of them, that of the fullest bucket first."""
        return (self.layout, *self.others)

    @property
    def key(self) -> str:
        """Everything that changes the latents; buffer levels, captions and channels do not."""
        targets = ",".join(str(layout.target) for layout in self.layouts)
        counts = f"{self.layout.condition}+{self.layout.buffer}+{targets}"
        known = self.known.key if self.known else ""
        return f"{TIC_FT} 2 {self.task} {counts} x{self.compression} joint={self.joint}{known}"

    def key_of(self, sample: Sample) -> str:
        """The key of a recipe for this sample's bucket alone: other buckets do not change its latents."""
        return replace(self, layout=self.layout_of(sample), others=()).key

    def layout_of(self, sample: Sample) -> Layout:
        """The layout of a sample's bucket, told by the length of its target.

        Raises:
            ValueError: the target is too short for all of several.
        """
        if not self.others:
            return self.layout
        return layout_for(clip_length(sample.target), self.layouts, self.compression)

    def settings(self, per_frame_timesteps: bool, dataset: Dataset | None) -> dict[str, Any]:
        """TICFT_SETTINGS of a LoRA trained on the data set."""
        layouts = (self.layouts, self.compression)
        return ticft_settings(self.task, self.layout, per_frame_timesteps, self.joint, dataset, *layouts)

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``sequence``: condition, then the first target frames; ``condition_i``: each source alone.

        Raises:
            ValueError: the conditions do not suit the task.
        """
        images = [clip.frames() for clip in sample.conditions] if self.layout.prefix else []
        counts = (self.layout.condition, self.layout.buffer, self.compression)
        segments = tic_ft_tasks.arrange(self.task, images, *counts, places=tic_ft_tasks.FILES)
        target = sample.target.frames()[: target_frames(self.layout_of(sample), self.compression)]
        sequence = torch.cat([tic_ft_tasks.join(segments, self.compression), target]) if segments else target
        alone = {f"condition_{i}": clip for i, clip in enumerate(segments) if not self.joint}
        given = {KNOWN: self.known.clip(sequence, self.layout.condition, self.compression)} if self.known else {}
        return {**alone, **given, "sequence": sequence}

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``x0 [C, F, h, w]``: the condition's latents, then those of the sequence behind them.

        Raises:
            ValueError: the latents are of another model's VAE; said at the first clip.
        """
        sequence = latents["sequence"]
        if self.channels is not None:
            check_channels(sequence, self.channels)
        x0 = sequence
        if self.layout.prefix and not self.joint:
            alone = [latents[f"condition_{i}"] for i in range(sum(name.startswith("condition_") for name in latents))]
            x0 = torch.cat([*alone, sequence[:, self.layout.prefix :]], dim=1)
        return {"x0": x0, **(self.known.inputs(x0, latents, self.layout.condition) if self.known else {})}

    def captions(self, sample: Sample) -> dict[str, str]:
        """The caption of the whole sequence."""
        return {"caption": tic_ft_tasks.caption(self.task, "", sample.caption)}

"""Tune-A-Video training: what is noised and what is learned. What is encoded is in ``recipe``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...methods.flow import NoiseProcess
from ..core.batches import Conditioning, FlowBatch, StepGenerators
from ..core.clip_objective import ClipObjective
from ..core.config import TrainConfig
from ..core.methods import TUNE_A_VIDEO
from ..core.objective import Predict, StepLoss
from ..storage.lazy import mapped, shapes_of
from .recipe import FrameWindow

# The settings of the paper and of its authors' code, showlab/Tune-A-Video: configs/ and train_tuneavideo.py.
PUBLISHED = TrainConfig(learning_rate=3e-5, steps=500, weight_decay=1e-2, betas=(0.9, 0.999), max_grad_norm=1.0)


@dataclass(frozen=True)
class Clips:
    """Encoded clips and their captions; latents ``[C, T, h, w]`` each, in the model's space.

    Raises:
        ValueError: there are none, or they are of several numbers of channels.
    """

    latents: Sequence[Tensor]
    conditioning: Sequence[Conditioning]

    def __post_init__(self) -> None:
        if not self.latents:
            raise ValueError("the data set has no clips; Tune-A-Video needs one, add a clip to it")
        channels = sorted({shape[0] for shape in shapes_of(self.latents)})
        if len(channels) > 1:
            raise ValueError(f"the clips' latents have {channels} channels; encode all with one VAE")


@dataclass(frozen=True)
class Prior:
    """Clips or images of what the model must not forget, and how much they count beside the clip."""

    clips: Clips
    weight: float = 1.0


@dataclass(frozen=True)
class TuningBatch:
    """What a step sees."""

    clips: FlowBatch
    prior: FlowBatch | None = None  # one clip or image

    def to(self, device: torch.device | str) -> TuningBatch:
        """The same batch on another device."""
        return TuningBatch(self.clips.to(device), None if self.prior is None else self.prior.to(device))

    def part(self, rows: range) -> TuningBatch:
        """Some of its clips, and the prior's, whose share of the loss is theirs."""
        return TuningBatch(self.clips.part(rows), self.prior)


class TuneAVideoObjective(ClipObjective):
    """The image network's own objective on the frames of a clip, all of them noised to one level.

    ``loss = mean (prediction - target)^2`` over all frames, with the noise or the velocity as target, whichever the
    network predicts. With a prior, ``loss + weight * loss of one of its clips``, noised to a level of its own.

    Source: arXiv 2212.11565, equation 6; the prior is that of Ruiz et al., arXiv 2208.12242, equation 2.
    Differs: the prior's clips are the user's; there they are made by the model before it is trained.
    """

    name = TUNE_A_VIDEO

    def __init__(
        self,
        clips: Clips,
        unconditional: Conditioning,
        process: NoiseProcess,
        config: TrainConfig = PUBLISHED,
        window: FrameWindow | None = None,
        prior: Prior | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """The clip, as the method means it, or several.

        Args:
            clips: Latents and captions.
            unconditional: The empty caption.
            process: How the network's frames are noised, and what it predicts.
            config: Settings of the run.
            window: The frames of a clip that a step sees.
            prior: Clips of what the model must not forget.
            settings: Plain values for the file's metadata.
        """
        self.clips, self.window, self.prior = clips, window or FrameWindow(), prior
        # As a fixed window shows them, for previews.
        x0 = mapped(clips.latents, lambda clip: clip[:, self.window.within(clip.shape[1])], self._shown(clips))
        super().__init__(x0, clips.conditioning, unconditional, config, process, settings)

    def _shown(self, clips: Clips) -> list[torch.Size]:
        """The shapes of clips as a fixed window shows them."""
        shapes = shapes_of(clips.latents)
        counts = [len(range(shape[1])[self.window.within(shape[1])]) for shape in shapes]
        return [torch.Size((shape[0], count, *shape[2:])) for shape, count in zip(shapes, counts, strict=True)]

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> TuningBatch:
        """Clips of a step with their frames, noise, levels and dropped captions, and one of the prior's."""
        captions = self.drawn_conditioning(indices, generators)
        # The windows come after the dropped captions in their stream, so that they change neither noise nor levels,
        # and the prior last in each, so that it changes nothing else.
        clips = self._drawn(self.clips, indices, captions, generators)
        if self.prior is None:
            return TuningBatch(clips)
        own = self.prior.clips
        chosen = int(torch.randint(len(own.latents), (), generator=generators.dropout))
        return TuningBatch(clips, self._drawn(own, [chosen], [own.conditioning[chosen]], generators))

    def _drawn(
        self, clips: Clips, indices: Sequence[int], captions: list[Conditioning], generators: StepGenerators
    ) -> FlowBatch:
        latents = [clips.latents[i] for i in indices]
        x0 = torch.stack([clip[:, self.window.within(clip.shape[1], generators.dropout)] for clip in latents])
        return self.noised(x0, captions, generators)

    def loss(self, predict: Predict, batch: TuningBatch) -> StepLoss:
        """Loss of each clip ``[B]``, the prior's in each."""
        losses = self.errors(predict, batch.clips)
        if batch.prior is not None and self.prior is not None:
            losses = losses + self.prior.weight * self.errors(predict, batch.prior).mean()
        return StepLoss(losses, batch.clips.sigma)

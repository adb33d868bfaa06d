"""Tune-A-Video training: what is noised and what is learned. What is encoded is in ``tune_a_video_recipe``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...methods.flow import NoiseProcess
from ...methods.tic_ft import Layout
from ..core.batches import Conditioning, FlowBatch, StepGenerators, dropped
from ..core.config import TrainConfig
from ..core.objective import Predict, StepLoss
from ..core.timestep_sampling import draw_sigmas
from .recipe import METHOD, Window

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
        channels = sorted({len(clip) for clip in self.latents})
        if len(channels) > 1:
            raise ValueError(f"the clips' latents have {channels} channels; encode all with one VAE")


@dataclass(frozen=True)
class Prior:
    """Clips or images of what the model shall still know, and how much they count beside the clip."""

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


@dataclass(frozen=True)
class TuneAVideoObjective:
    """The image network's own objective on the frames of a clip, all of them noised to one level.

    ``loss = mean (prediction - target)^2`` over all frames, with the noise or the velocity as target, whichever the
    network predicts. With a prior, ``loss + weight * loss of one of its clips``, noised to a level of its own.

    Source: arXiv 2212.11565, equation 6; the prior is that of Ruiz et al., arXiv 2208.12242, equation 2.
    Differs: the prior's clips are the user's; there they are made by the model before it is trained.
    """

    clips: Clips
    unconditional: Conditioning  # the empty caption
    process: NoiseProcess  # how the network's frames are noised, and what it predicts
    config: TrainConfig = PUBLISHED
    window: Window = field(default_factory=Window)
    prior: Prior | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)  # plain values for the file's metadata

    name = METHOD

    @property
    def size(self) -> int:
        """Clips; one, as the method means it."""
        return len(self.clips.latents)

    @property
    def x0(self) -> list[Tensor]:
        """The frames of each clip that a fixed window sees, for previews."""
        return [clip[:, self.window.within(clip.shape[1])] for clip in self.clips.latents]

    @property
    def conditioning(self) -> Sequence[Conditioning]:
        """The captions, for previews."""
        return self.clips.conditioning

    @property
    def layout(self) -> Layout:
        """Of a preview: every frame is made."""
        return Layout(0, 0, self.x0[0].shape[1])

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The clips of each size, which a batch does not mix."""
        shapes = [x0.shape for x0 in self.x0]
        return tuple(tuple(i for i, own in enumerate(shapes) if own == shape) for shape in dict.fromkeys(shapes))

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> TuningBatch:
        """Clips of a step with their frames, noise, levels and dropped captions, and one of the prior's."""
        drop = dropped(len(indices), self.config.caption_dropout, generators.dropout)
        captions = [
            self.unconditional if lost else self.clips.conditioning[i] for i, lost in zip(indices, drop, strict=True)
        ]
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
        noise = torch.randn(x0.shape, generator=generators.noise)
        return FlowBatch(x0, noise, draw_sigmas(len(indices), self.config, generators.sigma), captions)

    def loss(self, predict: Predict, batch: TuningBatch) -> StepLoss:
        """Loss of each clip ``[B]``, the prior's in each."""
        losses = self._losses(predict, batch.clips)
        if batch.prior is not None and self.prior is not None:
            losses = losses + self.prior.weight * self._losses(predict, batch.prior).mean()
        return StepLoss(losses, batch.clips.sigma)

    def _losses(self, predict: Predict, batch: FlowBatch) -> Tensor:
        sigma = self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigma)
        target = self.process.target(batch.x0, batch.noise, sigma)
        return (predict(xt, sigma, batch.conditioning) - target).square().flatten(1).mean(1)

    def metadata(self) -> dict[str, str]:
        """Method and settings as text, for the file."""
        return {key: json.dumps(value) for key, value in {"method": METHOD, **self.settings}.items()}

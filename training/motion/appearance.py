"""One-shot motion training, first stage: how a clip looks. What is encoded is in ``motion_recipe``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...methods.flow import FLOW, NoiseProcess
from ...methods.tic_ft import Layout
from ..core.batches import Conditioning, FlowBatch, StepGenerators, dropped, shape_groups
from ..core.config import TrainConfig
from ..core.objective import Predict, StepLoss
from ..core.timestep_sampling import draw_sigmas

METHOD = "appearance"  # as the files name it


class ClipObjective:
    """Clips with their captions, noised and learned as the network was; what both stages share."""

    name = ""

    def __init__(
        self,
        x0: Sequence[Tensor],
        conditioning: Sequence[Conditioning],
        unconditional: Conditioning,
        config: TrainConfig,
        process: NoiseProcess = FLOW,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Clean latents ``[C, T, h, w]`` in the model's space and one conditioning each.

        ``settings`` are plain values for the LoRA's metadata.

        Raises:
            ValueError: there are none, or their channels differ.
        """
        if not x0:
            raise ValueError("the data set has no clips; training needs at least one, add clips to it")
        if len({len(latents) for latents in x0}) > 1:
            raise ValueError("the clips' latents differ in channels; encode all of them with the model's own VAE")
        self.x0, self.conditioning, self.unconditional = list(x0), list(conditioning), unconditional
        self.config, self.process, self.settings = config, process, dict(settings or {})
        self.size, self.groups = len(self.x0), shape_groups(self.x0)
        self.layout = Layout(0, 0, self.x0[0].shape[1])  # for previews: nothing but frames to generate

    def metadata(self) -> dict[str, str]:
        """Method and settings as text, for the LoRA file."""
        return {key: json.dumps(value) for key, value in {"method": self.name, **self.settings}.items()}

    def noised(self, x0: Tensor, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """A batch of clean latents ``[B, C, T, h, w]`` with what is random about it."""
        drop = dropped(len(indices), self.config.caption_dropout, generators.dropout)
        return FlowBatch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generators.noise),
            sigma=draw_sigmas(len(indices), self.config, generators.sigma),
            conditioning=[
                self.unconditional if lost else self.conditioning[i] for i, lost in zip(indices, drop, strict=True)
            ],
        )

    def stacked(self, indices: Sequence[int]) -> Tensor:
        """Clean latents of a step's clips, ``[B, C, T, h, w]``.

        Raises:
            ValueError: the clips are of several buckets.
        """
        if len({self.x0[i].shape for i in indices}) > 1:
            raise ValueError(f"clips {list(indices)} are of several buckets; choose a step's clips by the groups")
        return torch.stack([self.x0[i] for i in indices])

    def predicted(self, predict: Predict, batch: FlowBatch) -> tuple[Tensor, Tensor]:
        """What the network makes of a batch, and what it should make of it; both ``[B, C, T, h, w]``."""
        sigma = self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigma)
        return predict(xt, sigma, batch.conditioning), self.process.target(batch.x0, batch.noise, sigma)


class AppearanceObjective(ClipObjective):
    """The network's own objective on single frames, each a clip of one latent: how the clip looks, and no motion.

    In a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction - (noise - x0))^2. Every frame is an item of its
    own, so that all are seen equally often and in no order.

    Source: Set-and-Sequence, arXiv 2502.14844; the spatial path of MotionDirector, arXiv 2310.08465.
    """

    name = METHOD

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """Frames of a step with their noise, levels and dropped captions.

        Raises:
            ValueError: they are of several sizes.
        """
        return self.noised(self.stacked(indices), indices, generators)

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Mean square error of each frame, ``[B]``."""
        prediction, target = self.predicted(predict, batch)
        return StepLoss((prediction - target).square().flatten(1).mean(1), batch.sigma)

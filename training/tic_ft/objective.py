"""TIC-FT training: what is noised and what is learned. What is encoded is in ``tic_ft_recipe``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...methods import tic_ft
from ...methods.flow import FLOW, NoiseProcess
from ..core.batches import Conditioning, FlowBatch, StepGenerators, dropped, seeded_generator, shape_groups
from ..core.config import TrainConfig
from ..core.objective import Predict, StepLoss
from ..core.timestep_sampling import draw_sigmas
from .buckets import check_latents
from .layout import METHOD
from .recipe import TicftRecipe

if TYPE_CHECKING:
    from ..data.dataset import Dataset


class TicftObjective:
    """The network's own objective on the target frames, with every frame noised to its own level.

    ``s = min(level, tau)``; in a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction - (noise - x0))^2.
    The network gets the one scalar level, or s itself with ``per_frame_timesteps``.

    Source: TIC-FT, arXiv 2506.00996, section 3.2 and eq. 7.
    """

    name = METHOD

    def __init__(
        self,
        x0: Sequence[Tensor],
        conditioning: Sequence[Conditioning],
        unconditional: Conditioning,
        recipe: TicftRecipe,
        config: TrainConfig,
        dataset: Dataset | None = None,
        process: NoiseProcess = FLOW,
    ) -> None:
        """Clean latents ``[C, F, h, w]`` in the model's space and one conditioning a clip.

        ``process`` is how the network's frames are noised. Size and rate of the ``dataset`` are written into the
        LoRA's metadata.

        Raises:
            ValueError: there are no clips, or their latents differ in channels or fit none of the layouts.
        """
        check_latents(x0, recipe.layouts)
        self.x0, self.conditioning, self.unconditional = list(x0), list(conditioning), unconditional
        self.recipe, self.layout, self.config = recipe, recipe.layout, config
        self.size, self.dataset, self.process = len(self.x0), dataset, process
        self.groups = shape_groups(self.x0)

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """Clips of a step with their noise, levels and dropped captions.

        Raises:
            ValueError: the clips are of several buckets.
        """
        if len({self.x0[i].shape for i in indices}) > 1:
            raise ValueError(f"clips {list(indices)} are of several buckets; choose a step's clips by the groups")
        x0 = torch.stack([self.x0[i] for i in indices])
        config = self.config
        drop = dropped(len(indices), config.caption_dropout, generators.dropout)
        return FlowBatch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generators.noise),
            sigma=draw_sigmas(len(indices), config, generators.sigma),
            conditioning=[
                self.unconditional if lost else self.conditioning[i] for i, lost in zip(indices, drop, strict=True)
            ],
        )

    def fixed_batch(self, index: int, sigma: float) -> FlowBatch:
        """One clip at one level, with noise that depends on the clip's place alone; for validation."""
        x0 = self.x0[index][None]
        noise = torch.randn(x0.shape, generator=seeded_generator(0, index, "validation"))
        return FlowBatch(x0, noise, torch.tensor([sigma]), [self.conditioning[index]])

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Loss of each clip ``[B]``; condition and buffer outputs get no gradient."""
        layout = replace(self.layout, target=batch.x0.shape[2] - self.layout.prefix)
        levels = tic_ft.frame_sigmas(layout, batch.sigma)
        sigmas, sigma = self.process.sigma_at(levels), self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigmas)
        prediction = predict(xt, sigmas if self.config.per_frame_timesteps else sigma, batch.conditioning)
        target = self.process.target(batch.x0, batch.noise, sigma)
        return StepLoss(tic_ft.target_loss(prediction, target, layout), batch.sigma)

    def metadata(self) -> dict[str, str]:
        """``settings`` as text, for the LoRA file."""
        settings = self.recipe.settings(self.config.per_frame_timesteps, self.dataset)
        return {key: json.dumps(value) for key, value in settings.items()}

"""TIC-FT training: what is noised and what is learned. What is encoded is in ``recipe``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from ...methods import tic_ft
from ...methods.flow import FLOW, NoiseProcess
from ..core.batches import Conditioning, FlowBatch
from ..core.clip_objective import ClipObjective
from ..core.config import TrainConfig
from ..core.methods import TIC_FT
from ..core.objective import Predict, StepLoss
from .buckets import check_latents
from .recipe import TicftRecipe

if TYPE_CHECKING:
    from ..data.dataset import Dataset


class TicftObjective(ClipObjective):
    """The network's own objective on the target frames, with every frame noised to its own level.

    ``s = min(level, tau)``; in a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction - (noise - x0))^2.
    The network gets the one scalar level, or s itself with ``per_frame_timesteps``.

    Source: TIC-FT, arXiv 2506.00996, section 3.2 and eq. 7.
    """

    name = TIC_FT

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

        Size and rate of the ``dataset`` are written into the LoRA's metadata.

        Raises:
            ValueError: there are no clips, or their latents differ in channels or fit none of the layouts.
        """
        check_latents(x0, recipe.layouts)
        settings = recipe.settings(config.per_frame_timesteps, dataset)
        super().__init__(x0, conditioning, unconditional, config, process, settings)
        self.recipe, self.layout, self.dataset = recipe, recipe.layout, dataset

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Loss of each clip ``[B]``; condition and buffer outputs get no gradient."""
        layout = replace(self.layout, target=batch.x0.shape[2] - self.layout.prefix)
        levels = tic_ft.frame_sigmas(layout, batch.sigma)
        sigmas, sigma = self.process.sigma_at(levels), self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigmas)
        prediction = predict(xt, sigmas if self.config.per_frame_timesteps else sigma, batch.conditioning)
        target = self.process.target(batch.x0, batch.noise, sigma)
        return StepLoss(tic_ft.target_loss(prediction, target, layout), batch.sigma)

"""TIC-FT training: what is encoded, what is noised, what is learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..methods import tic_ft, tic_ft_tasks
from ..methods.flow import FLOW, NoiseProcess
from ..methods.tic_ft import Layout
from .batches import Conditioning, FlowBatch, StepGenerators, dropped, sample_sigmas, seeded_generator
from .config import TrainConfig
from .objective import Predict, StepLoss
from .tic_ft_layout import COMPRESSION, METHOD, check_channels, check_latents, target_frames, ticft_settings

if TYPE_CHECKING:
    from .dataset import Dataset, Sample


@dataclass(frozen=True)
class TicftRecipe:
    """What a clip pair becomes: its condition arranged as the task says, its target encoded behind it.

    Target latents see the condition's pixels in the encoder's past, as they do at inference where the whole
    sequence is decoded, so K latents are 4K frames. With ``joint`` the condition comes from the same pass.
    """

    task: str
    layout: Layout
    joint: bool = False
    compression: int = COMPRESSION
    channels: int | None = None  # latent channels of the model; None: any

    @property
    def key(self) -> str:
        """Everything that changes the latents; buffer levels, captions and channels do not."""
        counts = f"{self.layout.condition}+{self.layout.buffer}+{self.layout.target}"
        return f"{METHOD} 2 {self.task} {counts} x{self.compression} joint={self.joint}"

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``sequence``: condition, then the first target frames; ``condition_i``: each source alone.

        Raises:
            ValueError: the conditions do not suit the task.
        """
        images = [clip.frames() for clip in sample.conditions] if self.layout.prefix else []
        counts = (self.layout.condition, self.layout.buffer, self.compression)
        segments = tic_ft_tasks.arrange(self.task, images, *counts, places=tic_ft_tasks.FILES)
        target = sample.target.frames()[: target_frames(self.layout, self.compression)]
        if not segments:
            return {"sequence": target}
        sequence = torch.cat([tic_ft_tasks.join(segments, self.compression), target])
        alone = {} if self.joint else {f"condition_{i}": clip for i, clip in enumerate(segments)}
        return {**alone, "sequence": sequence}

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``x0 [C, F, h, w]``: the condition's latents, then the last K of the sequence.

        Raises:
            ValueError: the latents are of another model's VAE; said at the first clip.
        """
        sequence = latents["sequence"]
        if self.channels is not None:
            check_channels(sequence, self.channels)
        if self.joint or not self.layout.prefix:
            return {"x0": sequence}
        alone = [latents[f"condition_{i}"] for i in range(len(latents) - 1)]
        return {"x0": torch.cat([*alone, sequence[:, -self.layout.target :]], dim=1)}

    def captions(self, sample: Sample) -> dict[str, str]:
        """The caption of the whole sequence."""
        return {"caption": tic_ft_tasks.caption(self.task, "", sample.caption)}


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
            ValueError: there are no clips, or their latents differ in shape or do not fit the layout.
        """
        check_latents(x0, recipe.layout)
        self.x0, self.conditioning, self.unconditional = list(x0), list(conditioning), unconditional
        self.recipe, self.layout, self.config = recipe, recipe.layout, config
        self.size, self.dataset, self.process = len(self.x0), dataset, process

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """Clips of a step with their noise, levels and dropped captions."""
        x0 = torch.stack([self.x0[i] for i in indices])
        config = self.config
        drop = dropped(len(indices), config.caption_dropout, generators.dropout)
        return FlowBatch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generators.noise),
            sigma=sample_sigmas(len(indices), config.density, config.shift, generators.sigma),
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
        levels = tic_ft.frame_sigmas(self.layout, batch.sigma)
        sigmas, sigma = self.process.sigma_at(levels), self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigmas)
        prediction = predict(xt, sigmas if self.config.per_frame_timesteps else sigma, batch.conditioning)
        target = self.process.target(batch.x0, batch.noise, sigma)
        return StepLoss(tic_ft.target_loss(prediction, target, self.layout), batch.sigma)

    def metadata(self) -> dict[str, str]:
        """``settings`` as text, for the LoRA file."""
        recipe, per_frame = self.recipe, self.config.per_frame_timesteps
        settings = ticft_settings(recipe.task, recipe.layout, per_frame, recipe.joint, self.dataset)
        return {key: json.dumps(value) for key, value in settings.items()}

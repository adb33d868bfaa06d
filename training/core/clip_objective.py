"""What the objectives of all methods share: clips with their captions, noised as the network was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from ...methods.flow import FLOW, NoiseProcess
from ...methods.tic_ft import Layout
from ..storage.lazy import shapes_of
from .batches import Conditioning, FlowBatch, StepGenerators, dropped, seeded_generator, shape_groups
from .config import TrainConfig
from .objective import Predict
from .timestep_sampling import draw_sigmas


class ClipObjective:
    """The network's own objective on clips; a method adds its loss, and what else is random about a step."""

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

        Both may be lazy: nothing is read here where the latents' shapes are known. ``process`` is how the network's
        frames are noised. ``settings`` are plain values for the file's metadata.

        Raises:
            ValueError: there are none, or their channels differ.
        """
        if not x0:
            raise ValueError("the data set has no clips; training needs at least one, add clips to it")
        shapes = shapes_of(x0)
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError("the clips' latents differ in channels; encode all of them with the model's own VAE")
        self.x0, self.conditioning, self.unconditional = x0, conditioning, unconditional
        self.config, self.process, self.settings = config, process, dict(settings or {})
        self.size, self.groups = len(self.x0), shape_groups(self.x0)
        self.layout = Layout(0, 0, shapes[0][1])  # for previews: nothing but frames to generate

    def metadata(self) -> dict[str, str]:
        """Method and settings as text, for the file."""
        return {key: json.dumps(value) for key, value in {"method": self.name, **self.settings}.items()}

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> Any:
        """Clips of a step with all that is random about them.

        Raises:
            ValueError: the clips are of several buckets.
        """
        return self.noised(self.stacked(indices), self.drawn_conditioning(indices, generators), generators)

    def largest_batch(self) -> Any:
        """A step's clips, the largest there are: what a step takes is measured with them."""
        return self.batch(self.largest_indices(), StepGenerators.at(self.config.seed, 0))

    def largest_indices(self) -> list[int]:
        """Clips of the largest bucket, as many as a batch has."""
        shapes = shapes_of(self.x0)
        group = max(self.groups, key=lambda group: shapes[group[0]].numel())
        return [group[i % len(group)] for i in range(self.config.batch_size)]

    def shapes_vary(self) -> bool:
        """Whether clips differ in shape, or captions do, the empty one among them where some are dropped."""
        first = self.conditioning[0]
        lost = [{**first, **self.unconditional}] if self.config.caption_dropout else []
        return len(self.groups) > 1 or any(_shapes(one) != _shapes(first) for one in chain(self.conditioning, lost))

    def fixed_batch(self, index: int, sigma: float) -> FlowBatch:
        """One clip at one level, with noise that depends on the clip's index alone; for validation."""
        x0 = self.x0[index][None]
        noise = torch.randn(x0.shape, generator=seeded_generator(0, index, "validation"))
        return FlowBatch(x0, noise, torch.tensor([sigma]), [self.conditioning[index]])

    def stacked(self, indices: Sequence[int]) -> Tensor:
        """Clean latents of a step's clips, ``[B, C, T, h, w]``; a ValueError where they are of several buckets."""
        clips = [self.x0[i] for i in indices]
        if len({clip.shape for clip in clips}) > 1:
            raise ValueError(f"clips {list(indices)} are of several buckets; choose a step's clips by the groups")
        return torch.stack(clips)

    def drawn_conditioning(self, indices: Sequence[int], generators: StepGenerators) -> list[Conditioning]:
        """The captions of a step's clips, some of them dropped."""
        drop = dropped(len(indices), self.config.caption_dropout, generators.dropout)
        # What is not of the caption stays.
        return [
            {**self.conditioning[i], **(self.unconditional if lost else {})}
            for i, lost in zip(indices, drop, strict=True)
        ]

    def noised(self, x0: Tensor, conditioning: list[Conditioning], generators: StepGenerators) -> FlowBatch:
        """Clean latents ``[B, C, T, h, w]`` with noise and levels."""
        noise = torch.randn(x0.shape, generator=generators.noise)
        return FlowBatch(x0, noise, draw_sigmas(len(x0), self.config, generators.sigma), conditioning)

    def predicted(self, predict: Predict, batch: FlowBatch) -> tuple[Tensor, Tensor]:
        """The network's output for a batch, and its target; both ``[B, C, T, h, w]``."""
        sigma = self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigma)
        return predict(xt, sigma, batch.conditioning), self.process.target(batch.x0, batch.noise, sigma)

    def errors(self, predict: Predict, batch: FlowBatch) -> Tensor:
        """Mean squared error of each clip, ``[B]``."""
        prediction, target = self.predicted(predict, batch)
        return (prediction - target).square().flatten(1).mean(1)


def _shapes(caption: Conditioning) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in caption.items()}

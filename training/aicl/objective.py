"""AICL training: what is noised, which references a clip reads in a step, and what is learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...methods.aicl import AdapterSizes, DropRates, sizes_to_text
from ...methods.flow import FLOW, NoiseProcess
from ...methods.tic_ft import Layout
from ..core.batches import Conditioning, FlowBatch, StepGenerators, seeded_generator, shape_groups
from ..core.config import TrainConfig
from ..core.objective import Predict, StepLoss
from ..core.timestep_sampling import draw_sigmas
from .file import DATA, SIZES
from .groups import Groups
from .reading import Reading, Reference, with_reading
from .recipe import METHOD

if TYPE_CHECKING:
    from collections.abc import Mapping

RIGHT, WRONG, WITHOUT = READINGS = ("right", "wrong", "none")  # references of a validation


@dataclass(frozen=True)
class AiclData:
    """An encoded set.

    Raises:
        ValueError: it is empty, or its parts are of different lengths.
    """

    x0: Sequence[Tensor]  # [C, T, h, w] each, in the model's space
    conditioning: Sequence[Conditioning]  # of each clip's caption
    unconditional: Conditioning
    references: Sequence[Reference]  # numbered as ``groups.choices`` does
    groups: Groups

    def __post_init__(self) -> None:
        counts = {len(self.x0), len(self.conditioning), len(self.groups.choices)}
        if len(counts) != 1 or not self.x0:
            raise ValueError(f"the data set has {sorted(counts)} clips, captions and references; give one of each")

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the references as they are, ``[C]`` each."""
        # One clip after the other: together they would need all memory twice more.
        latents = [reference.variants[0].flatten(1) for reference in self.references]
        count = sum(values.shape[1] for values in latents)
        mean = torch.stack([values.double().sum(1) for values in latents]).sum(0) / count
        squares = torch.stack([(values.double() - mean[:, None]).square().sum(1) for values in latents]).sum(0)
        return mean.float(), (squares / (count - 1)).sqrt().clamp(min=1e-5).float()


@dataclass(frozen=True)
class AiclOrder:
    """How an adapter is trained, besides the optimiser's settings.

    Raises:
        ValueError: less than one reference is asked for.
    """

    sizes: AdapterSizes
    drops: DropRates = field(default_factory=DropRates)
    most: int = 3  # references of a clip in a step, 1 to so many
    process: NoiseProcess = FLOW  # how the network's frames are noised

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"{self.most} references were asked for; give at least 1")


class AiclObjective:
    """The frozen network's own objective, with action tokens of other clips of the same action in its blocks.

    In a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction(xt, s, c, R) - (noise - x0))^2; a velocity on
    discrete timesteps has its own xt and target. Which references are R, how many and in which variant is drawn anew
    in each step, as a function of (seed, step). Captions and references are left out at the rates of ``DropRates``.

    Source: EchoReel / AICL, arXiv 2403.11535v1, section on training (mean squared error, base frozen).
    Differs: their code leaves nothing out, reads one reference, and mixes the references of a batch.
    """

    name = METHOD

    def __init__(
        self,
        data: AiclData,
        order: AiclOrder,
        config: TrainConfig,
        summary: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """``summary`` and ``facts`` of the data and the order are written into the adapter's file."""
        self.data, self.order, self.config = data, order, config
        self.summary, self.facts = summary, dict(facts or {})
        self.size, self.process = len(data.x0), order.process
        self.groups = shape_groups(data.x0)
        # What previews read.
        self.x0, self.unconditional = list(data.x0), data.unconditional
        self.layout = Layout(0, 0, data.x0[0].shape[1])
        self.conditioning = [
            with_reading(conditioning, self._fixed(i, RIGHT)) for i, conditioning in enumerate(data.conditioning)
        ]

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """Clips of a step with their noise, levels, references and what is left out.

        Raises:
            ValueError: the clips are of several buckets.
        """
        if len({self.x0[i].shape for i in indices}) > 1:
            raise ValueError(f"clips {list(indices)} are of several buckets; choose a step's clips by the groups")
        x0 = torch.stack([self.x0[i] for i in indices])
        return FlowBatch(
            x0=x0,
            noise=torch.randn(x0.shape, generator=generators.noise),
            sigma=draw_sigmas(len(indices), self.config, generators.sigma),
            conditioning=[self._drawn(i, generators.dropout) for i in indices],
        )

    def fixed_batch(self, index: int, sigma: float, reading: str = RIGHT) -> FlowBatch:
        """One clip at one level, with noise that depends on the clip's place alone; for validation.

        ``reading`` is one of ``READINGS``: a reference of its action, of another action (where there is none of its
        own), or none.
        """
        x0 = self.x0[index][None]
        noise = torch.randn(x0.shape, generator=seeded_generator(0, index, "validation"))
        conditioning = with_reading(self.data.conditioning[index], self._fixed(index, reading))
        return FlowBatch(x0, noise, torch.tensor([sigma]), [conditioning])

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Loss of each clip ``[B]``."""
        sigma = self.process.sigma_at(batch.sigma)
        xt = self.process.network_input(batch.x0, batch.noise, sigma)
        target = self.process.target(batch.x0, batch.noise, sigma)
        error = (predict(xt, sigma, batch.conditioning) - target).square()
        return StepLoss(error.flatten(1).mean(1), batch.sigma)

    def metadata(self) -> dict[str, str]:
        """What a loader must know, and how the adapter came to be."""
        drops = self.order.drops
        facts = {
            "method": METHOD,
            "most_references": self.order.most,
            "drop_rates": [drops.caption, drops.references, drops.both],
            **self.facts,
        }
        texts = {key: json.dumps(value) for key, value in facts.items()}
        return {**texts, SIZES: sizes_to_text(self.order.sizes), DATA: self.summary}

    def _drawn(self, clip: int, generator: torch.Generator) -> Conditioning:
        """Conditioning of a step; as many numbers are drawn whatever the rates, so that they change nothing else."""
        kept_caption, read = self.order.drops.kept(float(torch.rand((), generator=generator)))
        choices = self.data.groups.choices[clip]
        count = 1 + _below(min(self.order.most, len(choices)), generator)
        order = torch.randperm(len(choices), generator=generator)[:count].tolist()
        chosen = [self.data.references[choices[i]] for i in order]
        references = tuple((one.variants[_below(len(one.variants), generator)], one.text) for one in chosen)
        caption = self.data.conditioning[clip] if kept_caption else self.unconditional
        return with_reading(caption, Reading(references, read))

    def _fixed(self, clip: int, reading: str) -> Reading:
        choices = self.data.groups.choices[clip]
        number = self.data.groups.wrong(clip) if reading == WRONG else choices[0]
        if number is None:
            raise ValueError("there is no wrong reference; give clips of a second action")
        one = self.data.references[number]
        return Reading(((one.variants[0], one.text),), reading != WITHOUT)


def _below(count: int, generator: torch.Generator) -> int:
    """A number from 0 to ``count - 1``."""
    return int(torch.randint(count, (), generator=generator))

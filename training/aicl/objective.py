"""AICL training: what is noised, which references a clip reads in a step, and what is learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...methods.aicl import AdapterSizes, DropRates
from ...methods.flow import FLOW, NoiseProcess
from ..core.batches import Conditioning, FlowBatch, StepGenerators
from ..core.clip_objective import ClipObjective
from ..core.config import TrainConfig
from ..core.methods import AICL
from ..core.objective import Predict, StepLoss
from ..storage.lazy import Lazy
from .file import DATA, SIZES
from .groups import Groups
from .reading import Reading, Reference, with_reading
from .sizes import sizes_to_text

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
    known: tuple[Tensor, Tensor] | None = None  # what ``statistics`` gives, where it is known already

    def __post_init__(self) -> None:
        counts = {len(self.x0), len(self.conditioning), len(self.groups.choices)}
        if len(counts) != 1 or not self.x0:
            raise ValueError(f"the data set has {sorted(counts)} clips, captions and references; give one of each")

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel of the references as they are, ``[C]`` each."""
        if self.known is not None:
            return self.known
        # One clip after the other, once: together they need all memory, and each may have to be read. Changed in place,
        # for small tensors that stay would keep the memory of the large ones before them from being used again.
        channels = len(self.references[0].variants[0])
        count, mean, squares = 0, torch.zeros(channels, dtype=torch.double), torch.zeros(channels, dtype=torch.double)
        for reference in self.references:
            values = reference.variants[0].flatten(1).double()
            own, size = values.mean(1), values.shape[1]
            change = own - mean
            squares += (values - own[:, None]).square_().sum(1) + change.square() * (count * size / (count + size))
            mean += change * (size / (count + size))
            count += size
        return mean.float(), (squares / (count - 1)).sqrt().clamp(min=1e-5).float()


@dataclass(frozen=True)
class AiclSettings:
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


class AiclObjective(ClipObjective):
    """The frozen network's own objective, with action tokens of other clips of the same action in its blocks.

    In a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction(xt, s, c, R) - (noise - x0))^2; a velocity on
    discrete timesteps has its own xt and target. Which references are R, how many and in which variant is drawn anew
    in each step, as a function of (seed, step). Captions and references are left out at the rates of ``DropRates``.

    Source: EchoReel / AICL, arXiv 2403.11535v1, section on training (mean squared error, base frozen).
    Differs: their code leaves nothing out, reads one reference, and mixes the references of a batch.
    """

    name = AICL

    def __init__(
        self,
        data: AiclData,
        aicl: AiclSettings,
        config: TrainConfig,
        summary: str = "",
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """``summary`` and ``facts`` of the data and the request are written into the adapter's file."""
        self.data, self.aicl, self.summary = data, aicl, summary
        # With references, as previews and validation read them.
        conditioning = Lazy(len(data.conditioning), lambda i: with_reading(data.conditioning[i], self._fixed(i, RIGHT)))
        super().__init__(data.x0, conditioning, data.unconditional, config, aicl.process, facts)

    def drawn_conditioning(self, indices: Sequence[int], generators: StepGenerators) -> list[Conditioning]:
        """Captions and references of a step's clips, with what is left out."""
        return [self._drawn(i, generators.dropout) for i in indices]

    def largest_batch(self) -> FlowBatch:
        """With as many references as a clip may read."""
        indices = self.largest_indices()
        conditioning = [with_reading(self.data.conditioning[i], self._most(i)) for i in indices]
        return replace(super().largest_batch(), conditioning=conditioning)

    def fixed_batch(self, index: int, sigma: float, reading: str = RIGHT) -> FlowBatch:
        """One clip at one level, with noise that depends on the clip's place alone; for validation.

        ``reading`` is one of ``READINGS``: a reference of its action, of another action (where there is none of its
        own), or none.
        """
        batch = super().fixed_batch(index, sigma)
        return replace(batch, conditioning=[with_reading(self.data.conditioning[index], self._fixed(index, reading))])

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Loss of each clip ``[B]``."""
        return StepLoss(self.errors(predict, batch), batch.sigma)

    def metadata(self) -> dict[str, str]:
        """What a loader must know, and how the adapter came to be."""
        drops = self.aicl.drops
        facts = {
            "method": AICL,
            "most_references": self.aicl.most,
            "drop_rates": [drops.caption, drops.references, drops.both],
            **self.settings,
        }
        texts = {key: json.dumps(value) for key, value in facts.items()}
        return {**texts, SIZES: sizes_to_text(self.aicl.sizes), DATA: self.summary}

    def _drawn(self, clip: int, generator: torch.Generator) -> Conditioning:
        """Conditioning of a step; as many numbers are drawn whatever the rates, so that they change nothing else."""
        kept_caption, read = self.aicl.drops.kept(float(torch.rand((), generator=generator)))
        choices = self.data.groups.choices[clip]
        count = 1 + _below(min(self.aicl.most, len(choices)), generator)
        order = torch.randperm(len(choices), generator=generator)[:count].tolist()
        chosen = [self.data.references[choices[i]] for i in order]
        references = tuple((one.variants[_below(len(one.variants), generator)], one.text) for one in chosen)
        # What is not of the caption stays.
        caption = {**self.data.conditioning[clip], **({} if kept_caption else self.unconditional)}
        return with_reading(caption, Reading(references, read))

    def _most(self, clip: int) -> Reading:
        chosen = [self.data.references[i] for i in self.data.groups.choices[clip][: self.aicl.most]]
        return Reading(tuple((one.variants[0], one.text) for one in chosen), True)

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

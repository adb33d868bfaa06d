"""One-shot motion training, second stage: how a clip moves. What is encoded is in ``motion_recipe``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...methods import motion
from ...methods.flow import FLOW, NoiseProcess
from ...methods.tic_ft import Layout
from ..core.batches import Conditioning, FlowBatch, StepGenerators
from ..core.clip_objective import ClipObjective
from ..core.config import TrainConfig
from ..core.methods import MOTION
from ..core.objective import Predict, StepLoss
from ..storage.lazy import mapped, shapes_of


@dataclass(frozen=True)
class MotionTerms:
    """Weights of what is added to the plain loss of the motion stage; with both at 0 it is the plain loss.

    Raises:
        ValueError: one is negative or no number.
    """

    debiased: float = 1.0  # of ``methods.motion.debiased_loss``
    direction: float = 0.1  # of ``methods.motion.direction_loss``
    beta: float = motion.BETA  # strength of the anchor frame

    def __post_init__(self) -> None:
        for name in ("debiased", "direction", "beta"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"the {name} weight is {value!r}; give a number of 0 or more")


@dataclass(frozen=True)
class MotionBatch:
    """A flow batch with the frame of each clip that stands for its appearance."""

    flow: FlowBatch
    anchor: Tensor  # [B], on the CPU

    def to(self, device: torch.device | str) -> MotionBatch:
        """The same batch on another device."""
        return MotionBatch(self.flow.to(device), self.anchor)

    def part(self, rows: range) -> MotionBatch:
        """Some of its clips."""
        return MotionBatch(self.flow.part(rows), self.anchor[rows.start : rows.stop])


class MotionObjective(ClipObjective):
    """``mean |v - u|^2 + w1 mean |phi(v) - phi(u)|^2 + w2 mean (1 - cos(d v, d u))``, v predicted and u wanted.

    phi takes off what frames share with a random one of them, d is the difference of neighbouring frames: both see
    motion and are blind to much of the appearance. With a stride only every so many-th latent of a clip is shown.

    Source: MotionDirector, arXiv 2310.08465 (w1 = 1); Follow-Your-Motion, arXiv 2506.05207 (w2).
    Differs: both terms together, on whatever the network predicts; w2 = 0.1 is ours.
    """

    name = MOTION

    def __init__(
        self,
        x0: Sequence[Tensor],
        conditioning: Sequence[Conditioning],
        unconditional: Conditioning,
        config: TrainConfig,
        process: NoiseProcess = FLOW,
        settings: Mapping[str, Any] | None = None,
        terms: MotionTerms | None = None,
        stride: int = 1,
    ) -> None:
        """Whole clips; ``stride`` is the number of latents from one that is shown to the next.

        Raises:
            ValueError: as the first stage's, or a clip shows fewer than two latents.
        """
        super().__init__(x0, conditioning, unconditional, config, process, settings)
        self.terms, self.stride = terms or MotionTerms(), stride
        shapes = shapes_of(x0)
        shortest = min(shape[1] for shape in shapes)
        if motion.sparse_count(shortest, stride) < 2:
            raise ValueError(
                f"of a clip of {shortest} latents one in {stride} is shown, which is no motion; "
                "give longer clips, or more sparse latents"
            )
        shown = [torch.Size((shape[0], motion.sparse_count(shape[1], stride), *shape[2:])) for shape in shapes]
        self.whole, self.x0 = x0, mapped(x0, lambda latents: latents[:, ::stride], shown)  # x0: as previews sample them
        self.layout = Layout(0, 0, shown[0][1])

    def batch(self, indices: Sequence[int], generators: StepGenerators) -> MotionBatch:
        """Clips of a step with their noise, levels, dropped captions and anchor frames."""
        batch = super().batch(indices, generators)
        count = batch.x0.shape[2]
        # Behind the noise of the same stream, so that the noise is the same with and without them.
        anchor = torch.randint(count, (len(indices),), generator=generators.noise)
        if self.stride > 1:
            batch = self._started(batch, indices, generators)
        return MotionBatch(batch, anchor)

    def _started(self, batch: FlowBatch, indices: Sequence[int], generators: StepGenerators) -> FlowBatch:
        """The batch with the sparse latents of each clip taken from a random one on, so that in time all are seen."""
        span = (batch.x0.shape[2] - 1) * self.stride
        whole = [self.whole[i] for i in indices]
        rest = whole[0].shape[1] - 1 - span  # of a bucket all clips have one length
        starts = torch.randint(rest + 1, (len(indices),), generator=generators.noise).tolist()
        x0 = [clip[:, start : start + span + 1 : self.stride] for clip, start in zip(whole, starts, strict=True)]
        return FlowBatch(torch.stack(x0), batch.noise, batch.sigma, batch.conditioning)

    def loss(self, predict: Predict, batch: MotionBatch) -> StepLoss:
        """Loss of each clip, ``[B]``."""
        prediction, target = self.predicted(predict, batch.flow)
        return StepLoss(motion_loss(prediction, target, batch.anchor, self.terms), batch.flow.sigma)


def motion_loss(prediction: Tensor, target: Tensor, anchor: Tensor, terms: MotionTerms) -> Tensor:
    """Loss of each clip ``[B]``, see ``MotionObjective``; both ``[B, C, T, h, w]``, anchor ``[B]``."""
    loss = (prediction - target).square().flatten(1).mean(1)
    if terms.debiased:
        loss = loss + terms.debiased * motion.debiased_loss(prediction, target, anchor, terms.beta)
    if terms.direction:
        loss = loss + terms.direction * motion.direction_loss(prediction, target)
    return loss


def default_config(classic: bool = False) -> TrainConfig:
    """The settings of a motion run that nobody chose: motion is decided at high noise. ``classic``: all levels alike.

    Source: FlexiAct, arXiv 2505.03730, for where motion is decided; the numbers are ours.
    """
    return TrainConfig() if classic else TrainConfig(density="high_noise", caption_dropout=0.1)

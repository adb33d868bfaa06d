"""One-shot motion training, first stage: the appearance of a clip. What is encoded is in ``recipe``."""

from __future__ import annotations

from ..core.batches import FlowBatch
from ..core.clip_objective import ClipObjective
from ..core.methods import APPEARANCE
from ..core.objective import Predict, StepLoss


class AppearanceObjective(ClipObjective):
    """The network's own objective on single frames, each a clip of one latent: appearance without motion.

    In a flow ``xt = (1 - s) x0 + s noise``, loss = mean (prediction - (noise - x0))^2. Every frame is an item of its
    own, so that all are seen equally often and in no order.

    Source: Set-and-Sequence, arXiv 2502.14844; the spatial path of MotionDirector, arXiv 2310.08465.
    """

    name = APPEARANCE

    def loss(self, predict: Predict, batch: FlowBatch) -> StepLoss:
        """Mean squared error of each frame, ``[B]``."""
        return StepLoss(self.errors(predict, batch), batch.sigma)

"""AICL training on the host's loaded model: a fresh adapter in its blocks, which alone gets gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ....methods.action_tokens import ActionTokens
from ....methods.aicl import AdapterSizes, build, new_adapter
from ....training.aicl.file import PRISM, tensors_of
from ....training.aicl.objective import AiclObjective
from ....training.aicl.reading import read_actions, split_reading
from ....training.core.batches import Conditioning
from ....training.core.config import TrainConfig
from ..aicl.apply import patch
from ..aicl.encode import Action
from ..aicl.evaluation import Applied
from ..aicl.sites import base_of
from ..layers.autograd import gradients, ordinary_weights
from ..layers.checkpointing import checkpointed_blocks
from ..layers.frozen_layers import recast_in_backward
from ..layers.in_place import kept_inputs
from ..layers.simulation import moved
from ..layers.small_parameters import small_parameters_on
from ..model.video_model import VideoModel
from ..services.keys import AICL_KEY
from .compiling import not_compiled
from .placement import ALL, Room, load_for_training
from .session import HostPredictor, Session, avoid_vanishing, static_clone
from .splitting import split_base

FLOATS = (f"{PRISM}mean", f"{PRISM}std")  # of latents; they stay exact whatever the file's type


@dataclass(frozen=True)
class _Held:
    """A module where the additions look for a patcher over one: training keeps it on the device itself."""

    model: Any


class LiveAdapter:
    """An adapter under training; fp32, cast by the host's layers to what the base computes in."""

    def __init__(self, sizes: AdapterSizes, seed: int, statistics: tuple[Tensor, Tensor]) -> None:
        """Make a fresh one, which adds nothing yet.

        Args:
            sizes: What it is made of.
            seed: Its weights are a function of it.
            statistics: mean and standard deviation of each channel of the references' latents.
        """
        import comfy.ops

        modules = build(sizes, comfy.ops.manual_cast)
        for module, fresh in zip(modules, new_adapter(sizes, seed), strict=True):
            module.load_state_dict(fresh.state_dict(), assign=True)
            module.requires_grad_(True)
        prism, integrations = modules
        prism.mean.copy_(statistics[0])
        prism.std.copy_(statistics[1])
        self.sizes = sizes
        self.prism, self.integrations = _Held(prism), _Held(integrations)
        self.names = [name for name, _ in self._parameters()]

    def parameters(self) -> list[Tensor]:
        """The trained tensors, those of the prism first."""
        return [parameter for _, parameter in self._parameters()]

    def tensors(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Copies on the CPU under the names of a file."""
        tensors = tensors_of(self.prism.model, self.integrations.model)
        return {name: value if name in FLOATS else value.to(dtype) for name, value in tensors.items()}

    def to(self, device: torch.device) -> LiveAdapter:
        """Move it, in place."""
        self.prism.model.to(device)
        self.integrations.model.to(device)
        return self

    def __len__(self) -> int:
        return len(self.names)

    def _parameters(self) -> list[tuple[str, nn.Parameter]]:
        parts = (("prism", self.prism.model), ("integrations", self.integrations.model))
        return [(f"{part}.{name}", value) for part, module in parts for name, value in module.named_parameters()]


class AiclPredictor(HostPredictor):
    """``predict(xt, sigma, conditioning)`` of the base with the adapter, each sample reading its own references."""

    def __init__(self, model: Any, adapter: LiveAdapter, kind: str) -> None:
        """Patch ``model``, a clone of the caller's own, of a ``Base.kind``, that is not loaded yet."""
        from comfy.patcher_extension import WrappersMP

        super().__init__(model)
        self.adapter = adapter
        empty = ActionTokens(torch.zeros(1, 1, adapter.sizes.prism.token_channels), torch.full((1, 1), 0.5))
        self.additions = patch(model, [self._applied(empty)], kind)
        # Only a sampler run would bring the clone's wrappers to the network.
        options = model.model_options.setdefault("transformer_options", {})
        options["wrappers"] = {WrappersMP.DIFFUSION_MODEL: {AICL_KEY: [self.additions.network]}}

    def predict_alike(self, xt: Tensor, sigma: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """As that of the base, whose output it is where no sample has references."""
        plain, readings = zip(*map(split_reading, conditioning), strict=True)
        applied = []
        if any(reading.references for reading in readings):
            applied = [self._applied(read_actions(self.adapter.prism.model, readings, xt.device))]
        self.additions.applied[:] = applied
        return super().predict_alike(xt, sigma, plain)

    def close(self) -> None:
        """Let go of the last batch's graph, and give the blocks of the shared network back."""
        self.additions.applied.clear()
        self.model.unpatch_model(unpatch_weights=False)

    def _applied(self, tokens: ActionTokens) -> Applied:
        adapter: Any = self.adapter
        return Applied(Action(adapter, tokens))


@contextmanager
def aicl_session(
    video: VideoModel, config: TrainConfig, objective: AiclObjective, room: Room = ALL
) -> Iterator[Session]:
    """Load the model through the host with a fresh adapter in it, leave inference mode; undo it at the end.

    The base's weights are neither copied nor changed, and get no gradients. Enter this before tensors are made that
    the run is to learn from.
    """
    clone = static_clone(video.model)
    with gradients():
        network = clone.model.diffusion_model
        adapter = LiveAdapter(objective.aicl.sizes, config.seed, objective.data.statistics())
        predict = AiclPredictor(clone, adapter, base_of(video).kind)
        loss_scale = avoid_vanishing(clone)
        placed = load_for_training(clone, room)
        moved(adapter, placed.device)
        try:
            with (
                ordinary_weights(clone.model),
                small_parameters_on(network, placed.device),
                recast_in_backward(network, clone.model.get_dtype_inference(), placed.device),
                kept_inputs(network, video.family.blocks, video.family.changes_tokens),
                checkpointed_blocks(network, video.family.blocks, config.checkpointing, config.kept_blocks) as again,
                split_base(clone, video.family.blocks, placed) as placed,
            ):
                blocks = not_compiled(config, "AICL changes what they compute while it trains")
                yield Session(predict, adapter, placed, loss_scale, blocks, again)
        finally:
            predict.close()

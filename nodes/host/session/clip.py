"""Training on an image network that sees clips: its output as a plain callable, and the state it must be in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ....methods.tune_a_video import PER_FRAME, TUNED_QUERIES
from ....training.core.batches import Conditioning, seeded_generator
from ....training.core.config import TrainConfig
from ....training.tune_a_video.layers import TunedLayers, new_queries
from ..layers.adapters import attached
from ..layers.autograd import gradients, ordinary_weights
from ..layers.checkpointing import checkpointed_blocks
from ..layers.frozen_layers import recast_in_backward
from ..layers.simulation import moved
from ..layers.small_parameters import small_parameters_on
from ..model.image_model import ImageModel
from ..model.noise import SAMPLING
from ..services.keys import TUNE_A_VIDEO_KEY
from ..tune_a_video.apply import new_layers
from ..tune_a_video.inflation import blocks_of, inflate
from .compiling import not_compiled
from .placement import ALL, Room, load_for_training
from .session import HostPredictor, Session, avoid_vanishing, static_clone
from .splitting import split_base


@dataclass(frozen=True)
class Form:
    """How a network is made to see clips while it is tuned, and what of it is trained."""

    rank: int = 0  # of the queries' change; 0: their whole weights
    group_norms: str = PER_FRAME
    sparse_causal: bool = True


class ClipPredictor(HostPredictor):
    """``predict(xt, sigma, conditioning)`` of an inflated network; the frames of a clip are its batch of images.

    Does what the host's ``apply_model`` does between scaling the input and making x0 of the output.
    """

    def __init__(self, model: Any) -> None:
        """Take a host MODEL that ``inflate`` gave."""
        self.model = model
        self.base = model.model
        self.sampling = model.get_model_object(SAMPLING)

    def predict_alike(self, xt: Tensor, sigma: Tensor, conditioning: Sequence[Conditioning]) -> Tensor:
        """Output ``[B, C, T, h, w]`` fp32; ``xt`` in the model's space, sigma ``[B]``."""
        clips, _, frames = xt.shape[:3]
        dtype = self.base.get_dtype_inference()
        conds = {
            name: value.repeat_interleave(frames, 0) if isinstance(value, Tensor) else value
            for name, value in self._conds(xt[:, :, 0], conditioning, dtype).items()
        }
        x = xt.transpose(1, 2).flatten(0, 1).to(dtype)  # B C T h w -> (B T) C h w
        timestep = self.sampling.timestep(sigma).float().repeat_interleave(frames)
        timestep = self.base.process_timestep(timestep, x=x, **conds)
        context = conds.pop("c_crossattn", None)
        # Each clip of the batch is a prompt of its own.
        options = self._options(sigma.repeat_interleave(frames)) | {"cond_or_uncond": [0] * clips}
        output = self._network(x, timestep, context, options, conds)
        return output.float().unflatten(0, (clips, frames)).transpose(1, 2)

    def _options(self, sigma: Tensor) -> dict[str, Any]:
        """With the wrappers of our own, which only a sampler's run would bring to the network."""
        from comfy.patcher_extension import WrappersMP

        kind = WrappersMP.DIFFUSION_MODEL
        return {
            **super()._options(sigma),
            "wrappers": {kind: {TUNE_A_VIDEO_KEY: self.model.get_wrappers(kind, TUNE_A_VIDEO_KEY)}},
        }


@contextmanager
def clip_session(image: ImageModel, config: TrainConfig, form: Form, room: Room = ALL) -> Iterator[Session]:
    """Load the model through the host as one that sees clips, with fresh layers to tune; undo it at the end.

    Weights are neither copied nor changed. Enter this before tensors are made that the run is to learn from.
    """
    clone = static_clone(image.model)
    with gradients():
        temporal = new_layers(clone, seeded_generator(config.seed, 0, "temporal").initial_seed())
        clone = inflate(clone, temporal, 1.0, form.group_norms, form.sparse_causal)
        clone.remove_additional_models(TUNE_A_VIDEO_KEY)  # the run keeps the layers where it needs them
        network, queries = clone.model.diffusion_model, query_layers(clone)
        loss_scale = avoid_vanishing(clone)
        placed = load_for_training(clone, room)
        changes: Any = new_queries(queries, form.rank, config.lora_alpha, config.seed)
        trained = moved(TunedLayers(temporal, changes), placed.device)
        with (
            attached(clone, queries, changes),
            ordinary_weights(clone.model),
            small_parameters_on(network, placed.device),
            recast_in_backward(network, clone.model.get_dtype_inference(), placed.device),
            checkpointed_blocks(network, image.family.blocks, config.checkpointing, config.kept_blocks) as again,
            split_base(clone, image.family.blocks, placed) as placed,
        ):
            blocks = not_compiled(config, "Tune-A-Video trains image networks, in whose blocks it puts layers")
            yield Session(ClipPredictor(clone), trained, placed, loss_scale, blocks, again)


def query_layers(model: Any) -> dict[str, nn.Linear]:
    """The query projections of a MODEL by their names in the bare network."""
    return {
        f"{name}.{query}": block.get_submodule(query)
        for name, block in blocks_of(model).items()
        for query in TUNED_QUERIES
    }

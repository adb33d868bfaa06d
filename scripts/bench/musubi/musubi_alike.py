"""Whether musubi-tuner's network and ours compute the same, with the same weights and the same LoRA in both."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import musubi_network
import torch
from parts.train_modes import CHANNELS, Work
from torch import Tensor, nn


def differences(work: Work, dim: int) -> dict[str, tuple[float, float]]:
    """Relative distances of outputs and of the LoRA's gradients, by what is different.

    Raises:
        SystemExit: the two have other trainable weights.
    """
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig

    with training_session(video_model(work.model()), TrainConfig(rank=work.rank)) as session:
        generator = torch.Generator().manual_seed(1)
        xt = torch.randn(1, CHANNELS, work.frames, work.size, work.size, generator=generator)
        text, sigma = work.data()[1][0], torch.rand(1, generator=generator)
        for weight in session.trained.parameters():
            weight.data.normal_(0.0, 0.05, generator=generator)  # a fresh adapter adds nothing
        adapters = session.trained.by_name
        output = session.predict(xt, sigma, [{"cross_attn": text}])
        ours = (output.detach(), _gradients(output, [p for a in adapters.values() for p in (a.lora_down, a.lora_up)]))
        with torch.inference_mode(False):
            made, trained = _same_lora(work, dim, adapters)
            found = {}
            for name, context in (("attention in fp32", musubi_network.full_attention()), ("as it is", nullcontext())):
                with context:
                    output = musubi_network.predict(made, False, False, xt, sigma, text[None])
                theirs = (output.detach(), _gradients(output, trained))
                found[name] = (_apart(theirs[0], ours[0]), _apart(theirs[1], ours[1]))
    return found


def _same_lora(work: Work, dim: int, adapters: Any) -> tuple[nn.Module, list[Tensor]]:
    made = musubi_network.network(work, dim, bf16=False)
    lora = musubi_network.add_lora(made, work.rank)
    by_name = {module.lora_name: module for module in lora.unet_loras}
    names = {name: f"lora_unet_{name.replace('.', '_')}" for name in adapters}
    if set(names.values()) != set(by_name):
        raise SystemExit(f"other layers are trained: ours {sorted(names.values())}, musubi's {sorted(by_name)}")
    trained = []
    for name, theirs in names.items():
        pair = by_name[theirs].lora_down.weight, by_name[theirs].lora_up.weight
        for weight, value in zip(pair, (adapters[name].lora_down, adapters[name].lora_up), strict=True):
            weight.data.copy_(value.detach())
            trained.append(weight)
    return made, trained


def _gradients(output: Tensor, parameters: list[Tensor]) -> Tensor:
    """Of the mean square, as one vector."""
    return torch.cat([grad.flatten() for grad in torch.autograd.grad(output.square().mean(), parameters)])


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())

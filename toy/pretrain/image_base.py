"""The toy image model: the host's Stable Diffusion UNet, small, and one training step of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..image_model import CHANNELS, HEADS, UNET

LEAST = 0.25  # sigma below which all levels weigh alike


def build_image_network() -> nn.Module:
    """A fresh host ``UNetModel`` that starts as its own input over its spread, which is the noise at high levels.

    Residual branches start at zero. An input channel goes in as the group (x, -x) of the last norm, reaches it
    through the outermost skip, and is read back as ``silu(v) - silu(-v) = v``.
    """
    import comfy.ops  # pyright: ignore[reportMissingImports]
    from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel  # pyright: ignore[reportMissingImports]

    network = UNetModel(**UNET, **HEADS, operations=comfy.ops.disable_weight_init, dtype=torch.float32, device="cpu")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:  # the only 1-D weights are those of norms
            nn.init.constant_(parameter, float(name.endswith("weight")))
        if name.endswith(("out_layers.3.weight", "proj_out.weight")):
            nn.init.zeros_(parameter)
    _start_as_copy(network)
    return network


def _start_as_copy(network: Any) -> None:
    first, last = network.input_blocks[0][0], network.out[2]
    bridge = network.output_blocks[-1][0].skip_connection
    width = last.in_channels
    first.weight.data[: 2 * CHANNELS] = 0.0
    last.weight.data.zero_()
    bridge.weight.data.zero_()
    index = torch.arange(width)
    bridge.weight.data[index, width + index] = 1.0  # the skip lies behind what comes from below
    for c in range(CHANNELS):
        for place, sign in ((2 * c, 1.0), (2 * c + 1, -1.0)):
            first.weight.data[place, c, 1, 1] = sign
            last.weight.data[c, place, 1, 1] = sign


def sampling_of_host() -> Any:
    """The host's noise schedule and prediction of the class: eps, scaled-linear betas, 1000 steps."""
    from comfy.model_base import ModelType, model_sampling  # pyright: ignore[reportMissingImports]
    from comfy.supported_models import SD15  # pyright: ignore[reportMissingImports]

    return model_sampling(SD15(dict(UNET)), ModelType.EPS)


def noise_error(
    network: nn.Module, sampling: Any, x0: Tensor, context: Tensor, timestep: Tensor, noise: Tensor
) -> Tensor:
    """Predicted less true noise for latents ``[B, 4, 16, 16]`` in the model's space at timesteps ``[B]``, 0 to 999."""
    sigma = sampling.sigmas[timestep]
    noised = sampling.noise_scaling(sigma, noise.clone(), x0)
    prediction = network(sampling.calculate_input(sigma, noised), timestep.float(), context)
    return prediction.float() - noise


def noise_loss(
    network: nn.Module, sampling: Any, x0: Tensor, context: Tensor, timestep: Tensor, noise: Tensor
) -> Tensor:
    """Mean square of the error ``[B]``, weighed with sigma.

    What is sampled is off by sigma times the error, so that a plain mean square of a noise prediction leaves the high
    levels alone, where place, shape and brightness are decided; its square would leave the low ones alone.
    """
    error = noise_error(network, sampling, x0, context, timestep, noise)
    weight = sampling.sigmas[timestep].clamp(min=LEAST)
    return weight * error.square().flatten(1).mean(1)

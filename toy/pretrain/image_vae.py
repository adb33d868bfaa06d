"""The VAE of the toy image model: the host's ``AutoencoderKL``, small, and where its training starts."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..image_model import CHANNELS, NOISE, SCALE, vae_parameters

_OFFSET = 4.0  # of a channel that outweighs the picture in its norm, in units of the picture


def build_image_vae() -> nn.Module:
    """A fresh host ``AutoencoderKL`` that starts as an average-pooling autoencoder of colours.

    Residual branches start at zero, down-sampling averages, up-sampling repeats. A colour goes in as (x, -x, K), one
    group of the norm at the end of either half: there it is divided by a spread that K decides, so that brightness
    stays. The first latent channels are the colours; the last one starts as a random filter.
    """
    from comfy.ldm.models.autoencoder import AutoencoderKL  # pyright: ignore[reportMissingImports]

    network = AutoencoderKL(**vae_parameters())
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            nn.init.constant_(parameter, float("norm" in name and name.endswith("weight")))
    for half in (network.encoder, network.decoder):
        for module in half.modules():
            _start_module(module)
        _start_ends(half.conv_in, half.norm_out, half.conv_out)
    for level in network.encoder.down:
        if hasattr(level, "downsample"):
            _start_pooling(level.downsample.conv.weight)
    for level in network.decoder.up:
        if hasattr(level, "upsample"):
            _start_identity(level.upsample.conv.weight)
    _start_posterior(network)
    return network


def _start_module(module: nn.Module) -> None:
    """A residual block or an attention that adds nothing yet; a widening one passes its channels on."""
    if hasattr(module, "conv2"):
        nn.init.zeros_(module.conv2.weight)
        if hasattr(module, "nin_shortcut"):
            _start_identity(module.nin_shortcut.weight)
    if hasattr(module, "proj_out"):
        nn.init.zeros_(module.proj_out.weight)


def _start_identity(weight: Tensor) -> None:
    """Output channel c is input channel c; further outputs stay random, and small."""
    n, centre = min(weight.shape[:2]), weight.shape[-1] // 2
    weight.data[:n] = 0.0
    index = torch.arange(n)
    weight.data[index, index, centre, centre] = 1.0


def _start_pooling(weight: Tensor) -> None:
    """Output channel c is input channel c, averaged over 2 x 2 pixels."""
    weight.data.zero_()
    index = torch.arange(weight.shape[0])
    weight.data[index, index, :2, :2] = 0.25


def _start_ends(first: nn.Conv2d, norm: nn.Module, last: nn.Conv2d) -> None:
    """Colour c enters as the group (x, -x, K) of the norm and is read back from it.

    The group's mean is K / 3 and its spread about sqrt(2) K / 3; with that mean put back,
    ``silu(v) - silu(-v) = v`` is the colour divided by the spread.
    """
    colours = 3
    first.weight.data[: 3 * colours] = 0.0
    last.weight.data[:colours] = 0.0
    for c in range(colours):
        for place, sign in ((3 * c, 1.0), (3 * c + 1, -1.0)):
            first.weight.data[place, c, 1, 1] = sign
            norm.bias.data[place] = math.sqrt(0.5)
            last.weight.data[c, place, 1, 1] = sign * _OFFSET * math.sqrt(2.0) / 3.0
        first.bias.data[3 * c + 2] = _OFFSET


def _start_posterior(network: nn.Module) -> None:
    """Means pass through; the posterior has one small variance everywhere."""
    out, back = network.quant_conv, network.post_quant_conv
    out.weight.data.zero_()
    out.bias.data.zero_()
    for c in range(CHANNELS):
        out.weight.data[c, c] = 1.0
    out.bias.data[CHANNELS:] = 2 * math.log(NOISE)
    back.bias.data.zero_()
    back.weight.data.copy_(torch.eye(CHANNELS)[:, :, None, None])


def fold_scale(network: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Move the latents' statistics into the two 1 x 1 convolutions next to them, exactly.

    The host multiplies what the VAE gives by ``SCALE``; after this its result has mean 0 and std 1 in every channel
    over the toy world.

    Args:
        network: the trained VAE, changed in place.
        mean: of the raw latents over the world, ``[4]``.
        std: likewise.
    """
    gain = 1.0 / (SCALE * std)
    out, back = network.quant_conv, network.post_quant_conv
    with torch.no_grad():
        out.weight[:CHANNELS] *= gain.view(-1, 1, 1, 1)
        out.bias[:CHANNELS] = (out.bias[:CHANNELS] - mean) * gain
        out.bias[CHANNELS:] += 2 * gain.log()
        back.bias += back.weight[:, :, 0, 0] @ mean
        back.weight /= gain.view(1, -1, 1, 1)


def load_image_vae(path: Path) -> nn.Module:
    """The finished VAE from its file, in float32."""
    network = build_image_vae()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.requires_grad_(False).eval()

"""The toy VAE: the host's Wan 2.1 VAE at width 8, and how it is trained.

The host encodes and decodes a clip in cached chunks; training needs one differentiable pass, so
``encode_clip`` and ``decode_clip`` walk the same modules over the whole clip at once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..world import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT_MOTIONS,
    LOOKS,
    MOTIONS,
    SHAPES,
    SIZE,
    Scene,
    render,
    signed_distance,
    varied,
)

WIDTH = 8  # channels of the first layer; 0.92 M parameters
CHANNELS = 16  # latent channels


def build_vae() -> nn.Module:
    """A fresh host ``WanVAE`` of width 8 that starts as an average-pooling autoencoder.

    Residual branches start at zero, down-sampling averages, up-sampling repeats, and a constant
    channel keeps the norms from erasing brightness; a plain random start needs about ten times as
    many steps to the same error.
    """
    from comfy.ldm.wan.vae import Resample, ResidualBlock, WanVAE  # pyright: ignore[reportMissingImports]

    network = WanVAE(dim=WIDTH, z_dim=CHANNELS, temperal_downsample=[False, True, True])
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
            nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.residual[-1].weight)
            if not isinstance(module.shortcut, nn.Identity):
                _start_as_identity(module.shortcut.weight, (0, 0, 0))
        if isinstance(module, Resample):
            _start_resample(module)
    for half in (network.encoder, network.decoder):
        nn.init.zeros_(half.middle[1].proj.weight)
    _start_as_identity(network.encoder.conv1.weight, (2, 1, 1))
    network.encoder.conv1.bias.data[3] = 2.0
    return network


def _start_as_identity(weight: Tensor, tap: tuple[int, ...], value: float = 1.0) -> None:
    """Let output channel c start as ``value`` times input channel c at one tap of the kernel."""
    n = min(weight.shape[0], weight.shape[1])
    weight.data[:n] = 0.0
    index = torch.arange(n)
    weight.data[(index, index, *tap)] = value


def _start_resample(module: nn.Module) -> None:
    """Let a ``Resample`` start as 2 x 2 averaging or as nearest repetition, in space and time."""
    conv = module.resample[1]
    if module.mode.startswith("down"):
        conv.weight.data.zero_()
        index = torch.arange(conv.weight.shape[0])
        conv.weight.data[index, index, :2, :2] = 0.25
        if module.mode == "downsample3d":
            module.time_conv.weight.data.zero_()
            module.time_conv.weight.data[index, index, 1:, 0, 0] = 0.5
    else:
        _start_as_identity(conv.weight, (1, 1))
        if module.mode == "upsample3d":
            half = module.time_conv.weight.shape[1]
            for part in (slice(0, half), slice(half, None)):
                _start_as_identity(module.time_conv.weight[part], (2, 0, 0))


def _spatial(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a 2-D layer to every frame of ``[B, C, T, H, W]``."""
    b, _, t = x.shape[:3]
    y = layer(x.transpose(1, 2).flatten(0, 1))
    return y.unflatten(0, (b, t)).transpose(1, 2)


def _walk(layers: nn.Module, x: Tensor) -> Tensor:
    from comfy.ldm.wan.vae import Resample  # pyright: ignore[reportMissingImports]

    for layer in layers:
        if not isinstance(layer, Resample):
            x = layer(x)
        elif layer.mode == "downsample3d":
            x = _spatial(layer.resample, x)
            x = torch.cat([x[:, :, :1], layer.time_conv(x)], dim=2) if x.shape[2] > 1 else x
        elif layer.mode == "upsample3d":
            if x.shape[2] > 1:
                pair = layer.time_conv(x[:, :, 1:]).unflatten(1, (2, -1))  # B 2 C T H W
                later = pair.permute(0, 2, 3, 1, 4, 5).flatten(2, 3)
                x = torch.cat([x[:, :, :1], later], dim=2)
            x = _spatial(layer.resample, x)
        else:
            x = _spatial(layer.resample, x)
    return x


def encode_clip(network: nn.Module, video: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance ``[B, 16, (T+3)/4, H/8, W/8]`` of clips ``[B, 3, T, H, W]`` in [-1, 1]."""
    encoder = network.encoder
    x = _walk(encoder.downsamples, encoder.conv1(video))
    x = encoder.head(_walk(encoder.middle, x))
    return network.conv1(x).chunk(2, dim=1)


def decode_clip(network: nn.Module, latents: Tensor) -> Tensor:
    """Clips ``[B, 3, 4T-3, 8H, 8W]`` in about [-1, 1] of latents ``[B, 16, T, H, W]``."""
    decoder = network.decoder
    x = _walk(decoder.middle, decoder.conv1(network.conv2(latents)))
    return decoder.head(_walk(decoder.upsamples, x))


def sample_clip(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A clip for the VAE, float32 ``[T, H, W, 3]``: wider than the world, so that tasks fit in it.

    Half are scenes of the world, held-out motions and looks included; in the others one or two
    shapes of any size, path and colour, filled or outlined, on any paper; a third of those stands still.
    """
    if rng.random() < 0.5:
        return sample_world(rng, frames)
    time = np.arange(frames)[:, None]
    grid = np.arange(SIZE) + 0.5
    paper = _colour(rng, BACKGROUNDS, 0.65)
    image = np.broadcast_to(paper, (frames, SIZE, SIZE, 3)).astype(np.float32)
    still = rng.random() < 0.33
    for _ in range(1 + (rng.random() < 0.25)):
        start, speed = rng.uniform(6, SIZE - 6, 2), rng.normal(0, 0 if still else 0.9, 2)
        swing, period, phase = rng.uniform(0, 0 if still else 8, 2), rng.uniform(14, 50), rng.uniform(0, 6.3, 2)
        centre = start + speed * (time - frames / 2) + swing * np.sin(6.283 * time / period + phase)
        radius = rng.uniform(6.0, 15.5) * (1 + (0 if still else rng.normal(0, 0.01)) * time)
        dx, dy = grid[None, None, :] - centre[:, 0, None, None], grid[None, :, None] - centre[:, 1, None, None]
        shape = SHAPES[rng.integers(len(SHAPES))]
        distance = signed_distance(shape, *np.broadcast_arrays(dx, dy), np.clip(radius, 4, 17)[:, :, None])
        if rng.random() < 0.2:
            distance = np.abs(distance + 1.2) - 1.2
        cover = np.clip(0.5 - distance, 0, 1)[..., None]
        image = image + (_colour(rng, COLOURS, 0.75) - image) * cover
    return image.astype(np.float32)


def sample_world(rng: np.random.Generator, frames: int, shown: bool = False) -> np.ndarray:
    """Some frames in a row of a scene of the world; ``shown`` keeps to what pre-training shows."""
    motions = MOTIONS if shown else MOTIONS + HELD_OUT_MOTIONS
    look = LOOKS[int(not shown and rng.random() < 0.15)]
    parts = (str(names[rng.integers(len(names))]) for names in (SHAPES, list(COLOURS), list(BACKGROUNDS), motions))
    scene = varied(Scene(*parts, look=look), rng)
    start = int(rng.integers(0, 49 - frames + 1))
    return render(scene, start + frames)[start:]


def _colour(rng: np.random.Generator, palette: dict[str, tuple[int, int, int]], share: float) -> np.ndarray:
    """A palette colour with probability ``share``, else any colour; float in [0, 1]."""
    if rng.random() < share:
        return np.array(list(palette.values())[rng.integers(len(palette))]) / 255.0
    return rng.random(3)


def fold_statistics(network: nn.Module, mean: Tensor, std: Tensor) -> None:
    """Move the latents' statistics into the two 1 x 1 convolutions next to them, exactly.

    The host maps what the VAE gives through Wan 2.1's own mean and std; after this its result has
    mean 0 and std 1 in every channel over the toy world.

    Args:
        network: the trained VAE, changed in place.
        mean: of the raw latents over the world, ``[16]``.
        std: likewise.
    """
    from comfy.latent_formats import Wan21  # pyright: ignore[reportMissingImports]

    wan = Wan21()
    wan_mean, wan_std = wan.latents_mean.flatten(), wan.latents_std.flatten()
    gain = wan_std / std
    with torch.no_grad():
        out, back = network.conv1, network.conv2
        out.weight[:CHANNELS] *= gain.view(-1, 1, 1, 1, 1)
        out.bias[:CHANNELS] = (out.bias[:CHANNELS] - mean) * gain + wan_mean
        back.bias += back.weight[:, :, 0, 0, 0] @ (mean - wan_mean / gain)
        back.weight /= gain.view(1, -1, 1, 1, 1)


def load_vae(path: Path) -> nn.Module:
    """The finished toy VAE from its file, in float32."""
    network = build_vae()
    network.load_state_dict({name: tensor.float() for name, tensor in load_file(path).items()})
    return network.requires_grad_(False).eval()

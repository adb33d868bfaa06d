"""Sampling a tiny network in the host, and hearing what the network is shown; Wan 2.1 where none is named."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tiny_wan
import torch
from torch import Tensor

SIZE = 4  # latent pixels
Network = Callable[[Tensor, Tensor], Tensor]  # xt [B, C, F, h, w], sigma [B] -> velocity


@cache
def tiny_model(seed: int = 0) -> Any:
    """A host MODEL that all tests share; tests put what they need on clones."""
    return fresh_model(seed)


atexit.register(tiny_model.cache_clear)  # while the host can still unload it


def fresh_model(seed: int = 0) -> Any:
    """Another host MODEL of the same weights, loaded on its own."""
    with TemporaryDirectory() as folder:
        return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(Path(folder) / "wan.safetensors", seed))


def conditioning(seed: int = 0) -> list[Any]:
    """A CONDITIONING of five random tokens."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(1, 5, 32, generator=generator), {"pooled_output": None}]]


POSITIVE, NEGATIVE = conditioning(1), conditioning(2)


@dataclass
class Scene:
    """What a test samples: a layout's clean latents, the LATENT to start from, and noise."""

    x0: Tensor  # [1, C, L + B, h, w], VAE space
    latent: Tensor  # [B, C, F, h, w]
    noise: Tensor  # as latent
    model: Any = None  # whose latents these are; None: the tiny model
    prompts: tuple[Any, Any] = (POSITIVE, NEGATIVE)
    clean: Tensor = field(init=False)  # x0 in model space

    def __post_init__(self) -> None:
        self.model = tiny_model() if self.model is None else self.model
        self.clean = self.model.model.process_latent_in(self.x0.clone())


def scene(layout: Any, batch: int = 1, seed: int = 0, model: Any = None, **more: Any) -> Scene:
    """Random condition latents with the model's zero behind them, and seeded noise."""
    base = tiny_model() if model is None else model
    channels = base.model.latent_format.latent_channels
    generator = torch.Generator().manual_seed(seed)
    x0 = torch.randn(1, channels, layout.prefix, SIZE, SIZE, generator=generator) * 1.5
    shape = (batch, channels, layout.frames, SIZE, SIZE)
    latent = base.model.process_latent_out(torch.zeros(shape)) if layout.prefix else torch.zeros(shape)
    latent[:, :, : layout.prefix] = x0
    return Scene(x0, latent, torch.randn(shape, generator=generator), base, **more)


def sample(model: Any, start: Scene, sampler: str = "euler", scheduler: str = "simple", **options: Any) -> Tensor:
    """``comfy.sample.sample`` as KSampler calls it, in inference mode as the executor runs nodes."""
    import comfy.sample

    options = {"steps": 4, "cfg": 1.0, "seed": 3, "disable_pbar": True, **options}
    steps, cfg = options.pop("steps"), options.pop("cfg")
    with torch.inference_mode():
        return comfy.sample.sample(
            model, start.noise.clone(), steps, cfg, sampler, scheduler, *start.prompts,
            start.latent.clone(), **options,
        )  # fmt: skip


@dataclass
class Call:
    """One evaluation: what the network was given and what it answered."""

    x: Tensor
    sigma: float
    timestep: Tensor
    velocity: Tensor
    kinds: list[int]  # 0 for a positive and 1 for a negative prompt, each standing for one part of the batch


def record(model: Any, network: Network | None = None) -> tuple[Any, list[Call]]:
    """A clone of ``model`` whose evaluations are listed; ``network`` answers in place of the real one."""
    from comfy.patcher_extension import WrappersMP

    calls: list[Call] = []
    channels = model.model.latent_format.latent_channels

    def listen(executor: Any, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        options = kwargs.get("transformer_options") or next(a for a in args if isinstance(a, dict))
        sigma = options["sigmas"]
        shown = x[0] if isinstance(x, list) else x[:, :channels]  # without the known frames of image-to-video
        velocity = executor(x, timestep, *args, **kwargs) if network is None else network(shown, sigma)
        kinds = list(options["cond_or_uncond"])
        calls.append(Call(shown.clone(), float(sigma[0]), timestep.clone(), velocity.clone(), kinds))
        return velocity

    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "recorder", listen)
    return clone, calls


def curved(x: Tensor, sigma: Tensor) -> Tensor:
    """An analytic velocity that depends on the level and on all frames together."""
    s = sigma.view(-1, 1, 1, 1, 1)
    return torch.sin(2.0 * x + s) + 0.3 * x.mean(2, keepdim=True) + 0.5 * x


def on_line(clean: Tensor, noise: Tensor, frame: int, level: float) -> Tensor:
    """Frame ``frame`` at a level: ``(1 - s) x0 + s noise`` in float32, ``[B, C, h, w]``."""
    s = torch.tensor(level, dtype=torch.float32)
    return (1.0 - s) * clean[:, :, frame] + s * noise[:, :, frame]


def with_shift(model: Any, shift: float | None) -> Any:
    """The model behind the host's own shift node; None leaves the model's default."""
    if shift is None:
        return model
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    return ModelSamplingSD3().patch(model, shift)[0]


def schedule(model: Any, scheduler: str, steps: int) -> Tensor:
    """The host's sigmas for a model."""
    import comfy.samplers

    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)

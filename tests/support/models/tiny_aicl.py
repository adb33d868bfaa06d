"""Small AICL adapters for every base of the tests, trained by nobody but with something to add."""

from __future__ import annotations

import atexit
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import tiny_families
import tiny_svd
import torch
from torch import Tensor

from pack.methods import aicl
from pack.methods.action_prism import PrismSizes
from pack.methods.action_tokens import ActionTokens
from pack.training.aicl.file import INTEGRATIONS, AiclAdapter, tensors_of

TEXT_DIM, TOKENS = 32, 5
PRISM = PrismSizes(channels=16, text=TEXT_DIM, width=16, heads=2, layers=1, queries=2, token=12, grid=2)
CLOSE = {"atol": 2e-4, "rtol": 2e-4}  # of sampled latents: sums in another order, over several steps
NEW = ("LTXV", "LTX-2", "LTX-2.3", "HunyuanVideo", "HunyuanVideo 1.5", "Kandinsky 5")
KINDS = ("Wan 2.1", "CogVideoX 5B", "SVD", "LTX-2.3", "HunyuanVideo", "Kandinsky 5")  # one of each way into the blocks
BASES = ("Wan 2.1", "Wan 2.2 5B", "CogVideoX 5B", "CogVideoX 2B", "CogVideoX 1.5", "SVD", *NEW)


def model_of(name: str) -> Any:
    """The shared host MODEL of a base."""
    return tiny_svd.tiny_svd() if name == "SVD" else tiny_families.model_of(name)


def conditioning_of(name: str, seed: int) -> list[Any]:
    """A CONDITIONING for a base."""
    if name == "SVD":
        return tiny_svd.conditioning(seed)
    return family_of(name).conditioning(seed)


def family_of(name: str) -> tiny_families.Tiny:
    """The small network of a base that is a family of the pack's."""
    (tiny,) = (tiny for tiny in tiny_families.ALL if tiny.name == name)
    return tiny


def text_dim(name: str) -> int:
    """Channels of a base's text tokens."""
    return TEXT_DIM if name == "SVD" else family_of(name).text_dim


def channels_of(name: str) -> int:
    """Channels of a base's latents."""
    return model_of(name).model.latent_format.latent_channels


def latent_shape(name: str, batch: int = 1, frames: int = 3, size: int = 4) -> tuple[int, ...]:
    """Shape of a clip's latents as a sampler takes them; SVD's frames lie in the batch."""
    if name == "SVD":
        return (frames, 4, size, size)
    return (batch, channels_of(name), frames, size, size)


def random_adapter(name: str, seed: int = 0, trained: bool = True, **changes: Any) -> AiclAdapter:
    """An adapter for a base as a file holds it; a trained one adds as much as it gets."""
    from pack.nodes.host.aicl.sites import base_of
    from pack.nodes.host.model.noise import loaded_model

    base = base_of(loaded_model(model_of(name)))
    sizes = aicl.AdapterSizes(
        replace(PRISM, channels=channels_of(name), text=text_dim(name), **changes), base.blocks, inner=8
    )
    tensors = tensors_of(*aicl.new_adapter(sizes, seed))
    generator = torch.Generator().manual_seed(seed + 1)
    for key in tensors if trained else ():
        if key.startswith(INTEGRATIONS) and "to_out" in key:
            tensors[key] = torch.randn(tensors[key].shape, generator=generator)
    return AiclAdapter(sizes, tensors, base.family, {"base_model": str(base), "training_data": "nothing"})


@cache
def host_adapter(name: str, seed: int = 0, trained: bool = True) -> Any:
    """The adapter in the host, shared by all tests."""
    from pack.nodes.host.aicl.adapter import HostAdapter

    return HostAdapter(random_adapter(name, seed, trained), "the test's adapter")


atexit.register(host_adapter.cache_clear)  # while the host can still unload them


def reference(name: str, seed: int = 0, frames: int = 3, size: int = 4) -> tuple[Tensor, Tensor]:
    """Latents ``[1, C, T, h, w]`` and caption tokens of a reference."""
    generator = torch.Generator().manual_seed(100 + seed)
    latents = torch.randn(1, channels_of(name), frames, size, size, generator=generator)
    return latents, torch.randn(1, TOKENS, text_dim(name), generator=generator)


def action_of(name: str, seeds: tuple[int, ...] = (0,), adapter: Any = None, frames: int = 3, size: int = 4) -> Any:
    """An AICL_ACTION of one reference a seed."""
    from pack.methods.action_tokens import joined
    from pack.nodes.host.aicl.encode import Action, run_prism

    adapter = adapter or host_adapter(name)
    tokens: list[ActionTokens] = [run_prism(adapter, *reference(name, seed, frames, size)) for seed in seeds]
    return Action(adapter, joined(tokens))


@dataclass(frozen=True)
class Start:
    """Where a sampler run starts."""

    noise: Any  # a tensor, or a nested one of video and sound
    latent: Any


def start(name: str, seed: int = 0, **shape: int) -> Start:
    """Seeded noise over an empty latent."""
    noise = torch.randn(latent_shape(name, **shape), generator=torch.Generator().manual_seed(seed))
    return Start(noise, torch.zeros_like(noise))


def sample(model: Any, name: str, begin: Start, steps: int = 3, cfg: float = 1.0, **options: Any) -> Tensor:
    """``comfy.sample.sample`` as KSampler calls it, in inference mode as the executor runs nodes."""
    import comfy.sample

    sampler, scheduler = options.pop("sampler", "euler"), options.pop("scheduler", "simple")
    prompts = options.pop("prompts", (conditioning_of(name, 1), conditioning_of(name, 2)))
    with torch.inference_mode():
        return comfy.sample.sample(
            model, copied(begin.noise), steps, cfg, sampler, scheduler, *prompts, copied(begin.latent), seed=3,
            disable_pbar=True, **options,
        )  # fmt: skip


def copied(latents: Any) -> Any:
    """The same in memory of its own."""
    return (
        latents.clone() if isinstance(latents, Tensor) else type(latents)([part.clone() for part in latents.unbind()])
    )


def plain(name: str, begin: Any, **options: Any) -> Tensor:
    """What the base gives; CogVideoX with the sampling that every node of ours gives it."""
    from pack.nodes.host.model.noise import repaired

    return sample(repaired(model_of(name)), name, begin, **options)


def acted(name: str, begin: Any, *more: Any, action: Any = None, **options: Any) -> Tensor:
    """What is sampled with an action; ``more`` are strength, start, end and guidance."""
    from pack.nodes.host.aicl.apply import apply_action

    model = apply_action(model_of(name), action or action_of(name), *(more or (1.0,)))
    return sample(model, name, begin, **options)


def differs(first: Tensor, second: Tensor) -> bool:
    """Whether two results are apart by more than a hundredth."""
    return bool((first - second).abs().max() > 1e-2 * second.abs().max())

"""Inversion through the host's guider, so that every patch on the MODEL acts as it does in sampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ....methods.inversion import DDIM, FIXED_POINT, Inverter, blended
from ..model.noise import SAMPLING, loaded_model
from ..services.progress import throw_if_cancelled
from .inversion_inputs import AUTOMATIC, InversionSettings, check_family, checked, seen_frames


def samplers() -> list[str]:
    """The host's samplers."""
    from comfy.samplers import SAMPLER_NAMES

    return list(SAMPLER_NAMES)


def schedulers() -> list[str]:
    """The host's schedules."""
    from comfy.samplers import SCHEDULER_NAMES

    return list(SCHEDULER_NAMES)


def invert(
    model: Any, positive: Any, latent: dict[str, Any], settings: InversionSettings, negative: Any = None
) -> tuple[dict[str, Any], InvertedNoise]:
    """The LATENT for samplers with added noise off, and the NOISE for those that add it to an empty latent.

    For flow models the LATENT is that empty one: at sigma 1 a sampler takes nothing of it.

    Raises:
        ValueError: there is nothing to invert, or guidance without a negative prompt.
    """
    from comfy.samplers import CFGGuider, calculate_sigmas

    settings = settings.resolved()
    latent = seen_frames(model, latent, settings)
    samples = checked(latent)
    loaded = loaded_model(model)
    model = loaded.model
    check_family(loaded, samples, positive, negative)
    if settings.cfg != 1.0 and negative is None:
        raise ValueError(
            f"inversion with a cfg of {settings.cfg:g} needs a negative prompt; connect it, or set cfg to 1"
        )
    guider = CFGGuider(model)
    guider.inner_set_conds({"positive": positive} if negative is None else {"positive": positive, "negative": negative})
    guider.set_cfg(settings.cfg)
    sampling = model.get_model_object(SAMPLING)
    sigmas = calculate_sigmas(sampling, settings.scheduler, settings.steps)
    sampler = InversionSampler(sampling, settings, fresh_noise(latent, settings))
    out = guider.sample(
        torch.zeros_like(samples),
        samples,
        sampler,
        sigmas,
        callback=progress(model, settings.steps),
        seed=settings.seed,
    )
    noise = InvertedNoise(sampler.noise.cpu(), settings.seed)
    out = torch.zeros_like(samples) if sampler.flow else out.to(samples.device)
    return {**latent, "samples": out}, noise


def fresh_noise(latent: dict[str, Any], settings: InversionSettings) -> Any:
    """The host's noise for a seed; None where none is asked for."""
    from comfy.sample import prepare_noise

    return (
        None if settings.inverted == 1.0 else prepare_noise(latent["samples"], settings.seed, latent.get("batch_index"))
    )


def progress(model: Any, steps: int) -> Callable[..., None]:
    """The host's bar with its preview."""
    from latent_preview import prepare_callback

    return prepare_callback(model, steps)


class InversionSampler:
    """What the host takes for a sampler: it walks the schedule from its end to its start.

    It is not a k-sampler, whose result the host divides by ``1 - sigma`` in flow models.
    """

    def __init__(self, sampling: Any, settings: InversionSettings, fresh: Tensor | None) -> None:
        from comfy.model_sampling import CONST

        self.sampling, self.settings, self.fresh = sampling, settings, fresh
        self.flow = isinstance(sampling, CONST)
        method = settings.method
        if method == AUTOMATIC:
            method = FIXED_POINT if self.flow else DDIM
        self.inverter = Inverter(method, self.flow, settings.iterations, lowest=float(sampling.sigma_min))
        self.noise = torch.empty(0)  # of the last run, standard normal

    def sample(
        self,
        guider: Any,
        sigmas: Tensor,
        extra_args: dict[str, Any],
        callback: Callable[..., None] | None,
        noise: Tensor,  # noqa: ARG002 - as the host calls it
        latent_image: Tensor,
        denoise_mask: Tensor | None = None,  # noqa: ARG002
        disable_pbar: bool = False,  # noqa: ARG002
    ) -> Tensor:
        """The state at the first of ``sigmas``, which fall to the level of ``latent_image``."""
        levels = sigmas.flip(0).tolist()
        clean = latent_image
        if self.settings.published:  # their clean latents stand for the level of timestep 0
            levels[0] = float(self.sampling.sigma_min)
            latent_image = latent_image * math.hypot(1.0, levels[0])

        def denoise(x: Tensor, sigma: float) -> Tensor:
            nonlocal clean
            throw_if_cancelled()
            clean = guider(x, x.new_full((x.shape[0],), sigma), **extra_args)
            return clean

        def on_step(step: int, x: Tensor) -> None:
            if callback is not None:
                callback(step, clean, x, len(levels) - 1)

        x = self.inverter.run(denoise, latent_image, levels, on_step)
        scale = self._noise_scale(sigmas[0])
        self.noise = x / scale
        if self.fresh is None:
            return x
        self.noise = blended(self.noise, self.fresh.to(x), self.settings.inverted)
        return self.noise * scale

    def _noise_scale(self, sigma: Tensor) -> Tensor:
        """What the host multiplies noise with when a sampler starts at ``sigma``."""
        top = float(self.sampling.sigma_max)
        full = float(sigma) > top * (1 - 1e-5)  # as the host's ``max_denoise``
        return self.sampling.noise_scaling(sigma, torch.ones_like(sigma), torch.zeros_like(sigma), full)


@dataclass(frozen=True)
class InvertedNoise:
    """A host NOISE that is always the same."""

    samples: Tensor  # in the model's space, standard normal
    seed: int

    def generate_noise(self, latent: dict[str, Any]) -> Tensor:
        """The noise for a LATENT.

        Raises:
            ValueError: it has another shape, or is not empty.
        """
        wanted = latent["samples"]
        if list(wanted.shape) != list(self.samples.shape):
            raise ValueError(
                f"the inverted noise is of shape {list(self.samples.shape)}, the latent of {list(wanted.shape)}; "
                "connect an empty latent of the source's size"
            )
        if torch.count_nonzero(wanted):
            raise ValueError(
                "the inverted noise holds all of the source, and the latent is not empty; connect an empty latent, or "
                "the inverted latent to a sampler with added noise off"
            )
        return self.samples.clone()

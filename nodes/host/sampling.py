"""TIC-FT inside the host's sampling: any stock sampler, the base model untouched.

Two wrappers do it. OUTER_SAMPLE puts the buffer levels into the schedule and runs the sampler piece by
piece between releases; PREDICT_NOISE shows the network every held frame at its own level and answers
with its clean latents. Nothing relies on the host's noise mask, so a mask of the user's still works.
"""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...methods import flow, tic_ft

log = logging.getLogger(__name__)
KEY = "fewshot_tic_ft"
RESEED = 7919  # apart from one another, so that no piece repeats the noise of the one before


class Context:
    """A layout and its clean latents, put on a MODEL; shared by any number of sampler runs.

    Args:
        layout: the frame counts and levels.
        x0: clean latents of the first L + B frames, as the VAE gave them, ``[B, C, L + B, H, W]``.
        per_frame_timesteps: tell the network every frame's own level instead of the global one.
    """

    def __init__(self, layout: tic_ft.Layout, x0: Tensor, per_frame_timesteps: bool = False) -> None:
        self.layout = layout
        self.x0 = x0
        self.per_frame_timesteps = per_frame_timesteps
        self.run: Run | None = None  # the sampler run under way; runs may nest

    def put_on(self, model: Any) -> Any:
        """A clone of ``model`` that samples with this context, in place of any earlier one."""
        from comfy.patcher_extension import WrappersMP

        clone = model.clone()
        wrappers = {WrappersMP.OUTER_SAMPLE: self._outer_sample, WrappersMP.PREDICT_NOISE: self._predict_noise}
        if self.per_frame_timesteps:
            wrappers[WrappersMP.DIFFUSION_MODEL] = self._diffusion_model
        for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.PREDICT_NOISE, WrappersMP.DIFFUSION_MODEL):
            clone.remove_wrappers_with_key(kind, KEY)
        for kind, wrapper in wrappers.items():
            clone.add_wrapper_with_key(kind, KEY, wrapper)
        return clone

    def _outer_sample(
        self, executor: Any, noise: Tensor, latent_image: Tensor, sampler: Any, sigmas: Tensor, *args: Any, **kwargs: Any
    ) -> Tensor:
        check_latent(latent_image, self.layout, self.x0)
        earlier, self.run = self.run, Run(self, executor.class_obj.model_patcher.model)
        try:
            points = tic_ft.insert_levels(sigmas, self.layout)
            output = executor(noise, latent_image, self.run.pieces_of(sampler), points, *args, **kwargs)
        finally:
            self.run = earlier
        clean = self.x0[:, :, : self.layout.condition].to(output)
        output[:, :, : self.layout.condition] = expand(clean, output)
        return output

    def _predict_noise(self, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        run = self.run
        if run is None or self.layout.prefix == 0:
            return executor(x, timestep, *args, **kwargs)
        sigma = float(timestep.flatten()[0])
        held = run.held(sigma).to(x.device)
        shown = run.show(x, sigma, held)
        denoised = executor(shown, timestep, *args, **kwargs)
        return run.replace(denoised, run.clean(denoised), held)

    def _diffusion_model(self, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        options = kwargs.get("transformer_options") or next((a for a in args if isinstance(a, dict)), {})
        sigma = options.get("sigmas")
        if self.run is None or sigma is None:
            return executor(x, timestep, *args, **kwargs)
        levels = tic_ft.frame_sigmas(self.layout, sigma[:1].float())
        timesteps = self.run.model.model_sampling.timestep(levels).to(timestep)
        return executor(x, timesteps.expand(x.shape[0], -1), *args, **kwargs)


class Run:
    """One sampler run: its clean latents in model space, and the noise of its held frames."""

    def __init__(self, context: Context, model: Any) -> None:
        self.layout = context.layout
        self.model = model
        # A clean copy of the same latents for the space the network works in; exact zeros stay as they are.
        self.x0 = model.process_latent_in(context.x0.clone()) if context.layout.prefix else context.x0
        self.noise: Tensor | None = None

    def held(self, sigma: float) -> Tensor:
        """Which prefix frames are held at ``sigma``, bool ``[L + B]``."""
        return tic_ft.held_frames(self.layout, sigma)

    def clean(self, like: Tensor) -> Tensor:
        """Clean prefix latents in model space, as many and of the kind of ``like``."""
        return expand(self.x0.to(like), like)

    def find_noise(self, x: Tensor, sigma: float) -> None:
        """Derive the noise of the prefix from a state on the line: ``noise = (x - (1 - s) x0) / s``.

        So a second stage goes on with the very noise of the first, though the host gives it none.
        """
        if self.noise is None and self.layout.prefix and sigma > 0:
            self.noise = (x[:, :, : self.layout.prefix] - (1.0 - sigma) * self.clean(x)) / sigma

    def level(self, like: Tensor, levels: Tensor) -> Tensor:
        """Prefix latents at ``levels [L + B]``, made of the clean latents and the run's own noise."""
        clean = self.clean(like)
        if self.noise is None:
            return clean
        return flow.add_noise(clean, self.noise.to(like), levels[None].to(like.device))

    def show(self, x: Tensor, sigma: float, held: Tensor) -> Tensor:
        """``x`` with every held frame at its own level, as the network shall see it."""
        self.find_noise(x, sigma)
        return self.replace(x, self.level(x, self.layout.max_sigmas()[: self.layout.prefix]), held)

    def rest_on_line(self, x: Tensor, sigma: float) -> Tensor:
        """``x`` with condition frames, held and just released buffers exactly on their line at ``sigma``.

        Samplers that add noise, or that step by another estimate, leave the line while a frame is held.
        """
        resting = self.layout.max_sigmas()[: self.layout.prefix] <= sigma + 1e-6
        levels = torch.full((self.layout.prefix,), sigma)
        return self.replace(x, self.level(x, levels), resting.to(x.device))

    def replace(self, x: Tensor, prefix: Tensor, where: Tensor) -> Tensor:
        """``x`` with the prefix frames of ``where`` taken from ``prefix``."""
        n = self.layout.prefix
        mixed = torch.where(where.view(1, 1, -1, 1, 1), prefix, x[:, :, :n])
        return torch.cat([mixed, x[:, :, n:]], dim=2)

    def pieces_of(self, sampler: Any) -> Any:
        """A copy of a host sampler that runs between releases; other samplers are left as they are."""
        function = getattr(sampler, "sampler_function", None)
        if function is None:
            if self.layout.buffer:
                log.info("FewShot Video: %s is no k-sampler; buffers are released at its first evaluation at or below their level", type(sampler).__name__)
            return sampler
        if self.layout.prefix == 0:
            return sampler
        piecewise = copy.copy(sampler)
        piecewise.sampler_function = self._piecewise(function)
        return piecewise

    def _piecewise(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def sample(
            model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None, disable: Any = None, **options: Any
        ) -> Tensor:
            self.find_noise(x, float(sigmas[0]))
            done = 0
            for number, piece in enumerate(tic_ft.split_at_releases(sigmas, self.layout)):
                arguments = {**(extra_args or {}), "seed": _seed(extra_args, number)}
                run = _one_step if _needs_two_steps(function) and len(piece) == 2 else function
                x = run(
                    model, x, piece.clone(), extra_args=arguments, callback=_counting(callback, done), disable=disable, **options
                )
                x = self.rest_on_line(x, float(piece[-1]))
                done += len(piece) - 1
            return x

        return sample


def check_latent(latent_image: Tensor, layout: tic_ft.Layout, x0: Tensor) -> None:
    """Refuse a latent that is not the one the context made room for.

    Raises:
        ValueError: it is nested, or its frames, channels or size differ.
    """
    shape = "nested" if getattr(latent_image, "is_nested", False) else list(latent_image.shape)
    fits = shape != "nested" and len(shape) == 5 and shape[2] == layout.frames
    if fits and layout.prefix:
        fits = [shape[1], *shape[3:]] == [x0.shape[1], *x0.shape[3:]] and shape[0] % x0.shape[0] == 0
    if not fits:
        raise ValueError(
            f"TIC-FT needs a latent of {layout.frames} frames ({layout.condition} + {layout.buffer} + {layout.target}), "
            f"the sampler got {shape}; wire the LATENT of TICFTContext to the sampler"
        )


def expand(clean: Tensor, like: Tensor) -> Tensor:
    """Repeat a batch of clean latents to the batch of ``like``."""
    return clean.repeat(like.shape[0] // clean.shape[0], 1, 1, 1, 1)


def _seed(extra_args: Any, number: int) -> Any:
    seed = (extra_args or {}).get("seed")
    return seed if seed is None or number == 0 else (seed + RESEED * number) % 2**63


def _counting(callback: Any, done: int) -> Any:
    """A sampler callback whose step goes on counting over pieces."""
    return callback and (lambda state: callback({**state, "i": state["i"] + done}))


def _needs_two_steps(function: Callable[..., Tensor]) -> bool:
    return "unipc" in getattr(function, "__name__", "")


def _one_step(model: Any, x: Tensor, sigmas: Tensor, extra_args: Any = None, callback: Any = None, **_: Any) -> Tensor:
    """One Euler step, for a piece too short for the host's UniPC (its order would be 0)."""
    denoised = model(x, sigmas[0] * x.new_ones(x.shape[0]), **(extra_args or {}))
    if callback:
        callback({"x": x, "i": 0, "sigma": sigmas[0], "sigma_hat": sigmas[0], "denoised": denoised})
    return denoised + (sigmas[1] / sigmas[0]) * (x - denoised)

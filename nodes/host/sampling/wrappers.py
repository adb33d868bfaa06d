"""TIC-FT inside the host's sampling: any stock sampler, the base model untouched.

Two wrappers do it. OUTER_SAMPLE runs the sampler segment by segment, restarting it wherever a buffer is unfrozen, and
puts the buffer levels into the schedule where that is asked for; PREDICT_NOISE shows the network every frozen frame at
its own level and returns its clean latents. Nothing relies on the host's noise
mask, so a mask of the user's still works.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ....methods import tic_ft
from ....training.data.known_frames import FEATURES, KNOWN, UNKNOWN
from ..model.families import find_family
from ..model.ltx import per_token
from ..services.keys import TIC_FT_KEY
from .buffer_steps import extra_steps_of
from .context_windows import lead_windows
from .known import check_prompts, leaves_image_empty
from .sampling_run import SamplingRun, expand, lead
from .segments import Schedule, in_segments, is_segmented

Frames = slice | list[int]
ALL = slice(None)
CLIP = "clip_fea"  # the host's name of the CLIP features that a network gets


class Context:
    """A layout and its clean latents, put on a MODEL; shared by any number of sampler runs.

    Args:
        layout: the frame counts and levels.
        x0: clean latents of the first L + B + O frames, as the VAE gave them, ``[B, C, L + B + O, H, W]``.
        per_frame_timesteps: give the network every frame's own level instead of the global one.
        known: what an image-to-video network is given of the known frames, see ``training.data.known_frames``.
        extra_steps: make every buffer level a point of the schedule, up to B evaluations more; else a step that leads
            across a level carries the buffer from there, see ``SamplingRun.end_segment``; None: the latter where that
            step is large, see ``LargeSteps``.
    """

    def __init__(
        self,
        layout: tic_ft.Layout,
        x0: Tensor,
        per_frame_timesteps: bool = False,
        known: dict[str, Tensor] | None = None,
        extra_steps: bool | None = True,
    ) -> None:
        self.layout = layout
        self.x0 = x0
        self.known = known
        self.extra_steps = extra_steps
        self.per_frame_timesteps = per_frame_timesteps
        self.run: SamplingRun | None = None  # the sampler run under way; runs may nest

    def put_on(self, model: Any) -> Any:
        """A clone of ``model`` that samples with this context, in place of any earlier one."""
        from comfy.patcher_extension import WrappersMP

        clone = model.clone()
        wrappers = {
            WrappersMP.OUTER_SAMPLE: self._outer_sample,
            WrappersMP.PREDICT_NOISE: self._predict_noise,
            WrappersMP.DIFFUSION_MODEL: self._diffusion_model if self.per_frame_timesteps else None,
            WrappersMP.APPLY_MODEL: self._apply_model if self.known or leaves_image_empty(find_family(model)) else None,
        }
        for kind, wrapper in wrappers.items():
            clone.remove_wrappers_with_key(kind, TIC_FT_KEY)
            if wrapper is not None:
                clone.add_wrapper_with_key(kind, TIC_FT_KEY, wrapper)
        return clone

    def _outer_sample(
        self, executor: Any, noise: Tensor, latent: Tensor, sampler: Any, sigmas: Tensor, *args: Any, **more: Any
    ) -> Tensor:
        check_latent(latent, self.layout, self.x0)
        check_prompts(executor.class_obj, find_family(executor.class_obj.model_patcher))
        lead_windows(executor.class_obj.model_options, self.layout)
        run = SamplingRun(self, executor.class_obj.model_patcher)
        values = sigmas.tolist()  # once for the whole run, as each reading waits for the device
        chosen = self.extra_steps if is_segmented(sampler) else True
        extra = extra_steps_of(executor.class_obj.model_patcher, chosen)
        points = tic_ft.insert_levels(values, run.layout, extra)
        sigmas = sigmas if points == values else sigmas.new_tensor(points)
        earlier, self.run = self.run, run
        try:
            solver = in_segments(sampler, run.layout, run, Schedule(sigmas, points))
            output = executor(noise, latent, solver, sigmas, *args, **more)
        finally:
            self.run = earlier
        # The way into the model's space and back is not exact, so the result gets the latents themselves.
        return lead(expand(self.x0.to(output), output), output, self.layout.condition, self.layout)

    def _predict_noise(self, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **options: Any) -> Tensor:
        if self.run is None or self.layout.known == 0:
            return executor(x, timestep, *args, **options)
        check_state(x, self.layout, self.run.x0)
        sigma = timestep.flatten()[0].float()
        frozen = self.run.frozen_frames(sigma)
        denoised = executor(self.run.show(x, sigma, frozen), timestep, *args, **options)
        self.run.note(denoised, sigma)
        return lead(self.run.clean.to(denoised), denoised, frozen, self.layout)

    def _apply_model(
        self, executor: Any, x: Tensor, timestep: Tensor, _concat: Any = None, *args: Any, **options: Any
    ) -> Tensor:
        """Give an image-to-video network the frames of the context in place of those of the conditioning."""
        once = (lambda _, make: make()) if self.run is None else self.run.once
        place = (x.device, x.dtype)
        given = self.known or {}
        known = {name: once((name, *place), lambda value=value: value.to(x)) for name, value in given.items()}
        if FEATURES in known:
            options = {**options, CLIP: known[FEATURES].expand(len(x), -1, -1)}
        transformer = next((a for a in args if isinstance(a, dict)), options.get("transformer_options", {}))
        # Without known frames a mask of the user's would not fit the host's input for the image's.
        frames = frames_in(x, known[KNOWN].shape[2], transformer) if known else ALL

        def concat() -> Any:
            given = {"noise": x, "device": x.device}
            if known:
                index = self._index(frames, x.device)
                image, mask = (expand(known[name][:, :, index], x) for name in (KNOWN, UNKNOWN))
                given |= {"concat_latent_image": image, "concat_mask": mask}
            return executor.class_obj.concat_cond(**given)  # of ``noise`` it takes the form alone

        # Those of context windows are not kept: there may be many.
        made = once(("concat", x.shape, *place), concat) if frames == ALL else concat()
        return executor(x, timestep, made, *args, **options)

    def _index(self, frames: Frames, device: Any) -> Frames | Tensor:
        """Frames in a form that copies nothing to the device, but once a run for each context window."""
        if isinstance(frames, slice) or self.run is None:
            return frames
        return self.run.once(("frames", *frames, device), lambda: torch.tensor(frames, device=device))

    def _diffusion_model(self, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **options: Any) -> Tensor:
        transformer = options.get("transformer_options") or next((a for a in args if isinstance(a, dict)), {})
        sigma = transformer.get("sigmas")
        if self.run is None or sigma is None:
            return executor(x, timestep, *args, **options)
        if options.get("context_latents") is not None:  # the host would spread the timesteps over their tokens, too
            raise ValueError(
                "Bernini's sources have no timestep of a frame's own; set timesteps of TIC-FT Context to one for all "
                "frames, or take Bernini Conditioning off"
            )
        layout, device = self.run.layout, sigma.device
        highest = self.run.once(("highest", device), lambda: layout.max_sigmas(device))
        levels = tic_ft.frame_sigmas(layout, sigma[:1].float(), highest)
        timesteps = self.run.model.model_sampling.timestep(levels).to(timestep)
        video = x[0] if isinstance(x, list) else x  # in front of other streams, such as sound
        timesteps = timesteps[:, self._index(frames_in(video, timesteps.shape[1], transformer), timesteps.device)]
        timesteps = per_token(timesteps, video) if self.run.per_token else timesteps
        return executor(x, timesteps.expand(len(video), -1), *args, **options)


def frames_in(x: Tensor, frames: int, options: dict[str, Any]) -> Frames:
    """Which frames of the sequence a network's input holds: all, or those of a context window of the host's.

    Raises:
        ValueError: it holds others, and nothing says which.
    """
    window, count = options.get("context_window"), x.shape[2]
    if count == frames:
        return ALL
    anchor = getattr(window, "causal_anchor_index", None)
    index = [*([anchor] if anchor is not None and anchor >= 0 else []), *getattr(window, "index_list", ())]
    if len(index) != count or max(index) >= frames:
        raise ValueError(
            f"the network is shown {count} of the {frames} latent frames and nothing says which; take the node that "
            "cuts the sequence off, or set timesteps of TIC-FT Context to one for all frames"
        )
    return index


def check_state(x: Tensor, layout: tic_ft.Layout, x0: Tensor) -> None:
    """Refuse a solver's state of another size than the sequence, of a sampler that grows the latent for one.

    Raises:
        ValueError: frames, channels or size differ.
    """
    if x.shape[2] != layout.frames or x.shape[3:] != x0.shape[3:]:
        raise ValueError(
            f"the sampler works on latents of {list(x.shape[2:])} (frames, height, width), its TIC-FT context was made "
            f"for {[layout.frames, *x0.shape[3:]]}; choose one that leaves their size alone, and upscale afterwards"
        )


def check_latent(latent: Tensor, layout: tic_ft.Layout, x0: Tensor) -> None:
    """Refuse a latent that is not the one the context made room for.

    Raises:
        ValueError: its frames, channels or size differ, or it is nested (the host packs those flat).
    """
    shape = list(latent.shape)
    if len(shape) == 3:  # as the host packs them
        raise ValueError(
            "the sampler got a latent of several streams, such as video and sound; TIC-FT makes the video alone: wire "
            "the LATENT of the same TICFTContext to the sampler, and add the sound to the finished video"
        )
    fits = len(shape) == 5 and shape[2] == layout.frames
    if fits and layout.known:
        fits = [shape[1], *shape[3:]] == [x0.shape[1], *x0.shape[3:]] and shape[0] % x0.shape[0] == 0
    if not fits:
        parts = f"{layout.condition} + {layout.buffer} + {layout.target}"
        size = f", {x0.shape[1]} channels and {x0.shape[4]} x {x0.shape[3]}" if layout.known else ""
        raise ValueError(
            f"the sampler got a latent of shape {shape}, its TIC-FT model needs one of {layout.frames} "
            f"frames ({parts}){size}; wire the LATENT of the same TICFTContext to the sampler"
        )

"""A video of any length, window by window: sampled, decoded, written, and let go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ....training.tic_ft.windows import Window
from ..model.video_model import VideoModel
from .context import lay_out, put_on_experts
from .known import with_overlap
from .long_identity import key_of
from .long_output import LongOutput, Reached, opened_output
from .long_plan import LongRequest, Planned, plan_long_video
from .long_progress import WindowProgress
from .long_start import latent_of, start_of
from .wrappers import Context

SEEDS = 2**64


@dataclass(frozen=True)
class Solver:
    """How each window is sampled; a second expert goes on with sigmas of its own."""

    positive: Any
    negative: Any
    cfg: float
    sampler: Any
    sigmas: Tensor
    seed: int
    model_2: Any = None
    sigmas_2: Tensor | None = None


@dataclass(frozen=True)
class Made:
    """A long video, finished or as far as it got."""

    path: str
    latent: dict[str, Any]
    end: int  # frames of the video up to its end, those of a run before it included
    report: str


def make_long_video(
    video: VideoModel, vae: Any, solver: Solver, source: Any, request: LongRequest,
    goes_on: dict[str, Any] | None = None, clip_vision: Any = None,
) -> Made:  # fmt: skip
    """Make the windows that are not there yet; those that are there when it is cancelled stay, and it goes on there.

    Args:
        video: the MODEL; it is not changed.
        vae: host VAE.
        solver: how to sample.
        source: IMAGE or VIDEO, as the task wants it.
        request: the rest.
        goes_on: LATENT of an earlier long video to go on from; None begins at the first frame.
        clip_vision: host CLIP vision model, for networks that take features of the first frame.

    Raises:
        ValueError: a number, the source or the model does not fit, or something holds what cannot be told apart.
    """
    planned = plan_long_video(video, vae, source, request, clip_vision)
    start = start_of(video, vae, goes_on, request, planned.plan)
    key = key_of(video, vae, solver, source, planned.request, start, clip_vision)
    with opened_output(request.filename, key, planned.fps, start) as output:
        already = output.reached.done
        if not output.finished:
            Windows(video, vae, solver, planned, output, clip_vision).make()
        report = _report(planned, output, start.done, already)
        return Made(str(output.path), latent_of(output.reached), output.reached.done, report)


class Windows:
    """The windows of one long video, made one after the other."""

    def __init__(
        self, video: VideoModel, vae: Any, solver: Solver, planned: Planned, output: LongOutput, clip_vision: Any
    ) -> None:
        self.video, self.vae, self.solver, self.clip_vision = video, vae, solver, clip_vision
        self.planned, self.plan, self.output = planned, planned.plan, output

    def make(self) -> None:
        """Make what is left. The video of the windows so far is there at the end, whatever ends it."""
        if self.output.reached.done < self.plan.frames:  # all of them, where joining them was what failed
            self._make_rest()
        self.output.join(finished=True)

    def _make_rest(self) -> None:
        number = self.plan.number_at(self.output.reached.end)
        progress = WindowProgress(self.plan.count - number, self.video.model)
        try:
            if self.output.reached.latents is not None:
                self._go_on()
            for window in map(self.plan.window, range(number, self.plan.count)):
                self._make_one(window, progress.of(window.number - number))
        except BaseException:
            with contextlib.suppress(OSError, ValueError):  # what ended it is what the user has to know
                self.output.join()
            raise

    def _go_on(self) -> None:
        """Begin behind what is there, and first with the frames that were cut off its last window."""
        reached, image, frames = self.output.reached, self.output.reached.image, None
        cut = reached.end - reached.done
        if image is None or cut:
            frames = self._decoded(*reached.window)
            held = self.plan.compression * self.plan.overlap
            image = frames[-max(1, held)][None].clone()
        self.planned.conditions.go_on(image)
        if frames is not None and cut:
            rest = frames[-cut:][: self.plan.frames - reached.done]
            done = reached.done + len(rest)
            self.output.add(rest, replace(reached, done=done, image=self.planned.conditions.image))

    def _make_one(self, window: Window, on_step: Callable[..., None]) -> None:
        context, latent = self._laid_out(window)
        sampled, prefix = self._sampled(context, latent, window, on_step), self.plan.layout.prefix
        latents, history = sampled[:, :, prefix:].clone(), sampled[:, :, :prefix].clone()
        if window.overlap:
            history = self.output.reached.window[0][:, :, : -window.overlap].to(latents)
        target = self._decoded(latents, history)
        self.planned.conditions.note(target)
        new, end = window.new, window.start + self.plan.window_frames
        reached = Reached(new.stop, end, latents, history, self.planned.conditions.image)
        self.output.add(target[new.start - window.start : new.stop - window.start], reached)

    def _decoded(self, latents: Tensor, history: Tensor | None) -> Tensor:
        """Target frames ``[c K, H, W, 3]`` of a window's latents, decoded behind its history.

        Decoders are causal, and see far back: behind its own condition, a window's first new frame would not be the one
        that follows on what was made. So a window is decoded behind the latents of the one before.
        """
        sequence = latents if history is None else torch.cat([history.to(latents), latents], dim=2)
        # Of several videos in a batch the decoder gives one after the other; here it is one.
        frames = self.vae.decode(sequence)[0][-self.plan.window_frames :].float().cpu()
        # Where no more than the overlap was given to go on from, its first latent has but one frame.
        missing = self.plan.window_frames - len(frames)
        return torch.cat([frames[:1].expand(missing, -1, -1, -1), frames])

    def _laid_out(self, window: Window) -> tuple[Context, Tensor]:
        """The window's context, with the end of the one before as its overlap, and the latent to sample."""
        images, plan = self.planned.conditions.at(window), self.plan
        layout = replace(plan.layout, overlap=window.overlap)
        context, latent = lay_out(self.video, self.vae, images, self.planned.request.context, layout, self.clip_vision)
        samples = latent["samples"]
        if window.overlap:
            before = self.output.reached.window[0][:, :, -window.overlap :].to(samples)
            samples[:, :, layout.prefix : layout.known] = before
            context.x0 = torch.cat([context.x0, before.to(context.x0)], dim=2)
            context.known = with_overlap(context.known, before, layout)
        return context, samples

    def _sampled(self, context: Context, latent: Tensor, window: Window, on_step: Callable[..., None]) -> Tensor:
        """The window's sequence, by the solver and where there is one by the second expert."""
        from comfy.sample import prepare_noise, sample_custom

        solver, seed = self.solver, (self.solver.seed + window.number) % SEEDS
        model, model_2 = put_on_experts(context, self.video, solver.model_2)
        stages = [(model, solver.sigmas)] + ([] if solver.sigmas_2 is None else [(model_2, solver.sigmas_2)])
        noise = prepare_noise(latent, seed)
        for number, (expert, sigmas) in enumerate(stages):
            latent = sample_custom(
                expert, noise, solver.cfg, solver.sampler, sigmas, solver.positive, solver.negative, latent,
                callback=partial(on_step, number, len(stages)),
                disable_pbar=True, seed=seed,
            )  # fmt: skip
            noise = torch.zeros_like(latent)  # the second goes on from where the first has got
        return latent


def _report(planned: Planned, output: LongOutput, first: int, already: int) -> str:
    """What was made, in a sentence."""
    plan, done = planned.plan, output.reached.done
    before = f", of which {already - first} were there" if already > first else ""
    return (
        f"{output.path.name}: {done - first} frames{before}, up to {done / planned.fps:.1f} s at {planned.fps:g} fps, "
        f"in windows of {plan.window_frames} frames, {plan.count} in all"
    )

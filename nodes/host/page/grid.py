"""Checkpoints of a run at several strengths, sampled from one seed, scored and laid beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ....methods.frames import resize
from ....methods.metrics import check_metric
from ....methods.video_scores import score
from ....training.lora.file import LoraModel
from ....training.runs.checkpoints import Checkpoint
from ..model.loras import apply_lora
from ..sampling.crop import crop
from ..sampling.latent_form import check_latent, check_vae
from ..services.node_text import show_text
from ..services.progress import StepProgress
from .grid_cells import ONLY_BASE, Cell, Compared, Sampling, best_of, told
from .labelled_grid import labelled_grid


@dataclass(frozen=True)
class Grid:
    """What came out."""

    frames: Tensor  # [T, H, W, 3]
    cells: list[Cell]
    best: Cell  # of those with a LoRA
    lora: LoraModel


def make_grid(
    model: Any, vae: Any, prompts: Sequence[Any], negative: Any, latent: dict[str, Any], wanted: Sequence[Cell],
    sampling: Sampling, compared: Compared, width: int, done: dict[Any, Cell],
) -> Grid:  # fmt: skip
    """Sample, decode and score every cell that is not done.

    The host's cancel passes through after any step.

    Args:
        model: Host MODEL; with a TIC-FT context on it the target frames of each video are kept.
        vae: Host VAE.
        prompts: CONDITIONING by prompt.
        negative: CONDITIONING.
        latent: LATENT; of a batch the first one.
        wanted: The cells, without frames.
        sampling: Seed and schedule of all of them.
        compared: What they are scored by.
        width: Of a video in the grid, pixels.
        done: Finished cells by their keys; what is made is put in here at once.

    Raises:
        ValueError: a checkpoint, the latent or the VAE does not fit the model, or the metric does not fit the videos.
    """
    import comfy.sample

    check_vae(model, vae)
    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"][:1])
    check_latent(model, samples, "the grid", "connect an empty latent for this model, or that of TIC-FT Context")
    bar = StepProgress(len(wanted) * sampling.steps)
    for cell, patched in _patched(model, [cell for cell in wanted if cell.key not in done]):
        show_text(f"video {len(done) + 1} of {len(wanted)}: {told(cell)}")
        one = _sampled(patched, prompts[cell.prompt - 1], negative, samples, sampling, bar, len(done))
        frames = decoded(vae, one, latent)
        if not done:  # the videos are alike, so the first one tells
            check_metric(compared.metric, frames, compared.reference, compared.condition)
        scores = score(frames, compared.reference, compared.condition)
        done[cell.key] = replace(cell, frames=_fitted(frames, width), scores=scores)  # 64 whole clips may be 25 GB
    cells = [done[cell.key] for cell in wanted]
    best = best_of(cells, compared.metric)
    lora = best.checkpoint.load() if best.checkpoint else LoraModel({})
    return Grid(_drawn(cells, best, compared.metric, width), cells, best, lora)


def decoded(vae: Any, samples: Tensor, latent: dict[str, Any]) -> Tensor:
    """Frames ``[T, H, W, C]`` of sampled latents, on the CPU; those of the target where there is a TIC-FT layout."""
    frames = vae.decode(samples)
    frames = frames.flatten(0, 1) if frames.ndim == 5 else frames  # 1 T H W C -> T H W C
    if "tic_ft" in latent:
        frames = crop(frames, {**latent, "samples": samples}, "target")
    return frames.float().cpu().clamp(0, 1)


def _fitted(frames: Tensor, width: int) -> Tensor:
    """Frames of that width and the same shape, without what a picture has beside its colours."""
    return resize(frames[..., :3], width, max(1, round(width * frames.shape[1] / frames.shape[2])))


def _patched(model: Any, wanted: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
    """Each cell with its model; a checkpoint is read once for the strengths that follow each other."""
    last: Checkpoint | None = None
    lora = LoraModel({})
    for cell in wanted:
        if cell.checkpoint is None:
            yield cell, model
            continue
        if cell.checkpoint is not last:
            last, lora = cell.checkpoint, cell.checkpoint.load()
        yield cell, apply_lora(model, lora, cell.strength, f"the checkpoint of step {cell.checkpoint.steps}")


def _sampled(
    model: Any, positive: Any, negative: Any, samples: Tensor, sampling: Sampling, bar: StepProgress, number: int
) -> Tensor:
    import comfy.sample

    noise = comfy.sample.prepare_noise(samples, sampling.seed)

    def on_step(step: int, *_: Any) -> None:
        bar.show(number * sampling.steps + step + 1)

    return comfy.sample.sample(
        model, noise, sampling.steps, sampling.cfg, sampling.sampler, sampling.scheduler, positive, negative, samples,
        callback=on_step, disable_pbar=True, seed=sampling.seed,
    )  # fmt: skip


def _drawn(cells: Sequence[Cell], best: Cell, metric: str, width: int) -> Tensor:
    """All cells in rows of prompts and steps and columns of strengths."""
    strengths = list(dict.fromkeys(cell.strength for cell in cells if cell.checkpoint))
    rows = list(dict.fromkeys(cell.row for cell in cells))
    several = len({prompt for prompt, _ in rows}) > 1
    names = [
        (f"prompt {prompt}, " if several else "") + (f"step {steps}" if steps else f"{ONLY_BASE} a LoRA")
        for prompt, steps in rows
    ]
    places = {(rows.index(cell.row), strengths.index(cell.strength) if cell.checkpoint else 0): cell for cell in cells}
    videos = {place: cell.frames for place, cell in places.items() if cell.frames is not None}
    words = {place: f"{(cell.scores or {})[metric]:.3f}" for place, cell in places.items()}
    marked = next(place for place, cell in places.items() if cell is best)
    return labelled_grid(videos, names, [f"strength {strength:g}" for strength in strengths], words, marked, width)

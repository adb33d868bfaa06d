"""Checkpoints of a run at several strengths, sampled from one seed, scored and laid beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ....methods.frames import resize
from ....methods.metrics import METRICS, check_metric
from ....methods.video_scores import score
from ....training.lora.file import LoraModel
from ....training.runs.checkpoints import Checkpoint
from ..model.loras import apply_lora
from ..sampling.crop import crop
from ..services.node_text import show_text
from ..services.progress import StepProgress
from .labelled_grid import labelled_grid

MOST_CELLS = 64
ONLY_BASE = "without"  # label of the row without a LoRA


@dataclass(frozen=True)
class Sampling:
    """How every cell is sampled, in the words of the host's KSampler."""

    seed: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str


@dataclass(frozen=True)
class Compared:
    """What cells are scored by."""

    metric: str
    reference: Tensor | None = None  # [T, H, W, C]
    condition: Tensor | None = None


@dataclass(frozen=True)
class Cell:
    """One video of the grid."""

    prompt: int  # counted from 1
    checkpoint: Checkpoint | None  # None: the model alone
    strength: float
    frames: Tensor | None = None  # [T, H, W, 3] in [0, 1], as wide as they are drawn
    scores: dict[str, float] | None = None

    @property
    def row(self) -> tuple[int, int]:
        """Its row: by prompt, then by steps."""
        return self.prompt, self.checkpoint.steps if self.checkpoint else 0


@dataclass(frozen=True)
class Grid:
    """What came out."""

    frames: Tensor  # [T, H, W, 3]
    cells: list[Cell]
    best: Cell  # of those with a LoRA
    lora: LoraModel


def cells_of(
    checkpoints: Sequence[Checkpoint], strengths: Sequence[float], prompts: int, with_base: bool
) -> list[Cell]:
    """All cells in the order in which they are sampled: a prompt's model alone first, then by steps and strength.

    Raises:
        ValueError: there are more than 64.
    """
    found = []
    for prompt in range(1, prompts + 1):
        found += [Cell(prompt, None, 0.0)] if with_base else []
        found += [Cell(prompt, checkpoint, strength) for checkpoint in checkpoints for strength in strengths]
    if len(found) > MOST_CELLS:
        raise ValueError(
            f"the grid would have {len(found)} videos, {MOST_CELLS} at most; take fewer checkpoints or strengths"
        )
    return found


def make_grid(
    model: Any, vae: Any, prompts: Sequence[Any], negative: Any, latent: dict[str, Any], wanted: Sequence[Cell],
    sampling: Sampling, compared: Compared, width: int,
) -> Grid:  # fmt: skip
    """Sample, decode and score every cell.

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

    Raises:
        ValueError: a checkpoint does not fit the model, or the metric does not fit the videos.
    """
    bar = StepProgress(len(wanted) * sampling.steps)
    cells: list[Cell] = []
    for number, (cell, patched) in enumerate(_patched(model, wanted)):
        show_text(f"video {number + 1} of {len(wanted)}: {_told(cell)}")
        one = _sampled(patched, prompts[cell.prompt - 1], negative, latent, sampling, bar, number)
        frames = decoded(vae, one, latent)
        if not cells:  # the videos are alike, so the first one tells
            check_metric(compared.metric, frames, compared.reference, compared.condition)
        scores = score(frames, compared.reference, compared.condition)
        cells.append(replace(cell, frames=_fitted(frames, width), scores=scores))  # 64 whole clips may be 25 GB
    best = best_of(cells, compared.metric)
    lora = best.checkpoint.load() if best.checkpoint else LoraModel({})
    return Grid(_drawn(cells, best, compared.metric, width), cells, best, lora)


def best_of(cells: Sequence[Cell], metric: str) -> Cell:
    """The cell with a LoRA whose metric is best; of equals the first."""
    sign = 1 if METRICS[metric].better == "higher" else -1
    return max((cell for cell in cells if cell.checkpoint), key=lambda cell: sign * (cell.scores or {})[metric])


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
    model: Any, positive: Any, negative: Any, latent: dict[str, Any], sampling: Sampling, bar: StepProgress, number: int
) -> Tensor:
    import comfy.sample

    samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"][:1])
    noise = comfy.sample.prepare_noise(samples, sampling.seed)

    def on_step(step: int, *_: Any) -> None:
        bar.show(number * sampling.steps + step + 1)

    return comfy.sample.sample(
        model, noise, sampling.steps, sampling.cfg, sampling.sampler, sampling.scheduler, positive, negative, samples,
        callback=on_step, disable_pbar=True, seed=sampling.seed,
    )  # fmt: skip


def _told(cell: Cell) -> str:
    if cell.checkpoint is None:
        return f"prompt {cell.prompt} {ONLY_BASE} a LoRA"
    return f"prompt {cell.prompt}, {cell.checkpoint.steps} steps at strength {cell.strength:g}"


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

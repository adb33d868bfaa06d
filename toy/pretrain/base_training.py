"""Pre-training of the toy video model on latents of the toy world: a coarse network, then the finer one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from .base import COARSE, CONFIG, build_network, flow_loss, use_fast_attention
from .captions import Captions, vary_caption
from .finer import finer
from .latents import PLAIN, RICH, World, read_latents
from .levels import LEVELS, draw_levels
from .loop import Plan, Stage, write_weights

LOADED = ("num_heads", "text_dim", "out_dim", "patch_size")  # what the host cannot read off the weights


@dataclass(frozen=True)
class Recipe:
    """What tells the two networks' training apart."""

    stem: str  # of the files
    patch: tuple[int, int, int]
    lengths: dict[int, tuple[float, int]]  # latent frames: how often, and clips in a batch
    shifts: tuple[float, float]  # of the levels drawn, in the first 70 % of the time and after
    plan: Plan
    world: World = PLAIN


COARSE_RECIPE = Recipe(
    "coarse", COARSE, {1: (0.04, 64), 7: (0.26, 16), 10: (0.20, 16), 13: (0.50, 16)}, (5.0, 3.0),
    Plan(0.0, rate=3e-3, other_rate=1.5e-3, constant=0.35, average=0.9985),
)  # fmt: skip
# Batches of about as many tokens each; most clips are short, for attention and looks are learned from few frames.
FINE_RECIPE = Recipe(
    "base", CONFIG["patch_size"], {1: (0.03, 32), 4: (0.25, 12), 7: (0.32, 6), 10: (0.15, 5), 13: (0.25, 4)},
    (4.0, 4.0), Plan(0.0, rate=2e-3, other_rate=1e-3, constant=0.5, average=0.997),
)  # fmt: skip
RICH_RECIPE = replace(FINE_RECIPE, stem="rich_base", world=RICH)


class Batches:
    """Batches by step number; reads shards that were added in the meantime."""

    def __init__(self, folder: Path, seed: int, recipe: Recipe, levels: str) -> None:
        self.folder, self.seed, self.recipe, self.levels = folder, seed, recipe, levels
        self.captions = Captions()
        self.data, self.read = read_latents(folder, recipe.world.latents), time.monotonic()

    def draw(self, step: int, done: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents ``[B, 16, T, 8, 8]``, context ``[B, 77, 64]``, levels ``[B]`` or ``[B, T]`` and noise of a step."""
        if done < 0.6 and time.monotonic() - self.read > 60:
            self.data, self.read = read_latents(self.folder, self.recipe.world.latents), time.monotonic()
        rng = np.random.default_rng((self.seed, 7, step))
        lengths = self.recipe.lengths
        frames = int(rng.choice(list(lengths), p=[share for share, _ in lengths.values()]))
        count = lengths[frames][1]
        picks = rng.integers(len(self.data), size=count)
        x0 = self.data[picks][:, :, :frames].float()
        shift = self.recipe.shifts[done >= 0.7]
        sigma, continued = draw_levels(self.levels, count, frames, shift, rng)
        texts = [vary_caption(self.recipe.world.scene(int(i), self.seed), rng, continued) for i in picks]
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(self.seed * 10**9 + step))
        return x0, self.captions(texts), sigma, noise


def train_coarse(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the coarse network; ``folder`` holds the latents and gets the weights."""
    _train(build, folder, seconds, seed, COARSE_RECIPE, LEVELS[0], COARSE_RECIPE.stem)


def train_base(folder: Path, seconds: float, seed: int, levels: str = LEVELS[1]) -> None:
    """Train (or go on training) the video model from the coarse network in ``folder``.

    Args:
        folder: holds the latents and ``coarse.safetensors``; gets ``base.safetensors``, with one level for all frames
            ``base_one_level.safetensors``.
        seconds: all sittings together.
        seed: of batches, noise and levels.
        levels: a name in ``LEVELS``.

    Raises:
        RuntimeError: the coarse network is missing.
    """
    start, stem = finer(_start(folder, "coarse")), _stem("base", levels)
    _train(lambda recipe: _filled(recipe, start), folder, seconds, seed, FINE_RECIPE, levels, stem)


def train_rich_base(folder: Path, seconds: float, seed: int, levels: str = LEVELS[1]) -> None:
    """Train (or go on training) the model of the richer world from ``base.safetensors``; as ``train_base``.

    Raises:
        RuntimeError: the base is missing.
    """
    start, stem = _start(folder, _stem("base", levels)), _stem("rich_base", levels)
    _train(lambda recipe: _filled(recipe, start), folder, seconds, seed, RICH_RECIPE, levels, stem)


def _stem(name: str, levels: str) -> str:
    return name if levels == LEVELS[1] else f"{name}_one_level"


def _start(folder: Path, stem: str) -> dict[str, Tensor]:
    """Weights that a stage before this one left in the folder, in float32."""
    if not (path := folder / f"{stem}.safetensors").is_file():
        raise RuntimeError(f"there is no {path.name} in {folder.name}; run the stage `{stem.split('_one')[0]}` first")
    return {name: value.float() for name, value in load_file(path).items()}


def _filled(recipe: Recipe, weights: dict[str, Tensor]) -> nn.Module:
    network = build(recipe)
    network.load_state_dict(weights)
    return network


def build(recipe: Recipe) -> nn.Module:
    """A fresh network of a recipe."""
    return build_network(recipe.patch)


def _train(
    make: Callable[[Recipe], nn.Module], folder: Path, seconds: float, seed: int, recipe: Recipe, levels: str, stem: str
) -> None:
    import comfy.model_management  # pyright: ignore[reportMissingImports]

    comfy.model_management.in_training = True  # the host's fused rope has no gradient
    use_fast_attention()
    torch.manual_seed(seed)
    network = make(recipe)
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    stage = Stage(network, matrices, replace(recipe.plan, seconds=seconds), folder / f"{stem}_state.safetensors")
    batches = Batches(folder, seed, recipe, levels)

    def loss_of(step: int, done: float) -> Tensor:
        drawn = batches.draw(step, done)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return flow_loss(network, *drawn).mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}  clips {len(batches.data)}", flush=True)
        export(stage, folder / f"{stem}.safetensors", recipe, seed, levels)

    stage.run(loss_of, report)


def export(stage: Stage, path: Path, recipe: Recipe, seed: int, levels: str) -> None:
    """Write the averaged weights in bfloat16 with what the host's loader must be told."""
    config = {"transformer": {**{name: CONFIG[name] for name in LOADED}, "patch_size": recipe.patch}}
    weights = {name: value.to(torch.bfloat16) for name, value in stage.averaged().items()}
    facts = {"step": str(stage.step), "seconds": f"{stage.spent:.0f}", "seed": str(seed), "levels": levels}
    write_weights(weights, path, {"config": json.dumps(config), **facts})

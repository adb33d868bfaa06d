"""Clips of the pre-training world as latents, in shards on disk so that a stopped run goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..rich import enrich
from ..world import (
    BACKGROUNDS,
    COLOURS,
    MOTIONS,
    SHAPES,
    UNNAMED_COLOURS,
    UNNAMED_SHAPES,
    Scene,
    combinations,
    render,
    varied,
)
from .vae import encode_clip, load_vae

SHARD = 112
LARGER = 1.25  # objects of these clips against those of the world, three latents across; few-shot stills are smaller
FRAMES = 49


def scene_of(index: int, seed: int) -> Scene:
    """Scene number ``index``: all combinations and backgrounds in a shuffled order, varied, ``LARGER``.

    Every third one shows an object that captions have no name for.
    """
    scene = _scene(index, seed)
    return replace(scene, radius=LARGER * scene.radius)


def _scene(index: int, seed: int) -> Scene:
    if index % 3 == 2:
        return _unnamed(index, seed)
    index -= index // 3
    cells = list(itertools.product(combinations(held_out=False), BACKGROUNDS))
    order = np.random.default_rng((seed, index // len(cells))).permutation(len(cells))
    (shape, colour, motion), background = cells[order[index % len(cells)]]
    return varied(Scene(shape, colour, background, motion), np.random.default_rng((seed, 1, index)))


def rich_scene_of(index: int, seed: int) -> Scene:
    """Scene number ``index`` of the richer world; every fourth one stays flat on plain paper."""
    scene = scene_of(index, seed)
    return scene if index % 4 == 3 else enrich(scene, np.random.default_rng((seed, 31, index)))


def _unnamed(index: int, seed: int) -> Scene:
    """A scene of an object whose colour, shape or both have no name."""
    rng = np.random.default_rng((seed, 2, index))
    shape, colour = _pick(rng, UNNAMED_SHAPES), _pick(rng, tuple(UNNAMED_COLOURS))
    which = rng.integers(3)
    shape = _pick(rng, SHAPES) if which == 0 else shape
    colour = _pick(rng, tuple(COLOURS)) if which == 1 else colour
    return varied(Scene(shape, colour, _pick(rng, tuple(BACKGROUNDS)), _pick(rng, MOTIONS)), rng)


def _pick(rng: np.random.Generator, names: tuple[str, ...]) -> str:
    return names[rng.integers(len(names))]


def encode_shard(
    network: nn.Module,
    number: int,
    seed: int,
    folder: Path,
    scene: Callable[[int, int], Scene] = scene_of,
    stem: str = "latents",
) -> None:
    """Write shard ``number`` of ``SHARD`` clips, float16 ``[SHARD, 16, 13, 8, 8]``, unless it is there.

    They are in the model's space, into which the host brings what a VAE gives. ``scene(index, seed)`` are the clips
    and ``stem`` is what their files are called.
    """
    from comfy.latent_formats import Wan21  # pyright: ignore[reportMissingImports]

    path = folder / f"{stem}_{number:04}.safetensors"
    if path.exists():
        return
    parts = []
    for start in range(number * SHARD, (number + 1) * SHARD, 4):
        clips = np.stack([render(scene(i, seed), FRAMES) for i in range(start, start + 4)])
        video = torch.from_numpy(clips).permute(0, 4, 1, 2, 3) * 2 - 1
        with torch.no_grad():
            parts.append(Wan21().process_in(encode_clip(network, video)[0]).half())
    temporary = path.with_suffix(".tmp")
    save_file({"latents": torch.cat(parts).contiguous()}, temporary)
    temporary.replace(path)


def read_latents(folder: Path, stem: str = "latents") -> Tensor:
    """The shards up to the first missing one, ``[N, 16, 13, 8, 8]`` float16, scene i at index i.

    Processes that encode side by side leave gaps for a while; what lies behind one would be taken for other scenes.

    Raises:
        RuntimeError: the first shard is missing.
    """
    numbered = (folder / f"{stem}_{number:04}.safetensors" for number in itertools.count())
    paths = list(itertools.takewhile(Path.exists, numbered))
    if not paths:
        raise RuntimeError(f"the first shard of latents is not in {folder.name}; encode the clips first")
    return torch.cat([load_file(path)["latents"] for path in paths])


@dataclass(frozen=True)
class World:
    """Where a world's clips come from, and what its files are called."""

    scene: Callable[[int, int], Scene]
    vae: str
    latents: str


PLAIN = World(scene_of, "vae", "latents")
RICH = World(rich_scene_of, "rich_vae", "rich_latents")


def encode_shards(folder: Path, clips: int, seed: int, part: int, parts: int, world: World = PLAIN) -> None:
    """Encode the shards of one of ``parts`` processes with the world's VAE in ``folder``."""
    network = load_vae(folder / f"{world.vae}.safetensors")
    for number in range(part, clips // SHARD, parts):
        encode_shard(network, number, seed, folder, world.scene, world.latents)
        print(f"shard {number + 1} of {clips // SHARD}", flush=True)

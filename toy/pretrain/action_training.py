"""Training of the toy adapter: the captions tell the object, only the references tell how it moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...training.aicl.file import BASE_FAMILY, BASE_MODEL, DATA, SIZES
from ...training.aicl.reading import Reading
from ...training.aicl.sizes import sizes_to_text
from ...training.core.methods import AICL
from ...training.lora.metadata import BASE_PATCH, patch_words, to_metadata
from ..weights import ACTIONS, SHIFT, VAE, read
from ..world import Scene
from .action import RECIPES, Recipe, ToyAdapter, action_loss, half
from .action import SIZES as ADAPTER
from .action_world import CLIPS_A_PATH, caption_of, judge_scene_of, scene_of, sized
from .base import build_network, use_fast_attention
from .captions import Captions
from .latents import SHARD, encode_shard, read_latents
from .loop import Stage, write_weights
from .vae import load_vae

CLIPS = 2688  # 672 paths
COUNTS = {1: 0.5, 2: 0.25, 3: 0.25}  # references of a clip, and how often
EMPTY = 0.1  # share of captions that are left out
HELD_OUT, SHOWN = (0, 1, 2, 17, 18, 19), (3, 6, 9, 11, 12, 13)  # paths of the judged clips
LEVELS = (0.98, 0.9, 0.75)  # noise levels of the fixed noise; below them the object's place is in the input


def encode(folder: Path, clips: int, seed: int, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Latents of training and judged clips, made where missing: ``[N, 16, 13, 8, 8]`` float16, in model space."""
    network, stem = load_vae(VAE), recipe.latents
    for number in range(clips // SHARD):
        encode_shard(network, number, seed, folder, sized(scene_of, recipe.size), stem)
        print(f"shard {number + 1} of {clips // SHARD}", flush=True)
    encode_shard(network, 0, seed, folder, sized(judge_scene_of, recipe.size), f"{stem}_judged")
    return read_latents(folder, stem)[:clips], read_latents(folder, f"{stem}_judged")


class Batches:
    """Batches by step number."""

    def __init__(
        self, latents: Tensor, seed: int, recipe: Recipe, scene: Callable[[int, int], Scene] = scene_of
    ) -> None:
        from comfy.latent_formats import Wan21  # pyright: ignore[reportMissingImports]

        self.latents, self.seed, self.recipe = latents, seed, recipe
        self.texts = [caption_of(scene(i, seed)) for i in range(len(latents))]
        self.captions, self.format = Captions(), Wan21()

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel of latents as the VAE gives them."""
        raw = self.format.process_out(self.latents[::4].float()).transpose(0, 1).flatten(1)
        return raw.mean(1), raw.std(1)

    def draw(self, step: int) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], list[Reading]]:
        """Latents, context, levels and noise of a step, and what each clip reads: others on the same path."""
        rng = np.random.default_rng((self.seed, 24, step))
        lengths = self.recipe.lengths
        frames = int(rng.choice(list(lengths), p=[share for share, _ in lengths.values()]))
        batch, count = lengths[frames][1], int(rng.choice(list(COUNTS), p=list(COUNTS.values())))
        picks = rng.integers(len(self.latents), size=batch)
        readings = []
        for pick in picks:
            start = pick - pick % CLIPS_A_PATH
            others = [i for i in range(start, start + CLIPS_A_PATH) if i != pick]
            readings.append(self.reading([others[i] for i in rng.permutation(len(others))[:count]], frames))
        texts = ["" if rng.random() < EMPTY else self.texts[i] for i in picks]
        uniform = torch.from_numpy((rng.permutation(batch) + rng.random(batch)) / batch).float()
        sigma = SHIFT * uniform / (1 + (SHIFT - 1) * uniform)
        x0 = self.latents[picks][:, :, :frames].float()
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(self.seed * 10**9 + step))
        return (x0, self.captions(texts), sigma, noise), readings

    def reading(self, clips: list[int], frames: int, read: bool = True) -> Reading:
        """References as the prism takes them, with their captions."""
        latents = self.format.process_out(self.latents[clips][:, :, :frames].float())
        return Reading(tuple(zip(latents, self.captions([self.texts[i] for i in clips]), strict=True)), read)

    def losses(self, network: nn.Module, adapter: ToyAdapter, paths: Sequence[int]) -> dict[str, float]:
        """Mean losses on fixed noise with the right, a wrong and no reference; the first clip of a path is the target.

        The wrong one is that of the next path.
        """
        picks = [path * CLIPS_A_PATH for path in paths]
        others = [*picks[1:], picks[0]]
        readings = {
            "right": [self.reading([pick + 1], 13) for pick in picks],
            "wrong": [self.reading([other + 1], 13) for other in others],
            "none": [self.reading([pick + 1], 13, read=False) for pick in picks],
        }
        x0, context = self.latents[picks].float(), self.captions([self.texts[i] for i in picks])
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(self.seed))
        found = {}
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for name, reading in readings.items():
                levels = (torch.full((len(picks),), level) for level in LEVELS)
                each = [action_loss(network, adapter, (x0, context, level, noise), reading) for level in levels]
                found[name] = float(torch.stack(each).mean())
        return found


def load_base(recipe: Recipe) -> nn.Module:
    """The shipped toy video model of a recipe, frozen, in float32."""
    state, facts = read(recipe.base)
    network = build_network(patch_of(facts))
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.requires_grad_(False).eval()


def patch_of(facts: Mapping[str, str]) -> tuple[int, int, int]:
    """Size of a base's tokens, in latents, from its file's metadata."""
    time, height, width = json.loads(facts["config"])["transformer"]["patch_size"]
    return time, height, width


def train_action(
    folder: Path, seconds: float, seed: int, clips: int = CLIPS, shipped: bool = False, detail: str = "coarse"
) -> None:
    """Train (or go on training) the adapter on a shipped base; ``folder`` gets the latents and the weights.

    Args:
        folder: of the run.
        seconds: all sittings together.
        seed: of weights, batches and noise.
        clips: to encode and train on.
        shipped: start from the coarse base's shipped adapter, which suits a base that was trained on from that one.
        detail: the base, of ``RECIPES``.
    """
    import comfy.model_management  # pyright: ignore[reportMissingImports]

    comfy.model_management.in_training = True  # the host's fused rope has no gradient
    use_fast_attention()
    recipe = RECIPES[detail]
    latents, judged = encode(folder, clips, seed, recipe)
    batches, judge = Batches(latents, seed, recipe), Batches(judged, seed, recipe, judge_scene_of)
    network, adapter = load_base(recipe), ToyAdapter(seed, *batches.statistics())
    if shipped:
        weights = {name: value.float() for name, value in read(ACTIONS)[0].items()}
        adapter.load_state_dict({name: weights[name] for name in adapter.state_dict()})
    plan = replace(recipe.plan, seconds=seconds)
    stage = Stage(adapter, adapter.matrices(), plan, folder / f"{recipe.stem}_state.safetensors")

    def loss_of(step: int, _done: float) -> Tensor:
        if step % recipe.report == 0:
            for name, paths in (("held-out", HELD_OUT), ("shown", SHOWN)):
                print(f"step {step}  {name} motions: {_told(judge.losses(network, adapter, paths))}", flush=True)
        batch, readings = batches.draw(step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return action_loss(network, adapter, batch, readings).mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}", flush=True)
        export(stage, adapter, folder / f"{recipe.stem}.safetensors", seed, recipe, clips)

    stage.run(loss_of, report)


def export(stage: Stage, adapter: ToyAdapter, path: Path, seed: int, recipe: Recipe, clips: int = CLIPS) -> None:
    """Write the averaged weights in fp16, as AICL Load takes them."""
    record = {
        "method": json.dumps(AICL),
        SIZES: sizes_to_text(ADAPTER),
        BASE_FAMILY: "Wan 2.1",
        BASE_MODEL: recipe.name,
        BASE_PATCH: patch_words(patch_of(read(recipe.base)[1])),
        DATA: f"{clips} toy clips on {clips // CLIPS_A_PATH} paths",
        "steps": str(stage.step),
        "seconds": f"{stage.spent:.0f}",
        "seed": str(seed),
        "finished": str(stage.done >= 1.0).lower(),
    }
    write_weights(half(adapter.tensors(stage.averaged())), path, to_metadata(record))


def _told(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())

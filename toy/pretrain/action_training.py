"""Training of the toy adapter: the captions tell the object, only the references tell how it moves."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ...training.aicl.file import BASE_FAMILY, BASE_MODEL, DATA, SIZES
from ...training.aicl.reading import Reading
from ...training.aicl.sizes import sizes_to_text
from ...training.core.methods import AICL
from ...training.lora.metadata import to_metadata
from ..weights import ACTIONS, BASE, SHIFT, VAE, read
from ..world import Scene
from .action import SIZES as ADAPTER
from .action import ToyAdapter, action_loss, half
from .action_world import CLIPS_A_PATH, caption_of, judge_scene_of, scene_of
from .base import build_network, use_fast_attention
from .captions import Captions
from .latents import SHARD, encode_shard, read_latents
from .loop import Plan, Stage, write_weights
from .vae import load_vae

CLIPS = 2688  # 672 paths
BATCH = 12
LENGTHS = {7: 0.4, 13: 0.6}  # latent frames, and how often
COUNTS = {1: 0.5, 2: 0.25, 3: 0.25}  # references of a clip, and how often
EMPTY = 0.1  # share of captions that are left out
HELD_OUT, SHOWN = (0, 1, 2, 17, 18, 19), (3, 6, 9, 11, 12, 13)  # paths of the judged clips
LEVELS = (0.98, 0.9, 0.75)  # noise levels of the fixed noise; below them the object's place is in the input
REPORT = 250  # steps between two looks at right, wrong and no reference


def encode(folder: Path, clips: int, seed: int) -> tuple[Tensor, Tensor]:
    """Latents of training and judged clips, made where missing: ``[N, 16, 13, 8, 8]`` float16, in model space."""
    network = load_vae(VAE)
    for number in range(clips // SHARD):
        encode_shard(network, number, seed, folder, scene_of, "action")
        print(f"shard {number + 1} of {clips // SHARD}", flush=True)
    encode_shard(network, 0, seed, folder, judge_scene_of, "action_judged")
    return read_latents(folder, "action"), read_latents(folder, "action_judged")


class Batches:
    """Batches by step number."""

    def __init__(self, latents: Tensor, seed: int, scene: Callable[[int, int], Scene] = scene_of) -> None:
        from comfy.latent_formats import Wan21  # pyright: ignore[reportMissingImports]

        self.latents, self.seed = latents, seed
        self.texts = [caption_of(scene(i, seed)) for i in range(len(latents))]
        self.captions, self.format = Captions(), Wan21()

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel of latents as the VAE gives them."""
        raw = self.format.process_out(self.latents[::4].float()).transpose(0, 1).flatten(1)
        return raw.mean(1), raw.std(1)

    def draw(self, step: int) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], list[Reading]]:
        """Latents, context, levels and noise of a step, and what each clip reads: others on the same path."""
        rng = np.random.default_rng((self.seed, 24, step))
        frames, count = (int(rng.choice(list(odds), p=list(odds.values()))) for odds in (LENGTHS, COUNTS))
        picks = rng.integers(len(self.latents), size=BATCH)
        readings = []
        for pick in picks:
            start = pick - pick % CLIPS_A_PATH
            others = [i for i in range(start, start + CLIPS_A_PATH) if i != pick]
            readings.append(self.reading([others[i] for i in rng.permutation(len(others))[:count]], frames))
        texts = ["" if rng.random() < EMPTY else self.texts[i] for i in picks]
        uniform = torch.from_numpy((rng.permutation(BATCH) + rng.random(BATCH)) / BATCH).float()
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


def load_base() -> nn.Module:
    """The shipped toy video model, frozen, in float32."""
    state, facts = read(BASE)
    network = build_network(tuple(json.loads(facts["config"])["transformer"]["patch_size"]))
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network.requires_grad_(False).eval()


def train_action(folder: Path, seconds: float, seed: int, clips: int = CLIPS, shipped: bool = False) -> None:
    """Train (or go on training) the adapter on the shipped base; ``folder`` gets the latents and the weights.

    With ``shipped`` it starts from the shipped adapter, which suits a base that was trained on from the one before.
    """
    import comfy.model_management  # pyright: ignore[reportMissingImports]

    comfy.model_management.in_training = True  # the host's fused rope has no gradient
    use_fast_attention()
    latents, judged = encode(folder, clips, seed)
    batches, judge = Batches(latents, seed), Batches(judged, seed, judge_scene_of)
    network, adapter = load_base(), ToyAdapter(seed, *batches.statistics())
    if shipped:
        weights = {name: value.float() for name, value in read(ACTIONS)[0].items()}
        adapter.load_state_dict({name: weights[name] for name in adapter.state_dict()})
    plan = Plan(seconds, rate=2e-3, other_rate=1e-3, constant=0.5, average=0.998)
    stage = Stage(adapter, adapter.matrices(), plan, folder / "action_state.safetensors")

    def loss_of(step: int, _done: float) -> Tensor:
        if step % REPORT == 0:
            for name, paths in (("held-out", HELD_OUT), ("shown", SHOWN)):
                print(f"step {step}  {name} motions: {_told(judge.losses(network, adapter, paths))}", flush=True)
        batch, readings = batches.draw(step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return action_loss(network, adapter, batch, readings).mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}", flush=True)
        export(stage, adapter, folder / "action.safetensors", seed, clips)

    stage.run(loss_of, report)


def export(stage: Stage, adapter: ToyAdapter, path: Path, seed: int, clips: int = CLIPS) -> None:
    """Write the averaged weights in fp16, as AICL Load takes them."""
    record = {
        "method": json.dumps(AICL),
        SIZES: sizes_to_text(ADAPTER),
        BASE_FAMILY: "Wan 2.1",
        BASE_MODEL: "the toy video model",
        DATA: f"{clips} toy clips on {clips // CLIPS_A_PATH} paths",
        "steps": str(stage.step),
        "seconds": f"{stage.spent:.0f}",
        "seed": str(seed),
        "finished": str(stage.done >= 1.0).lower(),
    }
    write_weights(half(adapter.tensors(stage.averaged())), path, to_metadata(record))


def _told(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())

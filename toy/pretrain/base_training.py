"""Pre-training of the toy video model on latents of the toy world."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .base import CONFIG, build_network, flow_loss, use_fast_attention
from .captions import Captions, vary_caption
from .latents import read_latents, scene_of
from .loop import Plan, Stage, write_weights

BATCH = 16
LENGTHS = {1: 0.04, 7: 0.26, 10: 0.20, 13: 0.50}  # latent frames, and how often
SHIFTS = (5.0, 3.0)  # of the levels drawn, in the first 70 % of the time and after
LOADED = ("num_heads", "text_dim", "patch_size")  # what the host cannot read off the weights


class Batches:
    """Batches by step number; reads shards that were added in the meantime."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.captions = Captions()
        self.data, self.read = read_latents(folder), time.monotonic()

    def draw(self, step: int, done: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latents ``[B, 16, T, 8, 8]``, context ``[B, 77, 64]``, levels ``[B]`` and noise of a step."""
        if done < 0.6 and time.monotonic() - self.read > 60:
            self.data, self.read = read_latents(self.folder), time.monotonic()
        rng = np.random.default_rng((self.seed, 7, step))
        frames = int(rng.choice(list(LENGTHS), p=list(LENGTHS.values())))
        count = BATCH * (4 if frames == 1 else 1)
        picks = rng.integers(len(self.data), size=count)
        x0 = self.data[picks][:, :, :frames].float()
        texts = [vary_caption(scene_of(int(i), self.seed), rng) for i in picks]
        uniform = torch.from_numpy((rng.permutation(count) + rng.random(count)) / count).float()
        shift = SHIFTS[done >= 0.7]
        sigma = shift * uniform / (1 + (shift - 1) * uniform)
        noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(self.seed * 10**9 + step))
        return x0, self.captions(texts), sigma, noise


def train_base(folder: Path, seconds: float, seed: int) -> None:
    """Train (or go on training) the video model; ``folder`` holds the latents and gets the weights."""
    import comfy.model_management  # pyright: ignore[reportMissingImports]

    comfy.model_management.in_training = True  # the host's fused rope has no gradient
    use_fast_attention()
    torch.manual_seed(seed)
    network = build_network()
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    plan = Plan(seconds, rate=3e-3, other_rate=1.5e-3, constant=0.35, average=0.9985)
    stage = Stage(network, matrices, plan, folder / "base_state.safetensors")
    batches = Batches(folder, seed)

    def loss_of(step: int, done: float) -> Tensor:
        drawn = batches.draw(step, done)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return flow_loss(network, *drawn).mean()

    def report(stage: Stage, loss: float) -> None:
        print(f"{stage.spent:6.0f} s  step {stage.step}  loss {loss:.4f}  clips {len(batches.data)}", flush=True)
        export(stage, folder / "base.safetensors", seed)

    stage.run(loss_of, report)


def export(stage: Stage, path: Path, seed: int) -> None:
    """Write the averaged weights in bfloat16 with what the host's loader must be told."""
    config = {"transformer": {name: CONFIG[name] for name in LOADED}}
    weights = {name: value.to(torch.bfloat16) for name, value in stage.averaged().items()}
    facts = {"step": str(stage.step), "seconds": f"{stage.spent:.0f}", "seed": str(seed)}
    write_weights(weights, path, {"config": json.dumps(config), **facts})

"""Time of our training step divided by that of a bare loop (``bare_loop.py``); the goal is 1.05 or less.

    COMFYUI_PATH=... python scripts/bench/training_step.py [--dim 256] [--layers 4] [--steps 20] [--threads 1]

Both train the same adapters on a network of the host's Wan class, fp32, one step of each in turn.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import bare_loop, host_pack

RANK, BATCH, CLIPS, TEXT_DIM, TOKENS = 16, 2, 6, 64, 16
COUNTS = (1, 3, 4)  # condition, buffer and target latents


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=256, help="width of the network")
    parser.add_argument("--layers", type=int, default=4, help="blocks of the network")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    parser.add_argument("--steps", type=int, default=20, help="measured steps of each")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    return parser.parse_args()


def timed(step: Callable[[], Any]) -> float:
    """Seconds one call takes."""
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def our_step(session: Any, clips: list, texts: list, layout: Any, config: Any) -> Callable[[], Any]:
    """A step of the loop with objective, predictor and adapters as in a run."""
    from pack.training.core.optimizers import make_optimizer
    from pack.training.core.step import train_step
    from pack.training.tic_ft.objective import TicftObjective, TicftRecipe

    conditioning = [{"cross_attn": text} for text in texts]
    objective = TicftObjective(clips, conditioning, conditioning[0], TicftRecipe("custom", layout), config)
    parameters = list(session.trained.parameters())
    optimizer, _ = make_optimizer(parameters, config)
    steps = iter(range(config.steps))
    return lambda: train_step(objective, session.predict, parameters, optimizer, config, next(steps))


def bare_network(path: Path) -> Any:
    """The same network with ordinary tensors, on its own."""
    import comfy.sd

    return comfy.sd.load_diffusion_model(str(path)).model.diffusion_model


def main() -> None:
    """Measure and print."""
    options = parse()
    host_pack.start(options.threads)
    import comfy.sd
    import torch

    from pack.methods.tic_ft import Layout
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig

    layout = Layout.linear(*COUNTS)
    config = TrainConfig(rank=RANK, batch_size=BATCH, steps=options.steps + 3)
    clips = [torch.randn(16, layout.frames, options.size, options.size) for _ in range(CLIPS)]
    texts = [torch.randn(TOKENS, TEXT_DIM) for _ in range(CLIPS)]
    with tempfile.TemporaryDirectory() as folder:
        path = host_pack.random_wan(Path(folder), options.dim, options.layers, TEXT_DIM)
        with torch.inference_mode():
            model = comfy.sd.load_diffusion_model(str(path))
        network = bare_network(path)
    with training_session(video_model(model), config) as session:
        ours = our_step(session, clips, texts, layout, config)
        bare = bare_loop.make_step(network, clips, texts, layout.max_sigmas(), layout.prefix, RANK, BATCH)
        for step in (ours, bare, ours, bare):  # warm-up
            step()
        times = [(timed(ours), timed(bare)) for _ in range(options.steps)]
    report(options, model, times)


def report(options: argparse.Namespace, model: Any, times: list[tuple[float, float]]) -> None:
    """Print both medians and their ratio."""
    ours, bare = (statistics.median(column) for column in zip(*times, strict=True))
    size = sum(parameter.numel() for parameter in model.model.diffusion_model.parameters()) / 1e6
    side = options.size
    print(f"Wan class, {size:.1f} M parameters, {sum(COUNTS)} latents of {side}x{side}, batch {BATCH}")
    print(f"fp32, {options.threads} thread(s), rank {RANK}, medians of {len(times)} interleaved steps")
    print(f"ours {ours * 1000:.1f} ms   bare loop {bare * 1000:.1f} ms   ratio {ours / bare:.3f} (goal <= 1.05)")


if __name__ == "__main__":
    main()

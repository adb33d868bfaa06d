"""Where the published TIC-FT code leaves its own rule, in figures; docs/published_tic_ft.md explains them.

    python scripts/bench/published_differences.py [--steps 50] [--seed 0]

Runs diffusers' schedulers the way the authors' code does, no network and no weights; seconds on a CPU. With
COMFYUI_PATH set it also compares where CogVideoX's tokens lie.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT)]  # also when loaded by path

LEVELS = (0.25, 0.5, 0.75)  # of three buffers, in training


def wan_scheduler(shift: float) -> Any:
    """UniPC with the settings of the published Wan 2.1 checkpoints."""
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)


def cogvideox_scheduler(snr_shift: float) -> Any:
    """DDIM with the settings of the published CogVideoX checkpoints, 5B (SNR shift 1) and 2B (3)."""
    from diffusers import CogVideoXDDIMScheduler

    return CogVideoXDDIMScheduler(
        beta_schedule="scaled_linear", prediction_type="v_prediction", rescale_betas_zero_snr=True,
        timestep_spacing="trailing", clip_sample=False, snr_shift_scale=snr_shift,
    )  # fmt: skip


def picked(timesteps: Tensor, level: float) -> Tensor:
    """The timestep that the authors' code takes for a level: a position in the scheduler's list."""
    return timesteps[int(len(timesteps) * (1.0 - level))]


def level_drift(steps: int) -> Iterator[list[str]]:
    """Sigmas at which Wan's buffers are held: trained, by position in the list, and by this pack."""
    from methods.tic_ft import Layout, insert_levels

    yield ["flow shift", "trained", "published code", "this pack"]
    for shift in (1.0, 3.0, 5.0):
        scheduler = wan_scheduler(shift)
        scheduler.set_timesteps(steps)
        theirs = [scheduler.sigmas[:-1][scheduler.timesteps == picked(scheduler.timesteps, level)] for level in LEVELS]
        points = insert_levels(scheduler.sigmas.tolist(), Layout.linear(1, 3, 9))
        ours = [min(points, key=lambda point, level=level: abs(point - level)) for level in LEVELS]
        yield [f"{shift:g}", *(" ".join(f"{float(level):.3f}" for level in row) for row in (LEVELS, theirs, ours))]


def shrinking_condition() -> Iterator[list[str]]:
    """What is left of a CogVideoX frame whose velocity is set to zero at every step."""
    yield ["SNR shift", "steps", "condition, end", "first buffer, at its release"]
    for snr_shift in (1.0, 3.0):
        for steps in (20, 50):
            scheduler = cogvideox_scheduler(snr_shift)
            scheduler.set_timesteps(steps)
            frame, released = torch.ones(1, dtype=torch.float64), torch.ones(1)
            for t in scheduler.timesteps:
                if t == picked(scheduler.timesteps, LEVELS[0]):
                    released = frame
                frame = scheduler.step(torch.zeros_like(frame), t, frame).prev_sample
            losses = [f"-{100 * (1 - float(value)):.1f} %" for value in (frame, released)]
            yield [f"{snr_shift:g}", str(steps), *losses]


def first_sample(steps: int) -> Iterator[list[str]]:
    """Buffers of the first sample of a process, which are noised before the scheduler has its steps."""
    yield ["buffer", "Wan, meant", "Wan, first sample", "CogVideoX, noised at", "CogVideoX, released at"]
    wan, fresh, set_up = wan_scheduler(3.0), cogvideox_scheduler(1.0), cogvideox_scheduler(1.0)
    set_up.set_timesteps(steps)
    for number, level in enumerate(LEVELS, 1):
        timestep = picked(wan.timesteps, level)[None]
        one, zero = torch.ones(1), torch.zeros(1)
        clean, noise = wan.add_noise(one, zero, timestep), wan.add_noise(zero, one, timestep)
        yield [
            str(number),
            f"{1 - level:.2f} x0 + {level:.2f} noise",
            f"{float(clean):.2f} x0 + {float(noise):.2f} noise",
            *(f"timestep {int(picked(scheduler.timesteps, level))}" for scheduler in (fresh, set_up)),
        ]


def history(steps: int, seed: int) -> Iterator[list[str]]:
    """How far UniPC takes a released buffer off its line, though the network tells it the line's own direction."""
    yield ["flow shift", "frame", "largest distance from its line, standard deviations of x0 or noise"]
    generator = torch.Generator().manual_seed(seed)
    for shift in (1.0, 3.0, 5.0):
        for level in (*LEVELS, 1.0):
            x0, noise = torch.randn(2, 1, 1, 100_000, generator=generator, dtype=torch.float64)
            name = f"buffer of {level:g}" if level < 1 else "never held"
            yield [f"{shift:g}", name, f"{_distance(shift, level, steps, x0, noise):.3f}"]


def _distance(shift: float, level: float, steps: int, x0: Tensor, noise: Tensor) -> float:
    scheduler = wan_scheduler(shift)
    scheduler.set_timesteps(steps)
    release = picked(scheduler.timesteps, level)
    start = scheduler.sigmas[:-1][scheduler.timesteps == release].double()
    x, furthest = (1 - start) * x0 + start * noise, 0.0
    for t, following in zip(scheduler.timesteps, scheduler.sigmas[1:].double(), strict=True):
        x = scheduler.step(torch.zeros_like(x) if t > release else noise - x0, t, x).prev_sample
        s = torch.minimum(following, start)
        furthest = max(furthest, float((x - (1 - s) * x0 - s * noise).square().mean().sqrt()))
    return furthest


def dropped_seeds() -> Iterator[list[str]]:
    """Noise of two processes that were given the same seed."""
    from diffusers.utils.torch_utils import randn_tensor

    yield ["", "seed is used", "same noise in two processes"]
    for name, keeps in (("published code", torch.device("cuda") == "cuda"), ("passed on", True)):
        runs = []
        for process in (1, 2):
            torch.manual_seed(process)  # what else a process has drawn
            generator = torch.Generator().manual_seed(42)
            runs.append(randn_tensor((1000,), generator=generator if keeps else None))
        yield [name, "yes" if keeps else "no", "yes" if torch.equal(*runs) else "no"]


def position_ids() -> Iterator[list[str]]:
    """Rows of tokens in CogVideoX, 480 x 720 pixels: diffusers' pipeline beside ComfyUI and this pack."""
    from parts import host_pack

    host_pack.start(1)
    import comfy.ops
    from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    from pack.nodes.host.model.rope import rotary_embeddings

    yield ["CogVideoX", "rows in diffusers", "rows in ComfyUI", "rows with this pack"]
    height, width, head = 30, 45, 64
    slices = {"grid_type": "slice", "max_size": (48, 85)}
    for name, time_patch, options in (("1.0", None, {}), ("1.5", 2, slices)):
        network = CogVideoXTransformer3DModel(
            num_attention_heads=1, num_layers=1, time_embed_dim=16, text_embed_dim=32, patch_size_t=time_patch,
            use_rotary_positional_embeddings=True, operations=comfy.ops.disable_weight_init, dtype=torch.float32,
        )  # fmt: skip
        theirs = get_3d_rotary_pos_embed(head, ((0, 0), (height, width)), (height, width), 3, **options)
        cpu = torch.device("cpu")
        host = network._get_rotary_emb(height, width, 3, cpu)
        tables = (theirs, host, host if time_patch else rotary_embeddings(head, height, width, 3, cpu))
        yield [name, *(" ".join(f"{row:.4g}" for row in _rows(*table, (3, height, width, head))) for table in tables)]


def _rows(cos: Tensor, sin: Tensor, shape: tuple[int, ...]) -> list[float]:
    """The first five rows, from the angle of the slowest pair of channels that turns with them."""
    channel, slowest = 16 + 22, 10000.0 ** -(22 / 24)  # 16 channels of time, then 24 of rows
    angle = torch.atan2(sin.view(shape)[0, :5, 0, channel], cos.view(shape)[0, :5, 0, channel])
    return (angle / slowest).tolist()


def show(title: str, rows: Iterator[list[str]]) -> None:
    """Print a table of Markdown."""
    head, *body = rows
    print(f"\n{title}\n")
    for row in (head, ["---"] * len(head), *body):
        print("| " + " | ".join(row) + " |")


def main() -> None:
    """Print the tables."""
    import diffusers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50, help="sampler steps; the authors' scripts take 50")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(f"diffusers {diffusers.__version__}, torch {torch.__version__}, {options.steps} steps, seed {options.seed}")
    tables: dict[str, Callable[[], Iterator[list[str]]]] = {
        "Levels of Wan's buffers": lambda: level_drift(options.steps),
        "Frames of CogVideoX held by a velocity of zero": shrinking_condition,
        "Buffers of a process's first sample": lambda: first_sample(options.steps),
        "Buffers of Wan after their release": lambda: history(options.steps, options.seed),
        "Seeds": dropped_seeds,
    }
    for title, rows in tables.items():
        show(title, rows())
    if os.environ.get("COMFYUI_PATH"):
        show("Position ids of CogVideoX's tokens", position_ids())


if __name__ == "__main__":
    main()

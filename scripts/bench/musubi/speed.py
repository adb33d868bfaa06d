"""Our training step beside musubi-tuner's own Wan network with its LoRA and checkpointing: time, growth with length.

    COMFYUI_PATH=... python scripts/bench/musubi/speed.py --musubi CHECKOUT [--frames 13 25 37 49] [--rounds 3]
        [--clock cpu]

The checkout is of kohya-ss/musubi-tuner; nothing in it is changed. Times are medians over rounds in which every trainer
makes one step in one process, after one that is not counted. All train the same number of LoRA weights, on the
attention projections, with AdamW, clipping, batch 1, TIC-FT's noise and its loss on the target frames; clips and texts
are tensors in memory. First both are given the same weights and the same LoRA: outputs and gradients are compared.

What differs from a run of musubi's, here for the sake of equal work: its loop is a bare one, without accelerator, data
and logs; by default it trains the feed-forward layers, too, and takes the loss on all frames; it fills prompts up to
512 tokens, which are 16 in both here.

What differs between the two: its attention is its mode "torch", which computes in bf16 also where all else is fp32, and
its RoPE is in fp64. Its "bf16" is autocast over weights in bf16, as it recommends, but for the time embedding and the
affine norms, whose weights are fp32 here because only a card's autocast would cast them; ours is the host's network
with its weights in bf16. The LoRA is fp32 in all. With checkpointing it asks for gradients of its inputs, as its
trainer does. TIC-FT's loss reaches only the last block's target frames, of which ours may make use.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

import musubi_alike
import musubi_network
import torch
from parts import host_pack, train_modes
from parts.train_modes import TEXT_DIM, Work

from train import CLOCKS, times_of

# Ours, musubi's, and the most of its time ours should take.
GOALS = (
    ("ours, bf16", "musubi, bf16", 0.74),
    ("ours, bf16, blocks", "musubi, bf16, checkpointing", 0.65),
    ("ours, bf16, keep attention", "musubi, bf16, checkpointing", 0.65),
    ("ours", "musubi, fp32", 0.74),
    ("ours, blocks", "musubi, fp32, checkpointing", 0.65),
)
MODES = tuple(dict.fromkeys(name for ours, theirs, _ in GOALS for name in (ours, theirs)))


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--musubi", type=Path, required=True, help="a checkout of kohya-ss/musubi-tuner")
    parser.add_argument("--dim", type=int, default=512, help="width of the network")
    parser.add_argument("--layers", type=int, default=12, help="blocks of the network")
    parser.add_argument("--frames", type=int, nargs="+", default=[13, 25, 37, 49], help="latent frames")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    parser.add_argument("--rank", type=int, default=16, help="rank of the adapters")
    parser.add_argument("--rounds", type=int, default=3, help="measured steps of each")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="what a second is")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES, help="which trainers")
    return parser.parse_args()


def measure(options: argparse.Namespace, path: Path, frames: int) -> dict[str, float]:
    """Seconds of a step of every trainer, printed."""
    makers = {}
    for mode in options.modes:
        dtype = torch.bfloat16 if "bf16" in mode else torch.float32
        work = Work(path, options.layers, frames, options.size, options.rank, options.threads, dtype)
        make = partial(musubi_network.make, dim=options.dim) if mode in musubi_network.BF16 else train_modes.make
        makers[mode] = partial(make, mode, work)
    times = times_of(makers, options.rounds, CLOCKS[options.clock])
    tokens = frames * (options.size // 2) ** 2
    print(f"\n{frames} latents of {options.size}x{options.size}: {tokens} tokens")
    for mode, seconds in times.items():
        print(f"{mode:32}{seconds:9.3f} s a step{1000 * seconds / tokens:9.3f} ms a token", flush=True)
    for ours, theirs, goal in GOALS:
        if ours in times and theirs in times:
            ratio = times[ours] / times[theirs]
            met = "reached" if ratio <= goal else "MISSED"
            print(f"{ours} / {theirs}: {ratio:.3f} (goal <= {goal:g}) {met}", flush=True)
    return times


def main() -> None:
    """Compare, measure and print."""
    options = parse()
    host_pack.start(options.threads)
    musubi_network.start(options.musubi)
    with tempfile.TemporaryDirectory() as folder:
        path = host_pack.random_wan(Path(folder), options.dim, options.layers, TEXT_DIM)
        first = options.frames[0]
        work = Work(path, options.layers, first, options.size, options.rank, options.threads)
        print(
            f"Wan class, width {options.dim}, {options.layers} blocks, rank {options.rank}, {options.threads} thread(s)"
        )
        for name, (outputs, gradients) in musubi_alike.differences(work, options.dim).items():
            print(f"fp32, {name}: outputs {outputs:.1e} apart, gradients of the LoRA {gradients:.1e}", flush=True)
        for frames in options.frames:
            measure(options, path, frames)


if __name__ == "__main__":
    main()

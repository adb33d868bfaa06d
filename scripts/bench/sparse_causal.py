"""Time and memory of sparse-causal attention over the frames of a clip, beside attention over all of its tokens.

    COMFYUI_PATH=... python scripts/bench/sparse_causal.py [--size 8] [--channels 320] [--frames 8 16 32 64]

One self-attention layer of the host's class, fp32 on the CPU and fp16 on a GPU. Each grows like the number of frames
to some power, fitted over all counts; the goal for sparse-causal attention is 1.1 or less.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

MIB = 2**20
HEADS = 8


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=8, help="latent height and width")
    parser.add_argument("--channels", type=int, default=320, help="width of the layer")
    parser.add_argument("--frames", type=int, nargs="+", default=[8, 16, 32, 64], help="frames of a clip")
    parser.add_argument("--repeats", type=int, default=5, help="measured runs of each, the median counts")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    return parser.parse_args()


def timed(run: Callable[[], Any]) -> float:
    """Seconds that a call takes on the GPU; on the CPU those of this process alone, whatever else is running."""
    import torch

    if not torch.cuda.is_available():
        begin = time.process_time()
        run()
        return time.process_time() - begin
    torch.cuda.synchronize()
    begin = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - begin


def peak(run: Callable[[], Any]) -> float:
    """MiB that torch has allocated at most during a call, beside what was there."""
    import torch

    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return (torch.cuda.max_memory_allocated() - before) / MIB
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    now = most = 0
    results: Any = record.profiler
    for event in results.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    return most / MIB


def exponent(frames: list[int], values: list[float]) -> float:
    """Power of the number of frames that the values grow with: the slope of their logarithms."""
    across, up = [math.log(count) for count in frames], [math.log(value) for value in values]
    return statistics.linear_regression(across, up).slope


def layer_runs(channels: int) -> dict[str, Callable[[Any], Any]]:
    """The same layer with either attention, for tokens ``[F, N, D]``."""
    import comfy.ops
    import torch
    from comfy.ldm.modules.attention import CrossAttention

    from pack.nodes.host.tune_a_video.clip_attention import sparse_causal_forward

    gpu = torch.cuda.is_available()
    place = {"device": "cuda" if gpu else "cpu", "dtype": torch.float16 if gpu else torch.float32}
    heads = {"heads": HEADS, "dim_head": channels // HEADS}
    layer = CrossAttention(channels, **heads, **place, operations=comfy.ops.disable_weight_init)
    for parameter in layer.parameters():
        parameter.data = torch.randn_like(parameter) / channels**0.5

    def sparse(tokens: Any) -> Any:
        options = {"cond_or_uncond": [0], "activations_shape": [len(tokens)]}
        return sparse_causal_forward(layer.forward, tokens, transformer_options=options)

    def full(tokens: Any) -> Any:
        return layer(tokens.flatten(0, 1)[None]).view(tokens.shape)

    return {"sparse-causal": sparse, "full": full}


def measure(options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Seconds and MiB of both, for each number of frames; one run of each in turn."""
    import torch

    runs = layer_runs(options.channels)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    gpu = torch.cuda.is_available()
    for frames in options.frames:
        tokens = torch.randn(frames, options.size**2, options.channels)
        tokens = tokens.cuda().half() if gpu else tokens
        calls = {name: (lambda run=run, tokens=tokens: run(tokens)) for name, run in runs.items()}
        for call in calls.values():
            call()  # warm-up
        times = {name: [] for name in runs}
        for _ in range(options.repeats):
            for name, call in calls.items():
                times[name].append(timed(call))
        for name, call in calls.items():
            found[name].append((statistics.median(times[name]), peak(call)))
    return found


def main() -> None:
    """Measure and print."""
    options = parse()
    host_pack.start(options.threads)
    import torch

    with torch.inference_mode():
        found = measure(options)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {options.threads} thread(s)"
    print(f"one layer, {options.channels} channels, {options.size} x {options.size} tokens a frame, {device}")
    print(f"medians of {options.repeats} interleaved runs")
    for name, values in found.items():
        for frames, (seconds, memory) in zip(options.frames, values, strict=True):
            print(f"{name:14} {frames:3} frames {seconds * 1000:9.1f} ms {memory:8.1f} MiB")
    for name, values in found.items():
        seconds, memory = (exponent(options.frames, list(column)) for column in zip(*values, strict=True))
        print(f"{name:14} grows with frames to the power {seconds:.2f} in time and {memory:.2f} in memory")


if __name__ == "__main__":
    main()

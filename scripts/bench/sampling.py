"""What a TIC-FT context costs: time per network evaluation beside plain sampling, and extra evaluations.

    COMFYUI_PATH=... python scripts/bench/sampling.py [--steps 8] [--rounds 15] [--threads 1]

Runs of both kinds take turns, so that a machine that grows slower treats them alike. The goals are a ratio
of 1.02 or less, and no more extra evaluations of a sampler's step than there are buffers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

COUNTS = (1, 3, 9)  # condition, buffer and target latents
SIZE, TEXT_DIM, TOKENS = 8, 64, 16  # latent pixels, width and length of the prompt
SAMPLERS = ("euler", "dpmpp_2m", "uni_pc", "heun", "dpmpp_2m_sde")


class Bench:
    """One sampler run at a time, timed, with the network's evaluations counted."""

    def __init__(self, model: Any, steps: int) -> None:
        import torch

        from pack.methods.tic_ft import Layout
        from pack.nodes.host.sampling.wrappers import Context

        self.steps = steps
        # On the CPU its own time counts, which other programs disturb least.
        self.clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        layout = Layout.linear(*COUNTS)
        generator = torch.Generator().manual_seed(1)
        shape = (1, 16, layout.frames, SIZE, SIZE)
        self.noise = torch.randn(shape, generator=generator)
        self.latent = torch.randn(shape, generator=generator)
        self.prompt = [[torch.randn(1, TOKENS, TEXT_DIM, generator=generator), {}]]
        context = Context(layout, self.latent[:, :, : layout.prefix].clone())
        self.models = {"plain": self._counted(model), "TIC-FT": self._counted(context.put_on(model))}

    def _counted(self, model: Any) -> Any:
        from comfy.patcher_extension import WrappersMP

        def count(executor: Any, *args: Any, **kwargs: Any) -> Any:
            self.evaluations += 1
            return executor(*args, **kwargs)

        clone = model.clone()
        clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)
        return clone

    def run(self, kind: str, sampler: str) -> tuple[float, int]:
        """Seconds and evaluations of one run."""
        import comfy.sample
        import torch

        self.evaluations = 0
        begin = self.clock()
        with torch.inference_mode():
            comfy.sample.sample(
                self.models[kind], self.noise, self.steps, 1.0, sampler, "simple", self.prompt, self.prompt,
                self.latent, seed=0, disable_pbar=True,
            )  # fmt: skip
        return self.clock() - begin, self.evaluations


def compare(bench: Bench, sampler: str, rounds: int) -> tuple[dict[str, float], dict[str, int], float]:
    """Median seconds an evaluation, evaluations a run, and the median ratio of neighbouring runs."""
    each: dict[str, list[float]] = {kind: [] for kind in bench.models}
    counts = {kind: bench.run(kind, sampler)[1] for kind in bench.models}  # warm-up
    for i in range(rounds):
        for kind in list(bench.models)[:: 1 if i % 2 else -1]:
            seconds, evaluations = bench.run(kind, sampler)
            each[kind].append(seconds / evaluations)
    ratio = statistics.median(b / a for a, b in zip(each["plain"], each["TIC-FT"], strict=True))
    return {kind: statistics.median(values) for kind, values in each.items()}, counts, ratio


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=256, help="width of the network")
    parser.add_argument("--layers", type=int, default=5, help="blocks of the network")
    parser.add_argument("--steps", type=int, default=8, help="sampler steps")
    parser.add_argument("--rounds", type=int, default=15, help="measured runs of each kind and sampler")
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, help="the host's names of them")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    options = parse()
    host_pack.start(options.threads)
    import comfy.sd

    with tempfile.TemporaryDirectory() as folder:
        file = host_pack.random_wan(Path(folder), options.dim, options.layers, TEXT_DIM)
        bench = Bench(comfy.sd.load_diffusion_model(str(file)), options.steps)
    print(
        f"{COUNTS} latents of {SIZE} x {SIZE}, dim {options.dim}, {options.layers} layers, {options.steps} steps, "
        f"{options.rounds} rounds, {options.threads} thread(s)"
    )
    print("| sampler | plain ms/evaluation | TIC-FT ms/evaluation | ratio | evaluations | with TIC-FT |")
    print("|---|---|---|---|---|---|")
    for sampler in options.samplers:
        seconds, counts, ratio = compare(bench, sampler, options.rounds)
        times = " | ".join(f"{1e3 * seconds[kind]:.2f}" for kind in ("plain", "TIC-FT"))
        print(f"| {sampler} | {times} | {ratio:.3f} | {counts['plain']} | {counts['TIC-FT']} |")


if __name__ == "__main__":
    main()

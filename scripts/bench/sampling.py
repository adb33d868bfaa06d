"""What a TIC-FT context costs: time per network evaluation beside plain sampling, and extra evaluations.

    COMFYUI_PATH=... python scripts/bench/sampling.py [--steps 4 8] [--rounds 15] [--against COMMIT]

TIC-FT is sampled with a step more at each buffer's level, and without ("no extra steps" of TIC-FT Context). Runs of all
kinds take turns, so that a machine that grows slower treats them alike. The goals are a ratio of 1.02 or less, no more
extra evaluations of a sampler's step than there are buffers, and none without extra steps. The last column is what a
whole run without extra steps takes, divided by one with them. With --against, TIC-FT as it was at that commit takes
turns, too.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

COUNTS = (1, 3, 9)  # condition, buffer and target latents
SIZE, TEXT_DIM, TOKENS = 8, 64, 16  # latent pixels, width and length of the prompt
PLAIN, TICFT, NO_EXTRA, EARLIER = "plain", "TIC-FT", "TIC-FT, no extra steps", "TIC-FT before"
SAMPLERS = ("euler", "dpmpp_2m", "uni_pc", "heun", "dpmpp_2m_sde")


class Bench:
    """One sampler run at a time, timed, with the network's evaluations counted."""

    def __init__(self, model: Any, before: bool) -> None:
        import torch

        # On the CPU its own time counts, which other programs disturb least.
        self.clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        generator = torch.Generator().manual_seed(1)
        shape = (1, 16, sum(COUNTS), SIZE, SIZE)
        self.noise = torch.randn(shape, generator=generator)
        self.latent = torch.randn(shape, generator=generator)
        self.prompt = [[torch.randn(1, TOKENS, TEXT_DIM, generator=generator), {}]]
        self.models = {
            PLAIN: self._counted(model),
            TICFT: self._counted(self._with_context(model, "pack")),
            NO_EXTRA: self._counted(self._with_context(model, "pack", extra_steps=False)),
        }
        if before:
            self.models[EARLIER] = self._counted(self._with_context(model, host_pack.BEFORE))

    def _with_context(self, model: Any, package: str, **options: Any) -> Any:
        layout = importlib.import_module(f"{package}.methods.tic_ft").Layout.linear(*COUNTS)
        wrappers = importlib.import_module(f"{package}.nodes.host.sampling.wrappers")
        return wrappers.Context(layout, self.latent[:, :, : layout.prefix].clone(), **options).put_on(model)

    def _counted(self, model: Any) -> Any:
        from comfy.patcher_extension import WrappersMP

        def count(executor: Any, *args: Any, **kwargs: Any) -> Any:
            self.evaluations += 1
            return executor(*args, **kwargs)

        clone = model.clone()
        clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "count", count)
        return clone

    def run(self, kind: str, sampler: str, steps: int) -> tuple[float, int]:
        """Seconds and evaluations of one run."""
        import comfy.sample
        import torch

        self.evaluations = 0
        begin = self.clock()
        with torch.inference_mode():
            comfy.sample.sample(
                self.models[kind], self.noise, steps, 1.0, sampler, "simple", self.prompt, self.prompt,
                self.latent, seed=0, disable_pbar=True,
            )  # fmt: skip
        return self.clock() - begin, self.evaluations


@dataclass(frozen=True)
class Row:
    """What one sampler takes, by kind of run."""

    seconds: dict[str, float]  # median, an evaluation
    ratios: dict[str, float]  # median, to the plain run beside
    evaluations: dict[str, int]  # a run
    saved: float  # median of a whole run without extra steps, divided by the one with them beside


def compare(bench: Bench, sampler: str, steps: int, rounds: int) -> Row:
    """Runs of all kinds in turn."""
    each: dict[str, list[float]] = {kind: [] for kind in bench.models}
    counts = {kind: bench.run(kind, sampler, steps)[1] for kind in bench.models}  # warm-up
    for i in range(rounds):
        for kind in list(bench.models)[:: 1 if i % 2 else -1]:
            seconds, evaluations = bench.run(kind, sampler, steps)
            each[kind].append(seconds / evaluations)
    ratios = {
        kind: statistics.median(b / a for a, b in zip(each[PLAIN], values, strict=True))
        for kind, values in each.items()
        if kind != PLAIN
    }
    pairs = zip(each[NO_EXTRA], each[TICFT], strict=True)
    saved = statistics.median(counts[NO_EXTRA] * a / (counts[TICFT] * b) for a, b in pairs)
    return Row({kind: statistics.median(values) for kind, values in each.items()}, ratios, counts, saved)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=256, help="width of the network")
    parser.add_argument("--layers", type=int, default=5, help="blocks of the network")
    parser.add_argument("--steps", type=int, nargs="+", default=[8], help="sampler steps; a row for each number")
    parser.add_argument("--rounds", type=int, default=15, help="measured runs of each kind and sampler")
    parser.add_argument("--samplers", nargs="+", default=SAMPLERS, help="the host's names of them")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--against", metavar="COMMIT", help="an older commit of this project, measured beside this one")
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    options = parse()
    host_pack.start(options.threads)
    if options.against:
        host_pack.start_before(options.against)
    import comfy.sd

    with tempfile.TemporaryDirectory() as folder:
        file = host_pack.random_wan(Path(folder), options.dim, options.layers, TEXT_DIM)
        bench = Bench(comfy.sd.load_diffusion_model(str(file)), bool(options.against))
    print(
        f"{COUNTS} latents of {SIZE} x {SIZE}, dim {options.dim}, {options.layers} layers, "
        f"{options.rounds} rounds, {options.threads} thread(s)"
    )
    kinds = list(bench.models)[1:]
    heads = ["plain ms/evaluation", *(f"{kind} ms/evaluation" for kind in kinds), *(f"{kind} ratio" for kind in kinds)]
    heads += ["plain evaluations", *(f"{kind} evaluations" for kind in kinds), f"run, {NO_EXTRA} / {TICFT}"]
    print("| sampler | steps |", " | ".join(heads), "|")
    print("|---" * (2 + len(heads)) + "|")
    for sampler, steps in itertools.product(options.samplers, options.steps):
        row = compare(bench, sampler, steps, options.rounds)
        cells = [*(f"{1e3 * value:.2f}" for value in row.seconds.values()), *(f"{row.ratios[k]:.3f}" for k in kinds)]
        cells += [*(str(row.evaluations[kind]) for kind in bench.models), f"{row.saved:.2f}"]
        print("|", " | ".join([sampler, str(steps), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()

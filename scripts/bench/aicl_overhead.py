"""What an AICL action costs in sampling: time per network evaluation beside the base, and memory.

    COMFYUI_PATH=... python scripts/bench/aicl_overhead.py [--dim 512] [--preset base] [--rounds 15] [--against COMMIT]

The tokens of the references are made before, as AICL Encode Action does, once. Runs with and without take turns, so
that a machine that grows slower treats them alike. The goals: a ratio of 1.03 or less with three references, for a
preset that every second block serves, and no more memory than the adapter's size. With --against, AICL as it was at
that commit takes turns, too.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

TEXT_DIM, TOKENS = 64, 16  # width and length of the prompt
REFERENCE_FRAMES = 7  # latents of each reference


class Bench:
    """One sampler run at a time, timed."""

    def __init__(self, model: Any, options: argparse.Namespace) -> None:
        import torch

        self.steps = options.steps
        # On the CPU its own time counts, which other programs disturb least.
        self.clock = time.perf_counter if torch.cuda.is_available() else time.process_time
        generator = torch.Generator().manual_seed(1)
        self.noise = torch.randn(1, 16, options.frames, options.size, options.size, generator=generator)
        self.prompt = [[torch.randn(1, TOKENS, TEXT_DIM, generator=generator), {}]]
        self.adapter = random_adapter(model, options, "pack")
        begin = self.clock()
        action = encode(self.adapter, options, "pack")
        self.encoding = self.clock() - begin
        self.models = {"base": model, "AICL": applied(model, action, "pack")}
        if options.against:
            earlier = random_adapter(model, options, host_pack.BEFORE)
            self.models["AICL before"] = applied(model, encode(earlier, options, host_pack.BEFORE), host_pack.BEFORE)

    def run(self, kind: str) -> float:
        """Seconds of an evaluation in one run."""
        import comfy.sample
        import torch

        begin = self.clock()
        with torch.inference_mode():
            comfy.sample.sample(
                self.models[kind], self.noise, self.steps, 1.0, "euler", "simple", self.prompt, self.prompt,
                torch.zeros_like(self.noise), seed=0, disable_pbar=True,
            )  # fmt: skip
        return (self.clock() - begin) / self.steps


def random_adapter(model: Any, options: argparse.Namespace, package: str) -> Any:
    """An adapter of a preset with something to add, in the code of a package: this commit's or an older one's."""
    import torch

    part = partial(importlib.import_module, package=package)
    aicl, file = part(".methods.aicl"), part(".training.aicl.file")
    base = part(".nodes.host.aicl.sites").base_of(part(".nodes.host.model.noise").loaded_model(model))
    sizes = aicl.preset_sizes(options.preset, 16, TEXT_DIM, base.blocks)
    tensors = file.tensors_of(*aicl.new_adapter(sizes))
    generator = torch.Generator().manual_seed(3)
    for name, value in tensors.items():
        if "to_out" in name:
            value.copy_(torch.randn(value.shape, generator=generator) * 0.01)
    return part(".nodes.host.aicl.adapter").HostAdapter(file.AiclAdapter(sizes, tensors, base.family))


def encode(adapter: Any, options: argparse.Namespace, package: str) -> Any:
    """Tokens of random references, the same for every package."""
    import torch

    part = partial(importlib.import_module, package=package)
    actions = part(".nodes.host.aicl.encode")
    generator = torch.Generator().manual_seed(2)
    size = (1, 16, REFERENCE_FRAMES, options.size, options.size)
    references = [
        (torch.randn(size, generator=generator), torch.randn(1, TOKENS, TEXT_DIM, generator=generator))
        for _ in range(options.references)
    ]
    joined = part(".methods.action_tokens").joined([actions.run_prism(adapter, *one) for one in references])
    return actions.Action(adapter, joined)


def applied(model: Any, action: Any, package: str) -> Any:
    """The MODEL with the action."""
    return importlib.import_module(".nodes.host.aicl.apply", package).apply_action(model, action, 1.0)


def memory(bench: Bench) -> tuple[int, int]:
    """Bytes that the host counts for the models of a run with the action more than for one without, and of weights."""
    import comfy.model_management as management

    counted = {}
    for kind in bench.models:
        management.unload_all_models()
        bench.run(kind)
        counted[kind] = sum(entry.model.model_size() for entry in management.current_loaded_models)
    weights = bench.adapter.integrations.model.parameters()
    return counted["AICL"] - counted["base"], sum(value.numel() * value.element_size() for value in weights)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=512, help="width of the network")
    parser.add_argument("--layers", type=int, default=8, help="blocks of the network")
    parser.add_argument("--frames", type=int, default=9, help="latents of the video")
    parser.add_argument("--size", type=int, default=16, help="latent height and width")
    parser.add_argument("--preset", default="base", help="sizes of the adapter")
    parser.add_argument("--references", type=int, default=1, help="reference clips")
    parser.add_argument("--steps", type=int, default=3, help="sampler steps")
    parser.add_argument("--rounds", type=int, default=15, help="measured runs of each kind")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--against", metavar="COMMIT", help="an older commit of this project, measured beside this one")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    options = parse()
    host_pack.start(options.threads)
    if options.against:
        host_pack.start_before(options.against)
    import comfy.sd

    with tempfile.TemporaryDirectory() as folder:
        file = host_pack.random_wan(Path(folder), options.dim, options.layers, TEXT_DIM)
        bench = Bench(comfy.sd.load_diffusion_model(str(file)), options)
    more, weights = memory(bench)  # also the warm-up
    each: dict[str, list[float]] = {kind: [] for kind in bench.models}
    for i in range(options.rounds):
        for kind in list(bench.models)[:: 1 if i % 2 else -1]:
            each[kind].append(bench.run(kind))
    ratios = {
        kind: statistics.median(b / a for a, b in zip(each["base"], values, strict=True))
        for kind, values in each.items()
        if kind != "base"
    }
    print(
        f"{options.frames} latents of {options.size} x {options.size}, dim {options.dim}, {options.layers} layers, "
        f"preset {options.preset}, {options.references} reference(s) of {REFERENCE_FRAMES} latents, {options.steps} "
        f"steps, {options.rounds} rounds, {options.threads} thread(s)"
    )
    print("| base ms/evaluation | AICL ms/evaluation | ratio | encoding once, ms | memory added, kB | adapter, kB |")
    print("|---|---|---|---|---|---|")
    times = " | ".join(f"{1e3 * statistics.median(each[kind]):.1f}" for kind in ("base", "AICL"))
    print(f"| {times} | {ratios['AICL']:.3f} | {1e3 * bench.encoding:.0f} | {more / 1024:.0f} | {weights / 1024:.0f} |")

    if options.against:
        earlier = 1e3 * statistics.median(each["AICL before"])
        print(f"\nbefore: {earlier:.1f} ms an evaluation, ratio {ratios['AICL before']:.3f}")


if __name__ == "__main__":
    main()

"""How much memory a TIC-FT training step of the public models takes, and what fits which card, as the plan counts it.

    COMFYUI_PATH=... python scripts/bench/vram.py [--models "Wan 2.1 1.3B" ...] [--no-check] [--out out/vram]
    COMFYUI_PATH=... python scripts/bench/vram.py --run [--models "Wan 2.1 14B; Wan 2.2 14B each"]
    COMFYUI_PATH=... python scripts/bench/vram.py --run dry

Networks of the host's classes at their true size, whose weights have a shape and no numbers: a step of image to video,
13 latents (49 frames), batch 1, LoRA of rank 128 on attention, AdamW in fp32, is counted as Training Plan counts it,
with its margin. No card is needed, and less than 3 GB of memory. What a GPU's kernels keep beside the tensors is not in
it. The check runs medium steps on the CPU and compares them with their count: what its tensors take, and what the
system says that a process of its own has taken.

With ``--run`` steps are run on the CUDA device at hand instead: bf16 and fp8 weights, all of them on the card and three
quarters lent, each beside its count with seconds a step and use of the card; then a card that is left too little, and
what the run does about it. ``--run dry`` is the same on the CPU with one block and small clips, to know that it starts.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack
from parts.memory.public_models import MODELS, Public, true_size

GIB = 2**30
FRAMES, PREFIX = 13, 4  # latents, and how many of them are condition and buffer
STREAMS = 2  # of lent weights, as the host has them on NVIDIA's and AMD's cards
CASES = ((MODELS[0], 4), (MODELS[3], 1))  # and blocks, of the steps that are run
CHECKED, SMALL = (4, 20, 20), (2, 4, 4)  # latent frames, height and width of the steps that are run


@dataclass(frozen=True)
class Found:
    """What was counted of a model."""

    public: Public
    weights: dict[str, float]  # bytes by the type they are stored in
    buffers: dict[str, float]  # for lent ones
    steps: dict[str, float]  # bytes of a step by checkpointing, with the margin
    depth: int  # blocks
    seconds: float  # that counting took, of this process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=[one.name for one in MODELS])
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-check", action="store_true", help="run no step")
    parser.add_argument("--run", nargs="?", const="card", choices=("card", "dry"), help="run steps instead of counting")
    parser.add_argument("--out", type=Path, default=Path("out") / "vram")
    parser.add_argument("--process", nargs=2, metavar=("CASE", "MODE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    host_pack.start(options.threads)
    if options.process:
        sys.stdout.write(f"{of_process(CASES[int(options.process[0])], options.process[1], options.rank)}\n")
        return
    chosen = [model for model in MODELS if model.name in options.models]
    if options.run:
        text, name = run_table(chosen, options.rank, options.run == "dry"), "card.md"
    else:
        found = [counted(model, options.rank) for model in chosen]
        tables = [step_table(found), card_table(found)] if found else []
        text = "\n".join(tables if options.no_check else [*tables, check_table(options.rank)])
        name = "tables.md"
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / name).write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def run_table(chosen: list[Public], rank: int, dry: bool) -> str:
    """Steps on the card; dry, those of one block and a small clip on the CPU.

    Raises:
        SystemExit: there is no CUDA device, and it is no dry run.
    """
    import torch
    from parts.memory.card_steps import Setting, table

    if not dry and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device, so no step is run; --run dry shows that the script starts")
    types = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}
    shape, blocks = ((2, 4, 4), 1) if dry else (None, None)
    settings = [Setting(one, blocks, shape or (FRAMES, *one.latent), 2 if dry else rank) for one in chosen]
    device = "the CPU, which is no measurement" if dry else torch.cuda.get_device_name()
    return f"Run on {device}.\n\n{table(settings, largest_clip, types)}"


def counted(public: Public, rank: int) -> Found:
    """Count a step of a model in each way of checkpointing; its weights in two types."""
    import comfy.model_management
    import torch

    from pack.nodes.host.layers.checkpointing import transformer_blocks
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.plan.memory_profile import counted_steps
    from pack.nodes.host.session.placement import lending_buffer
    from pack.training.core.config import TrainConfig
    from pack.training.core.plan import MARGIN

    comfy.model_management.NUM_STREAMS = STREAMS
    types = {"bf16": torch.bfloat16, "fp8": torch.float8_e4m3fn}
    models = {name: true_size(public, dtype) for name, dtype in types.items()}
    with torch.inference_mode():
        video = video_model(models["bf16"])
    begun = time.process_time()
    steps = counted_steps(video, TrainConfig(rank=rank), largest_clip(public, video, (FRAMES, *public.latent)))
    seconds = time.process_time() - begun
    return Found(
        public,
        {name: float(model.model_size()) for name, model in models.items()},
        {name: lending_buffer(model) for name, model in models.items()},
        {mode: step * MARGIN for mode, step in steps.items()},
        len(transformer_blocks(models["bf16"].model.diffusion_model, video.family.blocks)),
        seconds,
    )


def largest_clip(public: Public, video: Any, shape: tuple[int, int, int]) -> Any:
    """A clip of so many latent frames, height and width."""
    import torch

    from pack.nodes.host.plan.memory_profile import LargestClip

    generator = torch.Generator().manual_seed(0)
    text = {"cross_attn": torch.randn(public.tokens, public.text, generator=generator)}
    x0 = torch.randn(public.channels, *shape, generator=generator)
    return LargestClip(x0, text, min(PREFIX, shape[0] - 1), (video.family.time_patch, 2, 2), video.process)


def step_table(found: list[Found]) -> str:
    """GiB of the weights and of a step."""
    lines = [
        "| model | size | weights, bf16 | weights, fp8 | step | keep attention | by blocks | blocks, offloaded | "
        "counted in |",
        "|---" * 9 + "|",
    ]
    for one in found:
        sizes = [*one.weights.values(), *one.steps.values()]
        cells = [one.public.name, one.public.pixels, *(f"{size / GIB:.1f}" for size in sizes), f"{one.seconds:.0f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def card_table(found: list[Found]) -> str:
    """What each card does with each model and type of weights."""
    from pack.training.core.placement import CARDS

    lines = [
        "| model | weights | " + " | ".join(f"{card} GB" for card in CARDS) + " |",
        "|---|---|" + "---|" * len(CARDS),
    ]
    for one in found:
        for name in one.weights:
            cells = [decision(one, name, card) for card in CARDS]
            lines.append(f"| {one.public.name} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def decision(found: Found, stored: str, card: int) -> str:
    """The way that Training Plan gives, and the share of the weights that stays on the card where not all do.

    How many blocks keep everything is by the straight line; the plan counts that step, and may find room for one more.
    """
    from pack.training.core.placement import KEPT_BACK, Weights, first_way

    weights = Weights(found.weights[stored], found.buffers[stored])
    way = first_way(found.steps, weights, card * GIB - KEPT_BACK, found.depth)
    if way is None:
        return "no"
    share = "" if way.most >= weights.whole else f", {100 * way.most / weights.whole:.0f} % on it"
    some = f", {found.depth - way.kept} of {found.depth}" if way.kept else ""
    return f"{way.checkpointing}{some}{share}"


def check_table(rank: int) -> str:
    """Counted and really run steps of two networks of true width on the CPU in fp32, in GiB."""
    from parts.memory.process_step import asked

    from pack.nodes.host.plan import memory_profile
    from pack.training.core.config import CHECKPOINTING, TrainConfig

    names = ("run on the CPU in fp32", "checkpointing", "counted", "its tensors", "off by", "the process", "off by")
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for i, (public, blocks) in enumerate(CASES):
        video, clip = of_true_width(public, blocks)
        counts = memory_profile.counted_steps(video, TrainConfig(rank=rank), clip)
        for mode in CHECKPOINTING[:3]:
            counted, run = counts[mode], run_step(video, clip, mode, rank)
            whole = asked(__file__, ["--process", str(i), mode, "--rank", str(rank)])
            name = f"{public.name}, {blocks} blocks, {CHECKED[0]} x {CHECKED[1]} x {CHECKED[2]} latents"
            cells = [f"{counted / GIB:.3f}", f"{run / GIB:.3f}", f"{counted / run - 1:+.1%}"]
            cells += ["", ""] if whole is None else [f"{whole / GIB:.3f}", f"{counted / whole - 1:+.1%}"]
            lines.append(f"| {name} | {mode} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def of_process(case: tuple[Public, int], mode: str, rank: int) -> int:
    """Bytes by which this process grows for a step."""
    from parts.memory.process_step import taken

    video, clip = of_true_width(*case)
    small = largest_clip(case[0], video, SMALL)
    return taken(lambda: run_step(video, clip, mode, rank), lambda: run_step(video, small, mode, rank))


def of_true_width(public: Public, blocks: int) -> tuple[Any, Any]:
    """A network of so many blocks with random weights on the CPU, and a clip."""
    import torch

    from pack.nodes.host.model.video_model import video_model

    model = filled(true_size(public, torch.float32, "cpu", blocks))
    with torch.inference_mode():
        video = video_model(model)
    return video, largest_clip(public, video, CHECKED)


def run_step(video: Any, clip: Any, mode: str, rank: int) -> int:
    """Bytes that the tensors of a step take when it is run."""
    import torch

    from pack.nodes.host.plan import memory_profile
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig

    memory_profile.TIMED = 1  # time is not asked for
    config = TrainConfig(rank=rank, checkpointing=mode)
    with torch.inference_mode(), training_session(video, config) as session:
        return memory_profile.profile_step(session, config, clip, tuple(clip.x0.shape)).memory


def filled(model: Any) -> Any:
    """Give a network on the CPU random weights."""
    import torch

    generator = torch.Generator().manual_seed(0)
    for parameter in model.model.parameters():
        parameter.data.normal_(std=0.02, generator=generator)
    return model


if __name__ == "__main__":
    main()

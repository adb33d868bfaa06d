"""How much memory a TIC-FT training step of the public models takes, by the training plan's own measurement.

    COMFYUI_PATH=... python scripts/bench/vram.py [--models "Wan 2.1 1.3B" ...] [--out out/vram]

A network of each model's true width, with one and with three of its blocks and random weights in bf16, makes the plan's
small steps; a line through the two depths gives all blocks, and the plan's own lines give the asked sequence: image to
video, 13 latents (49 frames), batch 1, LoRA of rank 128 on attention, AdamW in fp32. Counted are the tensors that live
at once, with the plan's margin; weights come on top. On the CPU, so what a GPU's kernels keep beside them is not in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

GIB = 2**30
DEPTHS = (1, 3)  # blocks that are measured
FRAMES, PREFIX = 13, 4  # latents, and how many of them are condition and buffer


@dataclass(frozen=True)
class Public:
    """A public model's sizes, from its configuration file."""

    name: str
    family: str  # of the host's classes: wan or cogvideox
    width: int
    inner: int  # of the feed-forward
    heads: int
    blocks: int
    channels: int
    text: int  # channels of a caption's tokens
    tokens: int  # of a caption
    latent: tuple[int, int]  # height and width of a latent frame
    pixels: str


MODELS = (
    Public("Wan 2.1 1.3B", "wan", 1536, 8960, 12, 30, 16, 4096, 512, (60, 60), "480 x 480"),
    Public("Wan 2.2 5B", "wan", 3072, 14336, 24, 30, 48, 4096, 512, (40, 40), "640 x 640"),
    Public("Wan 2.1 14B, Wan 2.2 14B each", "wan", 5120, 13824, 40, 40, 16, 4096, 512, (60, 60), "480 x 480"),
    Public("CogVideoX 5B", "cogvideox", 3072, 12288, 48, 42, 16, 4096, 226, (60, 60), "480 x 480"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=[one.name for one in MODELS])
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out") / "vram")
    options = parser.parse_args()
    host_pack.start(options.threads)
    lines = [
        "| model | video | weights, bf16 | weights, fp8 | no checkpointing | by blocks |",
        "|---|---|---|---|---|---|",
    ]
    for model in (one for one in MODELS if one.name in options.models):
        lines.append(row(model, options.rank))
        sys.stderr.write(lines[-1] + "\n")
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (options.out / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def row(public: Public, rank: int) -> str:
    """GiB of the weights in two types, and of a step beside them, with the plan's margin."""
    found = [at_depth(public, depth, rank) for depth in DEPTHS]
    deep = {name: extend(found[0][name], found[1][name], public.blocks) for name in found[0]}
    weights = deep.pop("parameters") * 2 / GIB
    cells = [f"{weights:.1f}", f"{weights / 2:.1f}", *(f"{value / GIB:.1f}" for value in deep.values())]
    return f"| {public.name} | {public.pixels}, 36 frames | " + " | ".join(cells) + " |"


def extend(low: float, high: float, blocks: int) -> float:
    """The line through both depths at all blocks."""
    return low + (high - low) * (blocks - DEPTHS[0]) / (DEPTHS[1] - DEPTHS[0])


def at_depth(public: Public, depth: int, rank: int) -> dict[str, float]:
    """Parameters, and the plan's prediction of each way of checkpointing, of a network with so many blocks."""
    import torch

    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.plan import memory_profile
    from pack.training.core.config import TrainConfig
    from pack.training.core.plan import predict

    memory_profile.TIMED = 1  # time is not asked for
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        video = video_model(load(public, depth, Path(folder)))
    patch = (video.family.time_patch, 2, 2)
    x0 = torch.randn(public.channels, FRAMES, *public.latent, generator=torch.Generator().manual_seed(0))
    text = {"cross_attn": torch.randn(public.tokens, public.text)}
    clip = memory_profile.LargestClip(x0, text, PREFIX, patch, video.process)
    small = replace(clip, x0=x0[:, :4, :20, :20])  # the plan would measure a quarter of the sequence: slow on a CPU
    config = TrainConfig(rank=rank, batch_size=1)
    measured, network, _, notes = memory_profile.measure(video, config, small)
    if notes:
        raise SystemExit("; ".join(notes))
    asked = memory_profile.step_of(clip, x0.shape, 1)
    count = sum(value.numel() for value in video.model.model.diffusion_model.parameters())
    return {"parameters": float(count), **{m: predict(steps, network, asked, m)[0] for m, steps in measured.items()}}


def load(public: Public, depth: int, folder: Path) -> Any:
    """The host MODEL of a network with so many blocks, in bf16."""
    import comfy.sd
    import torch

    path = folder / "network.safetensors"
    save(public, depth, path)
    model = comfy.sd.load_diffusion_model(str(path), model_options={"dtype": torch.bfloat16})
    model.set_model_compute_dtype(torch.bfloat16)
    return model


def save(public: Public, depth: int, path: Path) -> None:
    """Write random weights of the host's class."""
    import json

    import comfy.ops
    import torch
    from safetensors.torch import save_file

    common = {"operations": comfy.ops.disable_weight_init, "dtype": torch.bfloat16, "device": "cpu"}
    if public.family == "wan":
        from comfy.ldm.wan.model import WanModel

        sizes = {"dim": public.width, "ffn_dim": public.inner, "num_heads": public.heads, "num_layers": depth,
                 "text_dim": public.text, "freq_dim": 256}  # fmt: skip
        ends = {"in_dim": public.channels, "out_dim": public.channels}
        net: Any = WanModel(model_type="t2v", cross_attn_norm=True, **ends, **sizes, **common)
        metadata = {"config": json.dumps({"transformer": sizes})}
    else:
        from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

        sizes = {"num_attention_heads": public.heads, "num_layers": depth, "time_embed_dim": 512}
        net = CogVideoXTransformer3DModel(
            text_embed_dim=public.text, use_rotary_positional_embeddings=True, **sizes, **common
        )
        metadata = None
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.empty(value.shape, dtype=torch.bfloat16).normal_(std=0.02, generator=generator)
        if value.ndim > 1 or "bias" in name else torch.ones(value.shape, dtype=torch.bfloat16)
        for name, value in net.named_parameters()
    }  # fmt: skip
    save_file(state, path, metadata=metadata)


if __name__ == "__main__":
    main()

"""TIC-FT training on a base in every quantised format the host knows, against training on the same numbers in fp32.

    COMFYUI_PATH=... python scripts/bench/quantised.py [--steps 6] [--out out/quantised]

A small Wan of the host's class with 20 quantised layers. *Dequantised*: the layers unpack their weights for a plain
product, as the host does on a card without kernels for the format. *Product*: the host's quantised product, as on a
card that has them; on a CPU it is the host's own stand-in for it. Losses and LoRAs are compared after the last step;
memory is the most that tensors made in one step take at once. The last row is a run on the weights before they were
quantised, for scale.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support" / "models"))

from parts import host_pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, default=Path("out") / "quantised")
    options = parser.parse_args()
    host_pack.start(threads=1)
    logging.getLogger("comfy_kitchen").setLevel(logging.ERROR)  # it has a word on every product a CPU cannot do
    import quantised_files

    names = (
        "base",
        "bytes a weight",
        "forward",
        "largest difference of a loss",
        "LoRA, L2 distance",
        "memory of a step",
    )
    lines = [f"| {' | '.join(names)} |", "|---|---|---|---|---|---|"]
    for kind in quantised_files.available():
        lines += rows(kind, options.steps, options.rate)
        sys.stderr.write(lines[-1] + "\n")
    lines.append(scale(options.steps, options.rate))
    options.out.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (options.out / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def rows(kind: str, steps: int, rate: float) -> list[str]:
    """Two lines of the table: the layers unpacking their weights, and the quantised product."""
    import quantised_files

    found = []
    for way in ("dequantised", "product"):
        with tempfile.TemporaryDirectory() as folder:
            stored, plain = quantised_files.quantised_wan(Path(folder), kind)
            change = quantised_files.unpacking if way == "dequantised" else quantised_files.with_quantised_product
            cells = compared(trained(change(stored), steps, rate), trained(plain, steps, rate))
            found.append(f"| {kind} | {bytes_a_weight(stored):.2f} | {way} | {cells} |")
    return found


def scale(steps: int, rate: float) -> str:
    """How far apart runs on scaled fp8 and on the weights it was made of are."""
    import quantised_files
    import tiny_wan

    with tempfile.TemporaryDirectory() as folder:
        _, plain = quantised_files.quantised_wan(Path(folder), quantised_files.FP8)
        source = tiny_wan.load_tiny_wan(Path(folder) / "source.safetensors")
        cells = compared(trained(source, steps, rate), trained(plain, steps, rate))
        return f"| *before it was quantised* | 4.00 | | {cells} |"


def trained(model: Any, steps: int, rate: float) -> tuple[list[float], list[Any], int]:
    """Losses, adapters and the memory of the last step."""
    import torch

    from pack.methods.tic_ft import Layout
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.memory_use import peak_memory
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig
    from pack.training.core.state import TrainState
    from pack.training.core.trainer import Trainer
    from pack.training.tic_ft.objective import TicftObjective
    from pack.training.tic_ft.recipe import TicftRecipe

    layout, config = Layout.linear(1, 3, 2), TrainConfig(rank=4, steps=steps, learning_rate=rate, batch_size=2)
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(16, layout.frames, 8, 8, generator=generator) for _ in range(3)]
    texts = [{"cross_attn": torch.randn(4, 32, generator=generator)} for _ in range(3)]
    with torch.inference_mode(), training_session(video_model(model), config) as session:
        objective = TicftObjective(clips, texts, texts[0], TicftRecipe("custom", layout), config)
        trainer = Trainer(objective, session.predict, session.trained.parameters(), config)
        state = TrainState()
        for _ in range(steps - 1):
            trainer.step(state)
        with peak_memory(session.device) as peak:
            trainer.step(state)
        return state.losses, [value.detach().clone() for value in trainer.parameters], peak.bytes


def compared(found: tuple[list[float], list[Any], int], expected: tuple[list[float], list[Any], int]) -> str:
    """Three cells."""
    losses = max(abs(a - b) / b for a, b in zip(found[0], expected[0], strict=True))
    off = sum(float((a - b).square().sum()) for a, b in zip(found[1], expected[1], strict=True))
    size = sum(float(b.square().sum()) for b in expected[1])
    equal = "equal in every digit" if found[0] == expected[0] else f"{100 * losses:.3f} %"
    return f"{equal} | {(off / size) ** 0.5:.4f} | {found[2] / expected[2]:.2f} of fp32's"


def bytes_a_weight(model: Any) -> float:
    """Of the quantised layers."""
    from pack.nodes.host.layers.stored_weights import stored_bytes

    layers: list[Any] = [one for one in model.model.diffusion_model.modules() if getattr(one, "quant_format", None)]
    return stored_bytes(one.weight for one in layers) / sum(one.in_features * one.out_features for one in layers)


if __name__ == "__main__":
    main()

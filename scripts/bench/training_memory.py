"""Memory that training takes beside the loaded weights: far less than a second copy of them.

    COMFYUI_PATH=... python scripts/bench/training_memory.py [--dim 1024] [--layers 6]

Peak of the CUDA allocator where there is a GPU, else of the process's resident memory (Linux).
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from parts import host_pack

MIB = 2**20


def reset_peak() -> None:
    """Start counting anew."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def memory() -> tuple[float, float]:
    """Memory now and its peak since ``reset_peak``, MiB."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.memory_allocated() / MIB, torch.cuda.max_memory_allocated() / MIB
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    status = dict(line.split(":", 1) for line in lines)
    return int(status["VmRSS"].split()[0]) / 1024, int(status["VmHWM"].split()[0]) / 1024


def train_twice(model: Any, steps: int) -> None:
    """Two short runs on small latents, so that weights outweigh activations."""
    import torch

    from pack.methods.tic_ft import Layout
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.training.core.config import TrainConfig
    from pack.training.core.loop import train
    from pack.training.tic_ft.objective import TicftObjective, TicftRecipe

    layout, config = Layout.linear(1, 3, 2), TrainConfig(rank=4, steps=steps)
    clips = [torch.randn(16, layout.frames, 4, 4) for _ in range(2)]
    conditioning = [{"cross_attn": torch.randn(4, 64)}] * 2
    for _ in range(2):
        with torch.inference_mode(), training_session(video_model(model), config) as session:
            objective = TicftObjective(clips, conditioning, conditioning[0], TicftRecipe("custom", layout), config)
            train(objective, session.predict, session.trained.parameters(), config)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=1024, help="width of the network")
    parser.add_argument("--layers", type=int, default=6, help="blocks of the network")
    options = parser.parse_args()
    host_pack.start(threads=1)
    import comfy.model_management
    import comfy.sd
    import diffusers.optimization  # noqa: F401 - its import must not count
    import torch

    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        model = comfy.sd.load_diffusion_model(str(host_pack.random_wan(Path(folder), options.dim, options.layers)))
    comfy.model_management.load_models_gpu([model])
    weights = sum(value.numel() * value.element_size() for value in model.model.parameters()) / MIB
    reset_peak()
    before, _ = memory()
    train_twice(model, steps=2)
    _, peak = memory()
    print(f"weights {weights:.0f} MiB   before {before:.0f} MiB   peak {peak:.0f} MiB")
    print(f"training adds {peak - before:.0f} MiB, {(peak - before) / weights:.2f} of the weights (a copy would be 1)")


if __name__ == "__main__":
    main()

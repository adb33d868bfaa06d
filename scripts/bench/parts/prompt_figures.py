"""What the benches of a toy base share: its figures as tables, word by word, and their files."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def prompt_parser(description: str | None, prompts: int, cfg: float, batch: int, out: str) -> argparse.ArgumentParser:
    """Command line of a bench that asks for held-out prompts."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--prompts", type=int, default=prompts)
    add("--steps", type=int, default=24)
    add("--cfg", type=float, default=cfg)
    add("--seed", type=int, default=0)
    add("--batch", type=int, default=batch)
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--out", type=Path, default=Path("out") / out)
    return parser


def texts_of(clip: Any, captions: Sequence[str]) -> tuple[Any, Any]:
    """Embeddings ``[B, N, D]`` of captions, and of as many empty ones."""
    import torch

    texts = torch.cat([clip.encode_from_tokens(clip.tokenize(caption)) for caption in captions])
    return texts, clip.encode_from_tokens(clip.tokenize("")).expand(len(captions), -1, -1)


def sample_batch(model: Any, texts: tuple[Any, Any], latent: Any, scheduler: str, seed: int, options: Any) -> Any:
    """Latents of a batch of captions through the host's sampler, as ``options`` say; ``seed`` is of the noise."""
    import comfy.sample

    noise = comfy.sample.prepare_noise(latent, seed)
    positive, negative = ([[text, {}]] for text in texts)
    return comfy.sample.sample(
        model, noise, options.steps, options.cfg, "euler", scheduler, positive, negative, latent,
        disable_pbar=True, seed=options.seed,
    )  # fmt: skip


def psnr_of(clips: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> float:
    """Mean peak signal-to-noise ratio in dB of values in 0 to 1."""
    errors = [float(((clip - true) ** 2).mean()) for clip, true in zip(clips, truth, strict=True)]
    return float(np.mean(-10 * np.log10(errors)))


def table(rows: Mapping[str, Mapping[str, float]], fields: Sequence[str], goals: Mapping[str, float]) -> str:
    """A Markdown table, one line a row, the goals first where there are any."""
    lines = ["| | " + " | ".join(name.replace("_", " ") for name in fields) + " |", "|---|" + "---|" * len(fields)]
    if goals:
        lines += ["| goal | " + " | ".join(f"{goals[name]:.2f}" if name in goals else "" for name in fields) + " |"]
    lines += [f"| {name} | " + " | ".join(f"{row[field]:.2f}" for field in fields) + " |" for name, row in rows.items()]
    return "\n".join(lines) + "\n"


def by_word(words: Sequence[str], scenes: Sequence[Any], verdicts: Sequence[Any]) -> str:
    """Word by word, the share that is right."""
    lines = []
    for word in words:
        groups: dict[str, list[float]] = {}
        for scene, verdict in zip(scenes, verdicts, strict=True):
            groups.setdefault(getattr(scene, word), []).append(getattr(verdict, word))
        found = ", ".join(f"{name} {sum(v) / len(v):.2f} of {len(v)}" for name, v in groups.items())
        lines.append(f"{word}: {found}")
    return "\n".join(lines) + "\n"


def publish_figures(text: str, rows: Mapping[str, Any], out: Path) -> None:
    """Print the tables, and write them and the figures."""
    sys.stdout.write(text)
    (out / "table.md").write_text(text, encoding="utf-8")
    (out / "figures.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


def ink_of(verdict: Any) -> str:
    """Colour of a caption on a contact sheet: green where all is right, else red; black without a verdict."""
    return "black" if verdict is None else "green" if verdict.all_right else "red"

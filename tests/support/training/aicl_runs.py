"""Run the AICL trainer as the executor does, on a tiny model and random clips of two actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import tiny_aicl
import tiny_families
import torch
from clip_pairs import fake_vae
from tiny_vision import fake_vision
from torch import Tensor

from pack.methods.action_prism import PrismSizes

STEPS = 6
ACTIONS = ("walks", "jumps")
SMALL = {"layers": 1, "width": 16, "heads": 2, "queries": 2, "token": 12, "inner": 8, "share": 1.0, "every": 1}


def clips_of(name: str = "Wan 2.1", clips: int = 4, frames: int = 9, size: int = 0, seed: int = 0, **odd: int) -> Any:
    """A FEWSHOT_ENCODED of clips of two actions in turn, each with a reference of its own and in a sub-folder.

    ``size`` in pixels is the least that the family takes where it is not given.
    ``odd`` gives clips by number other lengths in frames, like ``clip_1=5``.
    """
    from pack.training.data.clips import TensorClip
    from pack.training.data.dataset import Dataset, Sample
    from pack.training.data.encoding import EncodedDataset

    generator = torch.Generator().manual_seed(seed)
    channels, family = tiny_aicl.channels_of(name), known_family(name)
    size = size or family.spatial

    def clip(count: int) -> TensorClip:
        return TensorClip(torch.rand(count, size, size, 3, generator=generator))

    samples = []
    for i in range(clips):
        action = ACTIONS[i % 2]
        samples.append(
            Sample(
                clip(odd.get(f"clip_{i}", frames)), f"clip {'x' * i} {action}", reference=clip(frames),
                reference_caption=f"{'y' * i} {action}", name=f"{action}/{i}", action=action,
            )
        )  # fmt: skip
    dataset, compression = Dataset(tuple(samples), size, size, 16.0, ""), family.compression
    return EncodedDataset(
        dataset, lambda pixels: fake_vae(pixels, max(16, channels), compression)[:channels],
        tiny_families.text_of(tiny_aicl.family_of(name)), "fake", None, lambda: None, vision=fake_vision(),
    )  # fmt: skip


def known_family(name: str) -> Any:
    """A row of the pack's table."""
    from pack.nodes.host.model.families import FAMILIES

    (row,) = (row for row in FAMILIES if row.name == name)
    return row


def small_presets() -> Any:
    """The presets, all tiny, while it is entered."""
    from pack.methods import aicl

    return patch.dict(aicl.PRESETS, {name: aicl.Preset(**SMALL) for name in aicl.PRESETS})


def train(model: Any, run_name: str, **values: Any) -> tuple:
    """The node as the executor runs it; returns its outputs."""
    from pack.nodes.aicl_train import AICLTrain

    arguments = {
        "encoded": clips_of(), "learning_rate": 0.02, "steps": STEPS, "seed": 1, "batch_size": 2,
        "group_by": "sub-folder", "run_name": run_name,
    }  # fmt: skip
    with torch.inference_mode(), small_presets():
        return AICLTrain.execute(model, **{**arguments, **values}).result


def objective_of(name: str, config: Any, clips: int = 4, **changes: Any) -> Any:
    """Random clips, all of two latents more or less alike, as the trainer has them after encoding; channels vary."""
    from pack.methods.aicl import AdapterSizes
    from pack.nodes.host.aicl.sites import base_of
    from pack.nodes.host.model.noise import loaded_model, process_of, repaired
    from pack.training.aicl.groups import Groups
    from pack.training.aicl.objective import AiclData, AiclObjective, AiclSettings
    from pack.training.aicl.reading import Reference

    model, channels = tiny_aicl.model_of(name), tiny_aicl.channels_of(name)
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    width, kept = tiny_aicl.text_dim(name), tiny_aicl.family_of(name).kept
    texts = [{"cross_attn": normal(tiny_aicl.TOKENS, width), **kept} for _ in range(clips + 1)]
    references = [
        Reference(
            tuple(2 * normal(channels, 2 + i % 2, 4, 4) + 1 for _ in range(2)),
            normal(tiny_aicl.TOKENS, width),
        )
        for i in range(clips)
    ]
    same = [tuple(j for j in range(clips) if j != i and j % 2 == i % 2) for i in range(clips)]
    data = AiclData(
        [normal(channels, 2, 4, 4) for _ in range(clips)], texts[1:], texts[0], references,
        Groups(tuple(same), tuple(ACTIONS[i % 2] for i in range(clips))),
    )  # fmt: skip
    prism: PrismSizes = replace(tiny_aicl.PRISM, channels=channels, text=width)
    sizes = AdapterSizes(prism, base_of(loaded_model(model)).blocks, inner=8)
    return AiclObjective(data, AiclSettings(sizes, process=process_of(repaired(model)), **changes), config)


def stirred(trained: Any, seed: int = 7) -> None:
    """Give the adapter something to add, also in the layers that start at zero."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in trained.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)

"""AICL training: references on their way through a conditioning to the prism, every sample's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...methods.action_tokens import ActionTokens, joined, stacked
from ..core.batches import Conditioning

LATENTS, TEXT, READ = "aicl_latents_", "aicl_text_", "aicl_read"


@dataclass(frozen=True)
class Reference:
    """A reference clip, encoded."""

    variants: tuple[Tensor, ...]  # [C, T, h, w] each as the VAE gives them; the first is the clip as it is
    text: Tensor  # [n, E], tokens of its caption


@dataclass(frozen=True)
class Reading:
    """What one sample reads."""

    references: tuple[tuple[Tensor, Tensor], ...]  # latents [C, T, h, w] and caption [n, E] of each
    read: bool  # False: they are there, and left out


def with_reading(conditioning: Conditioning, reading: Reading) -> Conditioning:
    """A sample's conditioning that also holds what it reads."""
    entries = {READ: torch.tensor(reading.read)}
    for i, (latents, text) in enumerate(reading.references):
        entries |= {f"{LATENTS}{i}": latents, f"{TEXT}{i}": text}
    return {**conditioning, **entries}


def split_reading(conditioning: Conditioning) -> tuple[Conditioning, Reading]:
    """What ``with_reading`` put together."""
    numbers = range(sum(name.startswith(LATENTS) for name in conditioning))
    references = tuple((conditioning[f"{LATENTS}{i}"], conditioning[f"{TEXT}{i}"]) for i in numbers)
    plain = {name: value for name, value in conditioning.items() if not name.startswith((LATENTS, TEXT, READ))}
    return plain, Reading(references, bool(conditioning.get(READ, False)))


def read_actions(prism: nn.Module, samples: Sequence[Reading], device: torch.device | str) -> ActionTokens:
    """Action tokens of a batch, each sample's of its own references, with gradients to the prism.

    The prism also runs where a sample leaves its references out, so that the loss reaches every weight in every step;
    the mask then says that there is no token.

    Raises:
        ValueError: a sample has no reference at all.
    """
    if not all(sample.references for sample in samples):
        raise ValueError("a clip came without references; AICL trains on clips that have at least one")
    made = _run(prism, [pair for sample in samples for pair in sample.references], device)
    taken = iter(made)
    each = [joined([next(taken) for _ in sample.references]) for sample in samples]
    if all(sample.read for sample in samples) and len({one.tokens.shape for one in each}) == 1:
        return ActionTokens(torch.cat([one.tokens for one in each]), torch.cat([one.times for one in each]))
    kept = [
        one if sample.read else replace(one, mask=torch.zeros_like(one.times, dtype=torch.bool))
        for one, sample in zip(each, samples, strict=True)
    ]
    return stacked(kept, kept[0].tokens.shape[2])


def _run(prism: nn.Module, pairs: Sequence[tuple[Tensor, Tensor]], device: torch.device | str) -> list[ActionTokens]:
    """The prism's tokens of each reference, those of one shape in one call."""
    shapes: dict[tuple[torch.Size, torch.Size], list[int]] = {}
    for i, (latents, text) in enumerate(pairs):
        shapes.setdefault((latents.shape, text.shape), []).append(i)
    found: dict[int, ActionTokens] = {}
    for numbers in shapes.values():
        latents, text = (torch.stack([pairs[i][part] for i in numbers]).float().to(device) for part in (0, 1))
        tokens: ActionTokens = prism(latents, text)
        for row, i in enumerate(numbers):
            found[i] = ActionTokens(tokens.tokens[row : row + 1], tokens.times[row : row + 1])
    return [found[i] for i in range(len(pairs))]

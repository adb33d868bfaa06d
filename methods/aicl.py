"""AICL, action in-context learning: sizes of an adapter, its start, and guidance by text and action.

An adapter is an Action Prism (``action_prism.py``) and the integrations (``action_integration.py``) of one base model.
Source: arXiv 2403.11535 (AICL; its v1 is EchoReel).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .action_integration import ActionIntegrations
from .action_prism import FLATTENED, MOST, MOST_LAYERS, RESAMPLER, ActionPrism, PrismSizes


@dataclass(frozen=True)
class AdapterSizes:
    """What an adapter is made of.

    Raises:
        ValueError: it has no block, or a size below 2.
    """

    prism: PrismSizes
    blocks: Mapping[str, int]  # channels of each block that has an integration, by its name in the network
    inner: int = 1024  # most channels of an integration's attention

    def __post_init__(self) -> None:
        if not self.blocks or min(self.inner, *self.blocks.values()) < 2:
            raise ValueError("an AICL adapter needs at least one block, and no size below 2; correct its sizes")
        if len(self.blocks) > MOST_LAYERS or max(self.inner, *self.blocks.values()) > MOST:
            raise ValueError(
                f"an AICL adapter has up to {MOST_LAYERS} blocks and sizes up to {MOST}; correct its sizes"
            )


@dataclass(frozen=True)
class Preset:
    """Sizes by name; what they come to depends on the base model."""

    layers: int
    width: int
    heads: int
    queries: int
    token: int
    inner: int  # most channels of an integration's attention
    share: float  # and most of them as a share of the base's widest block
    every: int  # n-th block has an integration


# Half the width in every second block keeps a network evaluation within 1.05 of the base's.
PRESETS = {
    "small": Preset(layers=2, width=384, heads=6, queries=8, token=512, inner=512, share=0.5, every=2),
    "base": Preset(layers=6, width=640, heads=8, queries=8, token=1024, inner=1024, share=0.5, every=2),
    # Layers, heads and width of arXiv 2403.11535v1, appendix; it has an integration in every block.
    "paper": Preset(layers=18, width=640, heads=8, queries=16, token=1024, inner=1280, share=1.0, every=1),
}


def preset_sizes(
    name: str, channels: int, text: int, blocks: Mapping[str, int], size: tuple[int, int, int] | None = None
) -> AdapterSizes:
    """Sizes of a preset for a base model.

    Args:
        channels: of the base's latents.
        text: channels of its caption tokens.
        blocks: channels of all its blocks, by name, in order.
        size: T, h, w of every reference for the flattened head, as in the paper; None for the resampler.

    Raises:
        ValueError: there is no such preset.
    """
    if name not in PRESETS:
        raise ValueError(f"preset {name!r} is not known; use one of {', '.join(PRESETS)}")
    preset = PRESETS[name]
    head = RESAMPLER if size is None else FLATTENED
    patch = 2 if size is None else 1
    prism = PrismSizes(
        channels, text, preset.width, preset.heads, preset.layers, head, preset.queries, preset.token, patch, size=size
    )
    inner = min(preset.inner, int(max(blocks.values()) * preset.share))
    return AdapterSizes(prism, chosen(blocks, preset.every), inner)


def chosen(blocks: Mapping[str, int], every: int) -> dict[str, int]:
    """Each n-th block, the last of each n; the first block where there are fewer."""
    names = list(blocks)
    return {name: blocks[name] for name in names[every - 1 :: every] or names[:1]}


def build(sizes: AdapterSizes, operations: Any = nn, **factory: Any) -> tuple[ActionPrism, ActionIntegrations]:
    """The two modules of an adapter, with whatever weights ``operations`` start with."""
    prism = ActionPrism(sizes.prism, operations, **factory)
    return prism, ActionIntegrations(sizes.blocks, sizes.prism.token_channels, sizes.inner, operations, **factory)


def parameter_counts(sizes: AdapterSizes) -> tuple[int, int]:
    """Parameters of the prism and of all integrations; nothing is allocated."""
    prism, integrations = build(sizes, device="meta")
    return _count(prism), _count(integrations)


def new_adapter(sizes: AdapterSizes, seed: int = 0) -> tuple[ActionPrism, ActionIntegrations]:
    """An untrained adapter, which adds exactly nothing; its weights are a function of sizes and seed."""
    prism, integrations = build(sizes)
    generator = torch.Generator().manual_seed(seed)
    for module in (prism, integrations):
        for name, parameter in module.named_parameters():
            with torch.no_grad():
                parameter.copy_(_start(name, parameter, generator))
    for name, parameter in integrations.named_parameters():
        if ".to_out." in name:
            nn.init.zeros_(parameter)
    return prism, integrations


def _start(name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
    """Ones for the norms, zeros for biases, and weights within ``1 / sqrt(inputs)``."""
    if parameter.ndim < 2:
        return torch.full(parameter.shape, 0.0 if name.endswith("bias") else 1.0)
    bound = 1.0 / math.sqrt(parameter.shape[1])
    return (torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def three_way(nothing: Tensor, text: Tensor, both: Tensor, text_scale: float, action_scale: float) -> Tensor:
    """``v(0,0) + s_txt (v(c,0) - v(0,0)) + s_act (v(c,R) - v(c,0))``: text and action guide separately.

    Source: guidance by two conditions, InstructPix2Pix, arXiv 2211.09800, equation 3.
    Differs: AICL's authors keep the references in both predictions and guide by the text alone.
    """
    return add_action(nothing + text_scale * (text - nothing), text, both, action_scale)


def add_action(guided: Tensor, text: Tensor, both: Tensor, action_scale: float) -> Tensor:
    """The last term of ``three_way``, on a prediction that is guided by the text already."""
    return guided + action_scale * (both - text)


@dataclass(frozen=True)
class DropRates:
    """How often training leaves out the caption, the references, or both, so that three-way guidance works.

    Raises:
        ValueError: they are negative, or more than 1 together.
    """

    caption: float = 0.1
    references: float = 0.1
    both: float = 0.05

    def __post_init__(self) -> None:
        rates = (self.caption, self.references, self.both)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"drop rates {rates} must be 0 or more and 1 or less together; lower them")

    def kept(self, draw: float) -> tuple[bool, bool]:
        """Whether caption and references stay, for a number drawn evenly from [0, 1)."""
        if draw < self.both:
            return False, False
        if draw < self.both + self.caption:
            return False, True
        return True, draw >= self.both + self.caption + self.references

"""Where in a network AICL adds what its integrations say: in front of a block's feed-forward, or behind the block."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..layers.in_place import plain
from ..model.noise import LoadedModel
from ..model.video_model import VideoModel

# How blocks are reached.
KINDS = WAN, COGVIDEOX, SVD, LTX, HUNYUAN, KANDINSKY = "WAN", "CogVideoX", "SVD", "LTX", "HunyuanVideo", "Kandinsky"
SVD_CLASS, SVD_FAMILY = "SVD_img2vid", "SVD"  # the host's class, and the family's name
NAMES = "Wan, CogVideoX, LTXV, LTX-2, HunyuanVideo, Kandinsky 5"  # whose adapters can be trained, for sentences

# The norm in front of a block's feed-forward, by kind. Wan has a hook of the host there, LTX a function.
NORMS = {COGVIDEOX: "norm2", SVD: "norm3", HUNYUAN: "img_norm2", KANDINSKY: "feed_forward_norm"}


@dataclass(frozen=True)
class Way:
    """Where the host's class of a network has its blocks."""

    kind: str
    blocks: str  # pattern of their names in the network
    width: str  # layer of a block that takes as many channels as a token has


_WAN, _LTX = Way(WAN, r"blocks\.\d+", "self_attn.q"), Way(LTX, r"transformer_blocks\.\d+", "attn1.to_q")
# A single block of HunyuanVideo has attention and feed-forward side by side, so that nothing lies between them.
_HUNYUAN = Way(HUNYUAN, r"double_blocks\.\d+", "img_attn.proj")
WAYS = {
    "WAN21": _WAN,
    "WAN22": _WAN,
    "CogVideoX": Way(COGVIDEOX, r"blocks\.\d+", "q"),
    "LTXV": _LTX,
    "LTXAV": _LTX,
    "HunyuanVideo": _HUNYUAN,
    "HunyuanVideo15": _HUNYUAN,
    "Kandinsky5": Way(KANDINSKY, r"visual_transformer_blocks\.\d+", "self_attention.to_query"),
}


@dataclass(frozen=True)
class Base:
    """What AICL has to know of a loaded model."""

    family: str
    kind: str  # how its blocks are reached
    blocks: dict[str, int]  # channels of each, by its name in the network, in order

    def __str__(self) -> str:
        widths = sorted(set(self.blocks.values()))
        return f"{self.family} with {len(self.blocks)} blocks of {', '.join(map(str, widths))} channels"


def base_of(loaded: LoadedModel | VideoModel) -> Base:
    """The base that a host MODEL is; image-to-video models are welcome.

    Raises:
        ValueError: AICL has no place in it.
    """
    inner, family = loaded.model.model, loaded.family
    name, network = type(inner).__name__, inner.diffusion_model
    if name == SVD_CLASS:
        return Base(SVD_FAMILY, SVD, _time_stacks(network))
    way = None if family is None else WAYS.get(family.class_name)
    if family is None or way is None:
        raise ValueError(f"AICL works with {NAMES} and {SVD_FAMILY}, the model is a {name}; load one of those")
    blocks = ((name, module) for name, module in network.named_modules() if re.fullmatch(way.blocks, name))
    widths = {name: block.get_submodule(way.width).in_features for name, block in blocks}
    return Base(family.like or family.name, way.kind, widths)


def _time_stacks(network: Any) -> dict[str, int]:
    """The temporal blocks of a video UNet."""
    from comfy.ldm.modules.attention import BasicTransformerBlock

    found = ((name, module) for name, module in network.named_modules() if isinstance(module, BasicTransformerBlock))
    return {name: module.norm3.normalized_shape[0] for name, module in found if ".time_stack." in name}


def _options(args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """The transformer options of a block's call."""
    return options.get("transformer_options") or next((a for a in args if isinstance(a, dict)), {})


class BehindBlock:
    """Adds to what a block gives, where nothing can be put between its attention and its feed-forward.

    Of several streams the first one, the video, is added to.

    Args:
        addition: for tokens and transformer options what is to be added, or None.
    """

    def __init__(self, addition: Callable[[Tensor, Any], Tensor | None]) -> None:
        self.addition = addition

    def block(self, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The block's forward."""
        out = plain(original(*args, **options))
        video = out if isinstance(out, Tensor) else out[0]
        added = self.addition(video, _options(args, options))
        if added is None:
            return out
        return video + added if isinstance(out, Tensor) else (video + added, *out[1:])


class _Calls(threading.local):
    """Runs of a block that are under way in a thread: blocks may be run again inside a backward pass."""

    def __init__(self) -> None:
        self.stack: list[_Call] = []


class BeforeFeedForward:
    """Adds to a block's tokens between attention and feed-forward, where the host has no hook.

    With tokens x, addition a and the block's own norm and gate, ``(x + a) + g FF(norm(x + a))`` is what is wanted.
    The norm is shown ``x + a``; the residual goes around it, so a is added to the block's result. The host's block
    runs as it is, and where nothing is added it is the same to the bit.

    Args:
        addition: for tokens and transformer options what is to be added, or None.
    """

    def __init__(self, addition: Callable[[Tensor, Any], Tensor | None]) -> None:
        self.addition = addition
        self.calls = _Calls()  # the host may evaluate two prompts at once, on two devices

    def block(self, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The block's forward."""
        self.calls.stack.append(_Call(_options(args, options)))
        try:
            out = original(*args, **options)
        finally:
            call = self.calls.stack.pop()
        if not call.asked:
            raise RuntimeError("another node pack has replaced a block that AICL adds to; take one of the two off")
        if call.added is None:
            return out
        return out + call.added if isinstance(out, Tensor) else (out[0] + call.added, *out[1:])

    def norm(self, original: Callable[..., Any], x: Tensor, *args: Any, **options: Any) -> Any:
        """The forward of the norm in front of the feed-forward, whose first argument are the video's tokens."""
        if not self.calls.stack:
            return original(x, *args, **options)
        call = self.calls.stack[-1]
        call.asked, call.added = True, self.addition(x, call.options)
        return original(x if call.added is None else x + call.added, *args, **options)


class _Call:
    """One run of a block."""

    def __init__(self, options: Any) -> None:
        self.options = options
        self.asked = False
        self.added: Tensor | None = None

"""Where in a network AICL adds what its integrations say: in front of each block's feed-forward."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..model.noise import LoadedModel
from ..model.video_model import VideoModel

WAN, COGVIDEOX, SVD = "WAN", "CogVideoX", "SVD"  # how blocks are reached
SVD_CLASS, SVD_FAMILY = "SVD_img2vid", "SVD"  # the host's class, and the family's name


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
    if family is not None and family.class_name in ("WAN21", "WAN22"):
        return Base(
            family.like or family.name, WAN, {f"blocks.{i}": block.dim for i, block in enumerate(network.blocks)}
        )
    if family is not None and family.class_name == "CogVideoX":
        return Base(family.name, COGVIDEOX, {f"blocks.{i}": block.dim for i, block in enumerate(network.blocks)})
    raise ValueError(
        f"AICL works with Wan 2.1, Wan 2.2, CogVideoX and {SVD_FAMILY}, the model is a {name}; load one of those"
    )


def _time_stacks(network: Any) -> dict[str, int]:
    """The temporal blocks of a video UNet."""
    from comfy.ldm.modules.attention import BasicTransformerBlock

    found = ((name, module) for name, module in network.named_modules() if isinstance(module, BasicTransformerBlock))
    return {name: module.norm3.normalized_shape[0] for name, module in found if ".time_stack." in name}


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
        told = options.get("transformer_options") or next((a for a in args if isinstance(a, dict)), {})
        self.calls.stack.append(_Call(told))
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

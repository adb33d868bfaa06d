"""The host's Context Windows beside a TIC-FT context: every window begins with the condition and buffer frames."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor

from ....methods import tic_ft

TIME = 2  # dimension of latents [B, C, T, H, W]
HANDLER = "context_handler"  # the host's name, in a MODEL's options, of what cuts a sequence into windows


def lead_windows(options: dict[str, Any], layout: tic_ft.Layout) -> None:
    """Have the context windows in the options of one sampler run begin with the prefix, see ``windows_with_prefix``."""
    if options.get(HANDLER) is not None and layout.prefix:
        options[HANDLER] = windows_with_prefix(options[HANDLER], layout)


def windows_with_prefix(handler: Any, layout: tic_ft.Layout) -> Any:
    """The host's handler of context windows, its windows cut from the target alone and the prefix put before each.

    A window so is laid out as in training, ``[L | B | some of K]``. Its length counts the prefix, as that is what has
    to fit the card. Handlers that cut no window of this sequence, or along another dimension, come back as they are.

    Raises:
        ValueError: the windows are not the host's own, or too short to move on behind the prefix.
    """
    from comfy.context_windows import IndexListContextHandler

    if not isinstance(handler, IndexListContextHandler):
        raise ValueError(
            f"the context windows on this model are of another pack ({type(handler).__name__}) and would leave the "
            "condition out of all but the first; take that node off, or use ComfyUI's Context Windows"
        )
    if handler.dim != TIME or layout.frames <= handler.context_length:
        return handler
    room = handler.context_length - layout.prefix
    if room <= handler.context_overlap:
        raise ValueError(
            f"Context Windows got windows of {handler.context_length} latents with an overlap of "
            f"{handler.context_overlap}, and each begins with the {layout.prefix} condition and buffer latents; set "
            f"its context_length to more than {layout.prefix + handler.context_overlap} latents, or its overlap lower"
        )
    return _with_prefix(handler, layout, room)


def _with_prefix(handler: Any, layout: tic_ft.Layout, room: int) -> Any:
    """A copy of the handler; ``room`` is how many target latents fit in a window."""
    from comfy.context_windows import apply_freenoise

    prefix, inner, outer = layout.prefix, copy.copy(handler), copy.copy(handler)
    inner.context_length = room

    def windows(model: Any, x: Tensor, options: dict[str, Any]) -> list[Any]:
        inner._step = outer._step  # uniform schedules move their windows from step to step
        cut = type(handler).get_context_windows(inner, model, x[:, :, prefix:], options)
        return [_lead(window, prefix, layout.frames) for window in cut]

    def freenoise(noise: Tensor, _conds: Any, seed: int) -> Tensor:
        apply_freenoise(noise[:, :, prefix:], TIME, room, handler.context_overlap, seed)  # in place
        return noise

    outer.get_context_windows, outer._apply_freenoise = windows, freenoise
    outer.fuse_method = _fuse_behind(handler.fuse_method, prefix, layout.target)
    return outer


def _lead(window: Any, prefix: int, frames: int) -> Any:
    """The window of the whole sequence that begins with the prefix; its share of the clip stays the target's."""
    from comfy.context_windows import IndexListContextWindow

    index = [*range(prefix), *(i + prefix for i in window.index_list)]
    made = IndexListContextWindow(index, dim=TIME, total_frames=frames, context_overlap=window.context_overlap)
    made.center_ratio = window.center_ratio
    return made


def _fuse_behind(fuse: Any, prefix: int, target: int) -> Any:
    """The weights of the target frames as the host's method has them for the target alone, 1 for the prefix.

    Its relative method reads a frame's place in the window from its number, which the prefix would mislead, and keeps
    a running mean; the weights of that mean are given instead, under the name of a method that divides by their sum.
    """
    from comfy.context_windows import ContextFuseMethod, ContextFuseMethods

    relative = fuse.name == ContextFuseMethods.RELATIVE

    def weights(length: int, idxs: list[int], **more: Any) -> list[float]:
        count, more["full_length"] = length - prefix, target
        behind = _nearness(count) if relative else fuse.func(count, idxs=[i - prefix for i in idxs[prefix:]], **more)
        return [1.0] * prefix + [float(weight) for weight in behind]

    return ContextFuseMethod(ContextFuseMethods.PYRAMID if relative else fuse.name, weights)


def _nearness(count: int) -> list[float]:
    """How near each frame is to the middle of its window, as the host's relative method weighs it."""
    half = (count - 1) / 2
    return [max(0.01, 1.0 - abs(place - half) / (half + 0.005)) for place in range(count)]

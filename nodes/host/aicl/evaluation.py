"""One evaluation of a network with AICL: which actions act in it, and when its frames are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ....methods.action_layers import clip_times, grouped_times
from ..model.noise import SAMPLING
from ..services.keys import TIC_FT_KEY
from .encode import Action
from .sites import SVD, WAN

GUIDES = 5  # place of the guides among the arguments of the host's LTX networks, behind their input
GUIDED = "fewshot_aicl_guided"  # in transformer options: which action the evaluation is for


@dataclass
class Applied:
    """An action on a MODEL."""

    action: Action
    strength: float = 1.0
    start: float = 0.0  # share of the sampling from which on it acts
    end: float = 1.0  # share up to which it acts
    guidance: float = 0.0  # its own guidance scale; 0: it is in both predictions and the text alone guides


@dataclass(frozen=True)
class Span:
    """What a sampler run says about times."""

    sigmas: tuple[tuple[float, float], ...] = ()  # first and last of each action, in the run's own schedule
    before: int = 0  # latent frames in front of the clip, of a TIC-FT context


class SigmaWindow:
    """Where in a sampler run actions act; without a run they always do."""

    def __init__(self, applied: Sequence[Applied]) -> None:
        self.applied = applied
        self.span = Span()  # of the run under way

    def span_in(self, patcher: Any) -> Span:
        """That of a run with this MODEL."""
        to_sigma = patcher.get_model_object(SAMPLING).percent_to_sigma
        sigmas = tuple((float(to_sigma(one.start)), float(to_sigma(one.end))) for one in self.applied)
        return Span(sigmas, frames_before(patcher))

    def holds(self, number: int, sigma: Tensor | None) -> bool:
        """Whether an action acts at a noise level; the ends count as they do for the host's conditioning."""
        one = self.applied[number]
        if one.strength == 0.0 or one.start > one.end:
            return False
        if not self.span.sigmas or sigma is None or (one.start <= 0.0 and one.end >= 1.0):
            return True  # without reading the level, which waits for the device
        first, last = self.span.sigmas[number]
        level = float(sigma.flatten()[0])
        return (one.start <= 0.0 or level <= first) and level >= last

    def acting(self, options: dict[str, Any]) -> list[int]:
        """Numbers of the actions that act in a call with these transformer options."""
        sigma, guided = options.get("sigmas"), options.get(GUIDED)
        numbers = (number for number in range(len(self.applied)) if self.holds(number, sigma))
        return [number for number in numbers if not self.applied[number].guidance or number == guided]


def frames_before(patcher: Any) -> int:
    """Latent frames that a TIC-FT context on a MODEL puts in front of the clip to generate."""
    from comfy.patcher_extension import WrappersMP

    owners = (
        getattr(wrapper, "__self__", None) for wrapper in patcher.get_wrappers(WrappersMP.OUTER_SAMPLE, TIC_FT_KEY)
    )
    return sum(owner.layout.prefix for owner in owners if owner is not None)


@dataclass(frozen=True)
class Evaluation:
    """What the blocks have to know of the call they are in."""

    acting: list[int]  # numbers of the actions
    times: Tensor  # [F], share of the clip of each frame of tokens
    applied: tuple[Applied, ...] = ()  # the actions of this call, also when its blocks are computed again
    size: tuple[int, int] | None = None  # positions of a frame of tokens, rows and columns; None: as the host says

    def frames_of(self, kind: str, x: Tensor, options: dict[str, Any]) -> int:
        """Frames of the tokens ``x [B, L, C]`` of a transformer.

        Raises:
            RuntimeError: the tokens cannot be shared out among them.
        """
        frames, found = len(self.times), self.size and (len(self.times), *self.size)
        if kind == WAN:
            found = tuple(options["grid_sizes"])
        if found is not None and kind != SVD and (found[0], math.prod(found)) != (frames, x.shape[1]):
            raise RuntimeError(
                f"the model has {x.shape[1]} tokens in {' x '.join(map(str, found))} positions, the video {frames} "
                "latents; AICL cannot tell them from those of a reference image: take that off"
            )
        return frames


def positions_of(x: Tensor, side: int) -> tuple[int, int]:
    """Rows and columns of tokens for ``x [..., h, w]``, each of ``side`` latent pixels both ways."""
    height, width = x.shape[-2:]
    return -(-height // side), -(-width // side)


def refuse_guides(args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Refuse guides of LTX, which are frames behind those of the clip: their times would be taken for its end.

    Raises:
        RuntimeError: the network's call has some.
    """
    guides = options.get("keyframe_idxs", args[GUIDES] if len(args) > GUIDES else None)
    if guides is not None and guides.shape[2] > 0:
        raise RuntimeError(
            "the conditioning has guide frames, which AICL cannot tell from frames of the clip; take the LTXV guide "
            "node off, or AICL Apply"
        )


def times_of(
    x: Tensor, patch: int, before: int, options: dict[str, Any], frames: int | None, kept: dict[Any, Tensor] | None
) -> Tensor:
    """Share of the clip of each frame of tokens, ``[F]``; a context window of the host's knows the whole clip.

    Args:
        x: the network's input, ``[B, C, T, h, w]``, or ``[B T, C, h, w]`` with ``frames``.
        patch: latent frames of a token.
        before: latent frames in front of the clip.
        options: transformer options of the call.
        frames: T where it cannot be told from ``x``.
        kept: what a run keeps of earlier calls, as copying it to the device anew would wait for it; None: no run.
    """
    count = frames or x.shape[2]
    window = options.get("context_window")
    index, total = (), count
    if window is not None:
        anchor = getattr(window, "causal_anchor_index", None)
        found = (*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list)
        if len(found) == count:
            index, total = found, window.total_frames
    kept, key = {} if kept is None else kept, (index, total, before, patch, x.device)
    if key not in kept:
        times = clip_times(total, before)
        kept[key] = grouped_times(times[list(index)] if index else times, patch).to(x.device)
    return kept[key]

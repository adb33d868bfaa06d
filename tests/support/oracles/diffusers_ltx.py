"""diffusers' LTX networks with the weights of a tiny network of the host; they let gradients through."""

from __future__ import annotations

from collections.abc import Callable

import tiny_ltx
import torch
from diffusers import LTXVideoTransformer3DModel
from diffusers_networks import Names, Network, renamed
from torch import Tensor
from torch.func import functional_call

NAMES: Names = (
    (r"^patchify_proj\.", "proj_in."),
    (r"^adaln_single\.", "time_embed."),
    (r"\.([qk])_norm\.", r".norm_\1."),
)


def ltxv(weights: dict[str, Tensor], frame_rate: float) -> Network:
    """LTXV of the sizes of ``tiny_ltx``. Timesteps are ``[B]`` or ``[B, T h w]``; the answer also takes a text mask."""
    network = LTXVideoTransformer3DModel(**tiny_ltx.LTXV).eval()
    spacing = (8 / frame_rate, 32, 32)  # seconds and pixels between tokens, as its pipeline has them

    def answer(xt: Tensor, timestep: Tensor, text: Tensor, mask: Tensor | None = None) -> Tensor:
        mask = torch.ones(text.shape[:2]) if mask is None else mask.expand(len(xt), -1)
        given = (as_tokens(xt), text, timestep, mask, *xt.shape[2:], spacing)
        found = functional_call(network, renamed(weights, NAMES), given, {"return_dict": False}, strict=True)
        return as_frames(found[0], xt)

    return answer


def as_tokens(x: Tensor) -> Tensor:
    """Frames ``[B, C, T, h, w]`` as tokens ``[B, T h w, C]``."""
    return x.flatten(2).transpose(1, 2)


def as_frames(tokens: Tensor, like: Tensor) -> Tensor:
    """Tokens as frames of the shape of ``like``."""
    return tokens.transpose(1, 2).reshape(like.shape)


OF: dict[str, Callable[[dict[str, Tensor], float], Network]] = {"LTXV": ltxv}  # by the name in the pack's table


def of(name: str, weights: dict[str, Tensor], frame_rate: float, mask: Tensor | None = None) -> Network:
    """The network of a family for texts of one mask; one timestep and one text stand for all clips."""
    network = OF[name](weights, frame_rate)
    more = () if mask is None else (mask,)
    return lambda x, t, text: network(x, t.expand(len(x)), text.expand(len(x), -1, -1), *more)

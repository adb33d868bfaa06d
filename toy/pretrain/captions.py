"""Captions of the pre-training, and their embeddings."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..looks import MARKINGS
from ..text import CONFIG as TEXT_CONFIG
from ..text import clip_state_dict
from ..world import COLOURS, SHAPES, Scene

FILLER = tuple(
    "video clip of shows a an the again then image comes to life still first second new scene style frames key "  # noqa: SIM905
    "order combined done action please nice short film picture animation with and in something here now".split()
)


class Captions:
    """Caption embeddings ``[77, 64]`` by text, computed once each with the host's CLIP."""

    def __init__(self) -> None:
        import comfy.sd  # pyright: ignore[reportMissingImports]

        self.clip = comfy.sd.load_text_encoder_state_dicts(
            [clip_state_dict()], clip_type=comfy.sd.CLIPType.WAN, model_options={"model_config": TEXT_CONFIG}
        )
        self.known: dict[str, Tensor] = {}

    def __call__(self, texts: list[str]) -> Tensor:
        for text in set(texts) - self.known.keys():
            with torch.no_grad():
                out = self.clip.encode_from_tokens_scheduled(self.clip.tokenize(text))
            self.known[text] = out[0][0][0].half()
        return torch.stack([self.known[text] for text in texts]).float()


def vary_caption(scene: Scene, rng: np.random.Generator, continued: bool = False) -> str:
    """The caption, now and then with facts left out or filler in front, one in ten empty.

    Of a clip that goes on from frames that are there (``continued``) half of the captions tell the motion alone.

    So a later caption may leave out what its condition shows, and foreign words do no harm. What a caption does
    not say the frames must agree on among themselves, which is what a condition frame builds on.
    """
    draw = rng.random()
    if draw < 0.1:
        return ""
    keep = np.ones(4, dtype=bool)
    if draw < (0.5 if continued else 0.25):
        keep = np.array([False, False, True, False])  # the motion alone
    elif draw < (0.7 if continued else 0.45):
        keep = rng.random(4) < 0.5
    words = [
        "a",
        scene.colour if keep[0] and scene.colour in COLOURS else "",
        scene.shape if keep[1] and scene.shape in SHAPES else "thing",
        MARKINGS[scene.marking].format(scene.mark_colour) if scene.marking != "plain" and _told(keep, rng) else "",
        scene.motion if keep[2] else "",
        scene.on() if keep[3] else "",
    ]
    if rng.random() < 0.25:
        words = [*rng.choice(FILLER, rng.integers(1, 18)), *words]
    return " ".join(str(word) for word in words if word)


def _told(keep: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether a caption tells of a marking: always where it tells all, never where it tells the motion alone."""
    return bool(keep.all()) or (bool(keep[[0, 1, 3]].any()) and rng.random() < 0.5)

"""One-shot motion: what of a clip is encoded, as single pictures for its appearance and whole for its motion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...methods import motion
from ...methods.tic_ft import latent_frames, pixel_frames
from ..data.clips import clip_length
from ..data.known_frames import KNOWN, KnownFrames
from ..tic_ft.layout import check_channels

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Sample

COMPRESSION = 4  # pixel frames a later latent stands for
MOST_PICTURES = 24  # of a clip; neighbouring frames look alike and tell nothing new
LEAST = 2  # latents of a clip that shows motion


@dataclass(frozen=True)
class AppearanceRecipe:
    """Single frames of each clip, evenly spread over it and each encoded alone, as a clip of one latent.

    Source: Set-and-Sequence, arXiv 2502.14844 (the first of its two stages, on unordered frames).
    """

    most: int = MOST_PICTURES
    channels: int | None = None  # latent channels of the model; None: any
    known: KnownFrames | None = None  # further inputs of an image-to-video network: of a still, no frame is given
    stills: Mapping[str, str] = field(default_factory=dict)  # caption without the motion, by the key of a sample

    @property
    def key(self) -> str:
        """Everything that changes the latents; captions and channels do not."""
        return f"appearance 1 {self.most}{self.known.key if self.known else ''}"

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``frame_i``: one frame each, ``[1, H, W, 3]``."""
        frames = sample.target.frames()
        picks = torch.linspace(0, len(frames) - 1, min(len(frames), self.most)).round().long().tolist()
        given = {KNOWN: self.known.clip(frames[:1], 0, COMPRESSION)} if self.known else {}
        return {**given, **{f"frame_{i}": frames[pick : pick + 1] for i, pick in enumerate(picks)}}

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``pictures [C, N, h, w]``, of which no two know of each other.

        Raises:
            ValueError: the latents are of another model's VAE.
        """
        count = sum(name.startswith("frame_") for name in latents)
        pictures = torch.cat([latents[f"frame_{i}"] for i in range(count)], dim=1)
        if self.channels is not None:
            check_channels(pictures, self.channels)
        return {"pictures": pictures, **(self.known.inputs(pictures[:, :1], latents, 0) if self.known else {})}

    def captions(self, sample: Sample) -> dict[str, str]:
        """The caption of a still of the clip."""
        return {"caption": self.stills.get(sample.key(), sample.caption)}


@dataclass(frozen=True)
class MotionRecipe:
    """Each clip whole; of a long one the steps of training take every ``stride``-th latent."""

    stride: int = 1  # latents from one that is taken to the next
    compression: int = COMPRESSION
    time_patch: int = 1  # latents of a patch of the network
    channels: int | None = None
    known: KnownFrames | None = None  # further inputs of an image-to-video network: the first frame

    @property
    def key(self) -> str:
        """Everything that changes the latents; the stride does not."""
        return f"motion 1 x{self.compression} patch {self.time_patch}{self.known.key if self.known else ''}"

    def latents_of(self, sample: Sample) -> int:
        """Latents of a clip: all whole ones, a multiple of the patch.

        Raises:
            ValueError: they are too few for any motion.
        """
        found = latent_frames(clip_length(sample.target), self.compression)
        found -= found % self.time_patch
        least = max(LEAST, self.time_patch)
        if motion.sparse_count(found, self.stride) < least:
            needed = pixel_frames(self.stride * (least - 1) + 1, self.compression)
            raise ValueError(
                f"a clip of {clip_length(sample.target)} frames is too short for its motion to be learned; "
                f"give one of at least {needed} frames"
            )
        return found

    def clips(self, sample: Sample) -> dict[str, Tensor]:
        """``clip``: the frames that make whole latents, ``[T, H, W, 3]``."""
        clip = sample.target.frames()[: pixel_frames(self.latents_of(sample), self.compression)]
        return {"clip": clip, **({KNOWN: self.known.clip(clip, 1, self.compression)} if self.known else {})}

    def assemble(self, latents: dict[str, Tensor]) -> dict[str, Tensor]:
        """``x0 [C, T, h, w]``.

        Raises:
            ValueError: the latents are of another model's VAE.
        """
        if self.channels is not None:
            check_channels(latents["clip"], self.channels)
        x0 = latents["clip"]
        return {"x0": x0, **(self.known.inputs(x0, latents, 1) if self.known else {})}

    def captions(self, sample: Sample) -> dict[str, str]:
        """The clip's own."""
        return {"caption": sample.caption}


def plan_stride(dataset: Dataset, sparse: int, compression: int = COMPRESSION) -> int:
    """Latents from one that is taken to the next, so that of the longest clip at most ``sparse`` are; 0 takes all.

    One stride serves all clips of a run: it decides their position ids.

    Raises:
        ValueError: fewer than 2 latents would be taken.
    """
    if not sparse:
        return 1
    longest = max(latent_frames(clip_length(sample.target), compression) for sample in dataset.samples)
    return motion.sparse_stride(longest, sparse)


def still_captions(text: str, dataset: Dataset) -> dict[str, str]:
    """Captions of the clips' stills by the keys of the samples: one line for all, or one line a clip; empty: none.

    Raises:
        ValueError: there are several lines, and not as many as clips.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return {}
    if len(lines) not in (1, len(dataset)):
        raise ValueError(
            f"{len(lines)} captions of stills were given for {len(dataset)} clips; give one line for all, or one a clip"
        )
    lines *= len(dataset) if len(lines) == 1 else 1
    return {sample.key(): line for sample, line in zip(dataset.samples, lines, strict=True)}

"""What a recipe asked for, encoded: read from the cache clip by clip, when a step wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..storage.cache import Cache
from ..storage.compact import Shapes
from ..storage.lazy import Kept, Lazy
from .dataset import Sample

Tensors = dict[str, Tensor]


@dataclass
class EncodedSample:
    """One sample as the trainer sees it."""

    latents: Tensors  # by the recipe's names, each [C, T, h, w], fp32 on the CPU, in VAE space
    conditioning: dict[str, Tensors]  # by caption name: "cross_attn" [L, D] and what else the encoder gave
    name: str
    caption: str


@dataclass
class Entries:
    """Entries of a cache by key; those that there is room for stay in memory."""

    cache: Cache
    kept: Kept = field(default_factory=Kept)
    shapes: dict[str, Shapes] = field(default_factory=dict)

    def find(self, key: str) -> bool:
        """Whether there is a whole entry: read and checked while there is room to keep it, later told by its head."""
        if self.kept.full:
            shapes = self.cache.shapes(key)
            if shapes is not None:
                self.shapes[key] = shapes
            return shapes is not None
        # Plain tensors whatever mode the caller is in: trainers need them for the backward pass.
        with torch.inference_mode(False):
            entry = self.cache.read(key)
        if entry is not None:
            self.kept.put(key, entry)
            self.shapes[key] = entry.shapes
        return entry is not None

    def put(self, key: str, tensors: Tensors) -> None:
        """Store an entry."""
        entry = self.cache.put(key, tensors)
        self.kept.put(key, entry)
        self.shapes[key] = entry.shapes

    def read(self, key: str, *names: str) -> Tensors:
        """One entry, checked; all of it, or the tensors of these names.

        Raises:
            RuntimeError: it was damaged or taken away since it was found.
        """
        with torch.inference_mode(False):
            entry = self.kept.get(key)
            if entry is None:
                entry = self.cache.read(key)
                if entry is None:
                    self.cache.discard(key)
                    raise RuntimeError(
                        "an encoded clip or caption was damaged or removed while the run went on; start the run again, "
                        "which encodes it anew and goes on"
                    )
                self.kept.put(key, entry)
            return entry.whole(*names)


class EncodedSet:
    """Everything a recipe asked for, as lazy sequences in the order of the samples."""

    def __init__(
        self,
        entries: Entries,
        samples: Sequence[Sample],
        latents: Sequence[str],
        captions: Sequence[Mapping[str, str]],
        empty: str,
    ) -> None:
        """Keys of entries: of the samples' latents, of their captions by name, and of the empty caption."""
        self._entries, self._samples, self._latents, self._captions = entries, samples, latents, captions
        self.unconditional = entries.read(empty)  # the empty caption, for caption dropout

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def samples(self) -> Lazy[EncodedSample]:
        """All of each sample."""

        def read(i: int) -> EncodedSample:
            conditioning = {name: self._entries.read(key) for name, key in self._captions[i].items()}
            return EncodedSample(self.latents(i), conditioning, self._samples[i].name, self._samples[i].caption)

        return Lazy(len(self), read)

    def names(self, i: int) -> list[str]:
        """Names of one sample's latents; none is read."""
        return list(self._entries.shapes[self._latents[i]])

    def latents(self, i: int, *names: str) -> Tensors:
        """One sample's latents of these names, or all."""
        return self._entries.read(self._latents[i], *names)

    def caption(self, i: int, name: str) -> Tensors:
        """One sample's caption of this name."""
        return self._entries.read(self._captions[i][name])

    def shapes(self, name: str) -> list[torch.Size]:
        """The shapes of the latents of this name; none is read."""
        return [self._entries.shapes[key][name] for key in self._latents]

    def summary(self, name: str, make: Callable[[], Tensors]) -> Tensors:
        """Tensors that say something of all samples, made once and kept in the cache beside them."""
        digest = hashlib.sha256("\n".join([*self._latents, *map(str, self._captions)]).encode()).hexdigest()
        key = f"{name} of {digest}"
        if not self._entries.find(key):
            self._entries.put(key, make())
        return self._entries.read(key)

"""Encoding a dataset for one method: lazily, through a cache, and letting the encoders go afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..storage.cache import Cache, DiskCache, MemoryCache
from ..storage.known_files import files_known
from .dataset import Dataset, Sample
from .encoded_set import EncodedSet, Entries, Tensors
from .vision import VisionEncoder, check_vision, features_of

Progress = Callable[[int, int], None]  # done, total; may raise to cancel
POOLED = "pooled_output"  # the host's name for what a text encoder says of a whole caption


class Recipe(Protocol):
    """What a method needs encoded, and how the results are put together."""

    @property
    def key(self) -> str:
        """Text that changes whenever ``clips`` or ``assemble`` would give something else.

        A recipe may also have ``key_of(sample)``, which is then asked instead: one key for each bucket. And it may
        have ``frame_by_frame``, true where it wants each frame encoded alone, by an image VAE, and ``known``, what an
        image-to-video network takes of the frames that are given.
        """
        ...

    def clips(self, sample: Sample) -> Tensors:
        """Named pixel clips ``[T, H, W, 3]`` in [0, 1] for the VAE. They must not depend on the captions."""
        ...

    def assemble(self, latents: Tensors) -> Tensors:
        """Named results from the named latents ``[C, T, h, w]``."""
        ...

    def captions(self, sample: Sample) -> dict[str, str]:
        """Named captions for the text encoder."""
        ...


@dataclass(frozen=True)
class TextWidth:
    """How many channels a token of a caption has for a network."""

    channels: int
    network: str  # for sentences
    pooled: bool = False  # whether it also takes the pooled output of CLIP-L

    def check_caption(self, caption: Mapping[str, torch.Size]) -> None:
        """Refuse an encoded caption, of which the shapes are given, of another text encoder.

        Raises:
            ValueError: its tokens have other channels, or there is no pooled output where the network takes one.
        """
        self.check(caption["cross_attn"])
        if self.pooled and POOLED not in caption:
            raise ValueError(
                f"the text encoder gives no pooled output, {self.network} takes that of CLIP-L; load both of its text "
                "encoders with Load CLIP (Dual)"
            )

    def check(self, tokens: torch.Size) -> None:
        """Refuse tokens of a shape ``[..., D]``, of another text encoder.

        Raises:
            ValueError: D is not ``channels``.
        """
        if tokens[-1] != self.channels:
            raise ValueError(
                f"the text encoder gives {tokens[-1]} channels a token, {self.network} takes {self.channels}; "
                "load the CLIP that belongs to the model"
            )


class EncodedDataset:
    """A lazy handle: a dataset and its encoders. Nothing is encoded until a trainer brings its recipe."""

    def __init__(
        self,
        dataset: Dataset,
        encode_video: Callable[[Tensor], Tensor],
        encode_text: Callable[[str], Tensors],
        encoder_key: str,
        cache_dir: Path | None,
        release: Callable[[], None],
        text_key: str | None = None,
        frame_by_frame: bool = False,
        cache_bytes: int | None = None,
        vision: VisionEncoder | None = None,
    ) -> None:
        """Keep everything, do nothing yet.

        Args:
            dataset: The samples.
            encode_video: Pixels ``[T, H, W, 3]`` in [0, 1] to latents ``[C, T, h, w]``.
            encode_text: Caption to named tensors, "cross_attn" ``[L, D]`` among them.
            encoder_key: Identity of the video encoder's weights and settings.
            cache_dir: Folder for results; None keeps them in memory, on this object.
            release: Frees both encoders; called once after each ``encode`` that used one.
            text_key: Identity of the text encoder; None where ``encoder_key`` covers both.
            frame_by_frame: Whether the video encoder is an image VAE, which encodes each frame alone.
            cache_bytes: Most that the folder may hold, see ``DiskCache``.
            vision: CLIP vision model, for networks that take features of the frames that are given.
        """
        self.dataset = dataset
        self.encoder_key = encoder_key
        self.text_key = encoder_key if text_key is None else text_key
        self.frame_by_frame, self.vision = frame_by_frame, vision
        self.encode_video, self.encode_text, self._release = encode_video, encode_text, release
        self._folder = cache_dir
        self._cache: Cache = MemoryCache() if cache_dir is None else DiskCache(cache_dir, cache_bytes)

    def key(self, recipe: Recipe) -> str:
        """Identity of what ``encode(recipe)`` gives, as a hexadecimal digest.

        Files count by what they hold, so that a copied or touched folder is the same data set, and so is one that
        another version of a library decodes; the cache tells those apart.

        Raises:
            ValueError: The VAE is of another kind than the recipe needs.
        """
        return self._digest(recipe, Sample.content)

    def former_key(self, recipe: Recipe) -> str:
        """As ``key`` was when files counted by path and time: records of older versions hold it."""
        return self._digest(recipe, Sample.former_key)

    def _digest(self, recipe: Recipe, name: Callable[[Sample], str]) -> str:
        self._check_kind(recipe)
        with files_known(self._folder):
            entries = [self._latents_key(sample, recipe, name) for sample in self.dataset.samples]
        captions = [recipe.captions(sample) for sample in self.dataset.samples]
        return hashlib.sha256(json.dumps([entries, captions, self.text_key]).encode()).hexdigest()

    def encode(self, recipe: Recipe, progress: Progress | None = None, text: TextWidth | None = None) -> EncodedSet:
        """All samples as ``recipe`` wants them, in the cache where nothing changed, and read when they are asked for.

        Each sample and each distinct caption is one entry: a changed clip is encoded again alone. A run that
        is cancelled or fails keeps the entries it finished.

        Args:
            recipe: What to encode.
            progress: Called with (done, total) after each entry; may raise to cancel.
            text: What the network takes of a text encoder, held against the first caption before anything else is
                encoded.

        Raises:
            ValueError: A clip cannot be read or does not fit the recipe, or the VAE or the text encoder is of another
                kind.
            RuntimeError: An encoder gives non-finite numbers, or the cache cannot be written.
        """
        self._check_kind(recipe)
        captions = [recipe.captions(sample) for sample in self.dataset.samples]
        texts = list(dict.fromkeys(["", *(caption for named in captions for caption in named.values())]))
        run = _Run(Entries(self._cache), len(texts) + len(self.dataset), progress)
        try:
            # Plain tensors whatever mode the caller is in: trainers need them for the backward pass.
            with torch.inference_mode(False), torch.no_grad():
                keys: dict[str, str] = {}
                for caption in texts:
                    keys[caption] = run.entry(self._text_key(caption), lambda t=caption: self._text(t))
                    if text is not None:
                        text.check_caption(run.entries.shapes[keys[caption]])
                latents = [
                    run.entry(self._latents_key(sample, recipe), lambda s=sample: self._latents(s, recipe))
                    for sample in self.dataset.samples
                ]
        finally:
            self._cache.settle()
            if run.encoded:
                self._release()
        named = [{name: keys[caption] for name, caption in one.items()} for one in captions]
        return EncodedSet(run.entries, self.dataset.samples, latents, named, keys[""])

    def _check_kind(self, recipe: Recipe) -> None:
        wanted = bool(getattr(recipe, "frame_by_frame", False))
        if wanted != self.frame_by_frame:
            kinds = ("a video VAE", "an image VAE")
            raise ValueError(
                f"the data set was given {kinds[self.frame_by_frame]}, {kinds[wanted]} is needed; load the one that "
                "belongs to the model and encode with it"
            )
        check_vision(self.vision, recipe)

    def _latents_key(self, sample: Sample, recipe: Recipe, name: Callable[[Sample], str] = Sample.key) -> str:
        # A recipe that treats buckets unlike has a key for each sample, so that a new bucket leaves the others alone.
        key_of = getattr(recipe, "key_of", None)
        vision = [self.vision.key] if self.vision is not None and features_of(recipe) else []
        recipe_key = recipe.key if key_of is None else key_of(sample)
        return json.dumps(["latents", recipe_key, self.encoder_key, *vision, name(sample)])

    def _text_key(self, text: str) -> str:
        return json.dumps(["text", self.text_key, text])

    def _latents(self, sample: Sample, recipe: Recipe) -> Tensors:
        try:
            clips = recipe.clips(sample)
        except ValueError as error:
            raise ValueError(f"{sample.name or 'a sample'}: {error}") from error
        latents = {name: self.encode_video(clip) for name, clip in clips.items()}
        if self.vision is not None:
            latents |= self.vision.features(recipe, clips)
        _check_finite(latents, f"The VAE gives non-finite latents for {sample.name or 'a sample'}; run it in fp32")
        return recipe.assemble(latents)

    def _text(self, text: str) -> Tensors:
        conditioning = self.encode_text(text)
        numbers = {name: tensor for name, tensor in conditioning.items() if "mask" not in name}  # masks may hold -inf
        _check_finite(numbers, f"The text encoder gives non-finite numbers for {text[:60]!r}; run it in fp32")
        return conditioning


def former_clips(recipe: Recipe, encoded: EncodedDataset, validation: EncodedDataset | None = None) -> dict[str, str]:
    """What older versions called the clips of a run in its identity."""
    found = {"training clips": encoded.former_key(recipe)}
    return found if validation is None else {**found, "validation clips": validation.former_key(recipe)}


@dataclass
class _Run:
    """One pass over the entries: counts them and notes whether an encoder was needed."""

    entries: Entries
    total: int
    progress: Progress | None
    done: int = 0
    encoded: bool = False

    def entry(self, key: str, make: Callable[[], Tensors]) -> str:
        """Have the tensors under ``key`` in the cache, made and noted as encoded where they are not; then report."""
        if not self.entries.find(key):
            self.encoded = True
            self.entries.put(key, {name: _plain(tensor) for name, tensor in make().items()})
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)
        return key


def _plain(tensor: Tensor) -> Tensor:
    """On the CPU, floats as fp32, and neither a view nor an inference tensor: autograd refuses those."""
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype).clone(memory_format=torch.contiguous_format)


def _check_finite(tensors: Tensors, message: str) -> None:
    if any(t.is_floating_point() and not t.isfinite().all() for t in tensors.values()):
        raise RuntimeError(message)

"""Datasets: captioned clips with their conditions and references, held as paths and decoded one by one."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .buckets import Bucket
from .check import WRONG_TAGS, ClipCheck, caption_tags
from .clips import Clip, TensorClip, check_frames, clip_length, content_of, fit
from .footage import Footage, at_rate, resampled
from .media.options import DEFAULT

log = logging.getLogger(__name__)
FPS = 16.0  # frames a second of what says nothing else
BY_FPS = (
    "an IMAGE batch, taken for {:.4g} fps because fps says so, and the dataset has {:.4g}; set fps to 0 if it has the "
    "dataset's"
)
SMALLEST = 16  # pixels; no video model works below one latent patch


@dataclass(frozen=True)
class Sample:
    """One thing to learn: what goes in and what is to come out."""

    target: Clip  # the video to learn
    caption: str  # what the target shows
    conditions: tuple[Clip, ...] = ()  # what the target is made from, in socket order
    reference: Clip | None = None  # another video of the same action
    reference_caption: str = ""  # what the reference shows
    name: str = ""  # for reports
    fps: float = 16.0  # frames a second of every clip
    size: tuple[int, int] | None = None  # width and height of every clip in pixels; None: the dataset's
    action: str = ""  # the sub-folder it lies in, which names what all clips in it do

    def key(self) -> str:
        """Identity of the pixels: every clip's key, without the captions."""
        return self._joined(lambda clip: clip.key())

    def content(self) -> str:
        """As ``key``, but the same whichever version of a library decodes the files."""
        return self._joined(content_of)

    def former_key(self) -> str:
        """As ``key`` was when files were told apart by their paths and times."""
        return self._joined(lambda clip: getattr(clip, "former_key", clip.key)())

    def _joined(self, name: Callable[[Clip], str]) -> str:
        parts = [name(clip) for clip in (self.target, *self.conditions)]
        if self.reference is not None:
            parts.append(f"reference {name(self.reference)}")
        return "\n".join([f"{self.fps:g} fps", *parts])


@dataclass(frozen=True)
class Dataset:
    """Samples of one rate, all of one size or in buckets. Nothing is decoded until ``frames()`` of a clip is called."""

    samples: tuple[Sample, ...]
    width: int  # pixels; of every clip without a size of its own, else the size that the buckets are near
    height: int  # pixels
    fps: float  # frames a second
    report: str  # what was found, changed and left out, one line each
    extra: dict[str, Any] = field(default_factory=dict)  # what a source wants to tell a later node
    checks: tuple[ClipCheck, ...] = ()  # the report as data, one for each clip that was found
    advice: tuple[str, ...] = ()  # and what holds for the set

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        """Sample ``index``, counted from 0.

        Raises:
            ValueError: There is no such sample.
        """
        if not 0 <= index < len(self.samples):
            raise ValueError(
                f"sample {index} was asked for, the dataset has {len(self.samples)}; use 0 to {len(self.samples) - 1}"
            )
        return self.samples[index]

    def bucket(self, sample: Sample) -> Bucket:
        """Size and length of a sample's target."""
        return Bucket(*(sample.size or (self.width, self.height)), clip_length(sample.target))

    def buckets(self) -> dict[Bucket, int]:
        """All buckets and their numbers of clips, the fullest first; of equals the one that comes first."""
        return dict(Counter(self.bucket(sample) for sample in self.samples).most_common())

    def with_sample(self, sample: Sample, notes: Sequence[str] = ()) -> Dataset:
        """A new dataset with one more sample, and ``notes`` on it in the report; this one is left as it is."""
        wrong = caption_tags(sample.caption) == WRONG_TAGS
        note = "; its caption's tags are incomplete, write [CONDITION] and then [VIDEO], or neither" if wrong else ""
        report = f"{self.report}\n{'; '.join([f'{sample.name}: added', *notes])}{note}".strip()
        return replace(self, samples=(*self.samples, sample), report=report)

    def key(self) -> str:
        """Identity of everything in it, pixels and captions, as a hexadecimal digest."""
        digest = hashlib.sha256(f"{self.width}x{self.height} {self.fps:g} fps".encode())
        for sample in self.samples:
            for part in (sample.key(), sample.caption, sample.reference_caption):
                digest.update(hashlib.sha256(part.encode()).digest())
        return digest.hexdigest()


def check_size(width: int, height: int, fps: float) -> None:
    """Refuse what no clip can be made to.

    Raises:
        ValueError: A side is below 16 pixels, or the rate is not positive.
    """
    if width < SMALLEST or height < SMALLEST:
        raise ValueError(f"clips of {width}x{height} pixels were asked for; use at least {SMALLEST} in both directions")
    if not fps > 0:
        raise ValueError(f"{fps:g} fps was asked for; use a rate above 0")


def add_footage(
    dataset: Dataset | None,
    target: Footage,
    caption: str,
    conditions: Sequence[Footage] = (),
    reference: Footage | None = None,
    reference_caption: str = "",
    fps: float = 0.0,
    background: str = DEFAULT.background,
    rate: float | None = None,
) -> Dataset:
    """Append frames in memory as one sample.

    The dataset's size and rate win; without one the target's size does, and ``rate`` or else the target's (``fps``, or
    16, where it carries none).
    Every clip is cropped to that size and, where its own rate is known, resampled to that rate; what was done is in
    the dataset's report. ``fps`` is the rate of clips that carry none, 0 for the dataset's. ``background`` is seen
    through transparent parts.

    Raises:
        ValueError: The caption is empty, a clip has no frames, or the size is too small.
    """
    if not caption.strip():
        raise ValueError("the caption is empty; say what the target shows")
    check_frames(target.frames)
    if dataset is None:
        height, width = target.frames.shape[1:3]
        dataset = Dataset((), width, height, rate or target.fps or fps or FPS, "")
    check_size(dataset.width, dataset.height, dataset.fps)
    notes: list[str] = []
    name = f"clip {len(dataset) + 1}"

    def clip(footage: Footage, part: str) -> TensorClip:
        check_frames(footage.frames)
        if footage.fps is None and resampled(footage.frames, fps, dataset.fps):
            notes.append(f"{part}{BY_FPS.format(fps, dataset.fps)}")
            log.warning("%s: %s", name, notes[-1])
        footage = at_rate(footage, dataset.fps, fps or None, background)
        notes.extend(f"{part}{note}" for note in footage.notes)
        return TensorClip(fit(footage.frames, dataset.width, dataset.height))

    return dataset.with_sample(
        Sample(
            target=clip(target, ""),
            caption=caption.strip(),
            conditions=tuple(clip(c, "condition ") for c in conditions),
            reference=None if reference is None else clip(reference, "reference "),
            reference_caption=reference_caption.strip(),
            name=name,
            fps=dataset.fps,
        ),
        notes,
    )

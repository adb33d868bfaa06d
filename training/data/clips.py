"""Clips: pixel frames from tensors and files, all float32 ``[T, H, W, 3]`` in [0, 1]."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ...methods.frames import resize
from .content import clip_digest, clip_files
from .media.decode import decoder_name, probe, read_frames
from .media.known import FileNotes, known_notes
from .media.options import BACKGROUNDS, DEFAULT, ReadOptions
from .media.span import WHOLE, Span
from .media.timing import LAST_FRAME, ClipInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

BEYOND = 0.5  # how far a value of a pixel may lie outside of [0, 1], where it is cut off
MOST_REPEATS = 1000  # of a frame that is resampled: a minute of a slide show at 16 frames a second


class Clip(Protocol):
    """Frames that can be had again and again, and told apart by their key."""

    def frames(self) -> Tensor:
        """Decode now: float32 ``[T, H, W, 3]`` in [0, 1]."""
        ...

    def key(self) -> str:
        """Text that changes whenever the frames change; caches are kept by it.

        A clip may also have ``content()``, which stays when only the library that decodes it changes; runs are told
        apart by it.
        """
        ...


def content_of(clip: Clip) -> str:
    """Identity of what a clip shows, whichever version of a library decodes it."""
    content = getattr(clip, "content", None)
    return clip.key() if content is None else content()


def check_frames(frames: Tensor) -> None:
    """Refuse what is no clip.

    Raises:
        ValueError: The shape is not ``[T, H, W, C]`` with C of 3 or more, there are no frames, or their values are
            no numbers or lie far outside of [0, 1]; upscalers may leave it a little.
    """
    if frames.ndim != 4 or frames.shape[-1] < 3 or not frames.numel():
        raise ValueError(f"a clip needs frames of shape [T, H, W, 3], got {list(frames.shape)}; use an IMAGE batch")
    if frames.dtype == torch.uint8:
        return
    low, high = (float(value) for value in frames.detach().aminmax())
    if not math.isfinite(high - low):
        raise ValueError(
            "the frames hold values that are no numbers (NaN or infinite); find the node that made them, it often is "
            "a VAE in fp16, which wants bf16 or fp32"
        )
    if low < -BEYOND or high > 1.0 + BEYOND:
        raise ValueError(
            f"the frames hold values from {low:g} to {high:g}, an IMAGE holds 0 to 1; scale them to that, by dividing "
            "by 255 where they are bytes"
        )


def over_background(frames: Tensor, background: str) -> Tensor:
    """Frames ``[T, H, W, C]`` as ``[T, H, W, 3]``: ``a c + (1 - a) b`` where there is an alpha channel ``a``.

    Args:
        frames: float in [0, 1] or uint8 in 0..255; C of 3, or of 4 with alpha last. Alpha is not premultiplied.
        background: One of ``BACKGROUNDS``.
    """
    if not has_transparency(frames):
        return frames[..., :3]
    colours = frames.float() if frames.is_floating_point() else frames.float() / 255
    alpha, paper = colours[..., 3:4], torch.tensor(BACKGROUNDS[background], device=frames.device) / 255
    return alpha * colours[..., :3] + (1 - alpha) * paper


def has_transparency(frames: Tensor) -> bool:
    """Whether frames ``[T, H, W, C]`` have an alpha channel that is not opaque everywhere."""
    opaque = 1.0 if frames.is_floating_point() else 255
    return frames.shape[-1] == 4 and bool((frames[..., 3] < opaque).any())


class TensorClip:
    """A clip held in memory, as 8 bits a channel: a quarter of its float size."""

    def __init__(self, frames: Tensor, background: str = DEFAULT.background) -> None:
        """Keep ``frames``.

        Args:
            frames: float ``[T, H, W, C]`` in [0, 1] or uint8 in 0..255, C of 3, or of 4 with alpha last.
            background: One of ``BACKGROUNDS``, seen through transparent parts.

        Raises:
            ValueError: The shape is another, or there are no frames.
        """
        check_frames(frames)
        with torch.inference_mode(False):
            pixels = over_background(frames.detach().to("cpu", copy=True), background)
            if pixels.dtype != torch.uint8:
                pixels = (pixels.float().clamp(0, 1) * 255).round().to(torch.uint8)
            self._pixels = pixels.contiguous()
        self._key = ""

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self._pixels)

    def frames(self) -> Tensor:
        """All frames: float32 ``[T, H, W, 3]`` in [0, 1], new ones at each call."""
        return self._pixels.float() / 255

    def key(self) -> str:
        """Shape and digest of the pixels."""
        if not self._key:
            digest = hashlib.sha256(self._pixels.numpy().tobytes()).hexdigest()
            self._key = f"tensor {list(self._pixels.shape)} {digest}"
        return self._key


class FileClip:
    """A clip decoded from a file each time it is asked for; only its path and timing are kept.

    A folder of pictures, or one picture, carries no time and is taken as being at the wanted rate.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        frames: int | None,
        fps: float,
        info: ClipInfo | None = None,
        options: ReadOptions = DEFAULT,
        span: Span = WHOLE,
    ) -> None:
        """Look at the file, decode nothing yet.

        Args:
            path: Video, picture, or folder of pictures.
            width: Wanted width in pixels; the picture covers it and is cropped around its centre.
            height: Wanted height in pixels.
            frames: Wanted number of frames, taken from the start of the span; None for all of it.
            fps: Wanted frames a second.
            info: What ``probe(path, options)`` gave, if it has been asked already.
            options: How it is read.
            span: Which frames of the file are meant.

        Raises:
            ValueError: The file cannot be read, or has fewer frames than wanted.
        """
        self.path = path
        self.info = info or probe(path, options)
        self.options, self.span = options, span
        self.width, self.height, self.fps = width, height, fps
        available = span.of(self.info).frames_at(fps)
        if frames is not None and frames > available:
            raise ValueError(
                f"{path.name} is too short: it has {available} frames at {fps:g} fps, {frames} are needed; "
                "use a longer clip, fewer frames or a higher fps"
            )
        self.count = available if frames is None else frames

    def frames(self) -> Tensor:
        """Decode now: float32 ``[count, height, width, 3]`` in [0, 1], cropped and at the wanted rate.

        Raises:
            ValueError: The file has fewer frames than when it was looked at, or cannot be decoded.
        """
        out = torch.empty(self.count, self.height, self.width, 3)
        previous, filled = None, 0
        for picture in self._pictures():
            if picture is previous:  # slowed down: the same frame again
                out[filled] = out[filled - 1]
            else:
                pixels = torch.from_numpy(picture).float().div_(255)
                out[filled] = fit(pixels[None], self.width, self.height)[0]
            previous, filled = picture, filled + 1
        if filled < self.count:
            raise ValueError(
                f"{self.path.name} changed: {filled} of {self.count} frames are left; load the folder again"
            )
        return out

    def _pictures(self) -> Iterator[np.ndarray]:
        return read_frames(self.path, self.info, self.fps, self.count, self.options, span=self.span)

    def key(self) -> str:
        """The file's content, what is wanted of it, by which rule it is read and by which library.

        Raises:
            ValueError: The file is gone.
        """
        return f"{self.content()} {decoder_name(self.path)}"

    def content(self) -> str:
        """The file's content, what is wanted of it, and by which rule it is read; its place and age do not matter.

        Raises:
            ValueError: The file is gone.
        """
        return f"content {clip_digest(self.path)} {self._wanted()} {self.options.key()}"

    def former_key(self) -> str:
        """What ``key`` was before content decided: path, time of change and size. Old records are known by it."""
        return f"file {self.path.resolve().as_posix()} {file_stamps(self.path)} {self._wanted()}"

    def _wanted(self) -> str:
        part = "" if self.span == WHOLE else f" frames {self.span.key()}"
        return f"{self.width}x{self.height} {self.count} frames {self.fps:g} fps{part}"

    def check(self) -> FileNotes:
        """Decode all that ``frames`` will need and keep only what was noticed; an unchanged file once a session, within
        ``files_known`` once at all.

        Raises:
            ValueError: A frame cannot be decoded, or there are fewer than the file promises.
        """
        stamps = tuple(file_stamps(self.path))
        return known_notes(self.path, self.info, self.fps, self.count, self.options, self.span, stamps)


def file_stamps(path: Path) -> list[tuple[str, int, int]]:
    """Name, time of change and size of a file, or of each picture of a folder.

    Raises:
        ValueError: A file is gone.
    """
    try:
        return [(file.name, (stat := file.stat()).st_mtime_ns, stat.st_size) for file in clip_files(path)]
    except OSError as error:
        raise ValueError(f"{path.name} is gone; load the folder again") from error


def clip_length(clip: Clip) -> int:
    """Frames of a clip; most clips know without decoding."""
    count = getattr(clip, "count", None)
    return count if isinstance(count, int) else len(clip.frames())


def fit(frames: Tensor, width: int, height: int) -> Tensor:
    """Scale frames until they cover ``width`` x ``height``, then crop around the centre.

    Args:
        frames: ``[T, H, W, 3]`` in [0, 1].
        width: Wanted width in pixels.
        height: Wanted height in pixels.

    Returns:
        float ``[T, height, width, 3]`` in [0, 1]; bicubic with antialiasing, unchanged where the size fits.
    """
    return resize(frames, width, height, "crop")  # the same cut as when sampling, to the pixel


def resample(frames: Tensor, old_fps: float, fps: float) -> Tensor:
    """Frames in memory taken at ``fps`` instead of ``old_fps``, each the one nearest in time.

    Raises:
        ValueError: a frame would be there more than a thousand times.
    """
    if old_fps == fps:
        return frames
    if not fps / old_fps <= MOST_REPEATS:
        raise ValueError(
            f"the clip has {old_fps:g} frames a second, to bring it to {fps:g} each would be repeated more than "
            f"{MOST_REPEATS} times; set its rate to what it was recorded at"
        )
    count = max(1, math.ceil(len(frames) / old_fps * fps - LAST_FRAME))
    index = (torch.arange(count, dtype=torch.float64) / fps * old_fps - 1e-6).round().long()
    return frames[index.clamp(0, len(frames) - 1)]

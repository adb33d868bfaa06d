"""Where the conditions of a long video's windows come from: a clip read on the way, key frames, or the video itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor

from ....methods import frames
from ....training.data.footage import open_reel
from ....training.tic_ft.key_windows import KeyedVideo
from ....training.tic_ft.windows import LongVideo, Window
from ..services.images import connected_frames, file_of, rate_of, window_of


class Conditions(Protocol):
    """What each window is shown."""

    image: Tensor | None  # the frame at which the next window begins, where that is what it is shown

    def at(self, window: Window) -> list[Tensor]:
        """The window's condition images, ``[T, H, W, 3]`` in [0, 1] each; windows are asked for in order."""
        ...

    def note(self, made: Tensor) -> None:
        """Take the target frames that a window has made, those of its overlap included."""
        ...

    def go_on(self, image: Tensor) -> None:
        """Begin with a later window, at this frame ``[1, H, W, 3]`` of the video."""
        ...


class Fixed:
    """Conditions that do not depend on what was made."""

    image: Tensor | None = None

    def note(self, made: Tensor) -> None:
        pass

    def go_on(self, image: Tensor) -> None:
        pass


class ClipSource:
    """A clip of any length, read from the start and never held: frames before a window's are let go."""

    def __init__(self, clip: Any, fps: float | None, size: tuple[int, int], resize: str) -> None:
        """Open an IMAGE batch or a VIDEO, at ``fps`` frames a second where it has a rate of its own.

        Raises:
            ValueError: it cannot be read, or is a picture.
        """
        self.size, self.resize = size, resize
        source = None if isinstance(clip, Tensor) else file_of(clip)
        if source is None:  # in memory as it is
            images = connected_frames(clip, fps, ("source", "LoRA's"))
            self.count, self.fps = len(images), fps or rate_of(clip)
            self._pictures: Iterator[Tensor] = iter(images)
        else:
            reel = open_reel(source, fps, window_of(clip))
            self.count, self.fps = reel.count, reel.fps
            self._pictures = (torch.from_numpy(picture).float().div_(255.0) for picture in reel.pictures)
        if self.count < 2:
            raise ValueError(f"the source has {max(1, self.count)} frame; connect a clip of at least 2 frames")
        self._read, self._kept = 0, deque[Tensor]()  # frames taken from the file; the last of them, fitted

    def frames(self, start: int, count: int) -> Tensor:
        """Frames ``[count, H, W, 3]`` from ``start`` on, which never goes back; at the end the last one stays.

        Raises:
            ValueError: the file ends before it says.
        """
        while self._read < start + count and (picture := next(self._pictures, None)) is not None:
            if self._read >= start or self._read == self.count - 1:
                fitted = frames.resize(picture[None, ..., :3].float(), *self.size, self.resize)
                self._kept.append(fitted[0])
            self._read += 1
        while len(self._kept) > 1 and self._read - len(self._kept) < start:
            self._kept.popleft()
        if not self._kept:
            raise ValueError(f"the source ends after {self._read} of {self.count} frames; save it again as an MP4")
        shown = list(self._kept)[:count]
        return torch.stack([*shown, *[shown[-1]] * (count - len(shown))])


class ClipConditions(Fixed):
    """Video to video: the source's frames from where the window begins."""

    def __init__(self, source: ClipSource, plan: LongVideo) -> None:
        self.source, self.plan = source, plan

    def at(self, window: Window) -> list[Tensor]:
        return [self.source.frames(window.start, max(2, self.plan.shown))]


class StillConditions:
    """Image to video: the image, and then the video's own frame where the next window begins."""

    def __init__(self, image: Tensor, plan: LongVideo) -> None:
        self.image: Tensor | None = image
        self.plan = plan

    def at(self, window: Window) -> list[Tensor]:  # noqa: ARG002 - others look at it
        return [] if self.image is None else [self.image]

    def note(self, made: Tensor) -> None:
        self.go_on(made[min(self.plan.stride, len(made) - 1)][None].clone())

    def go_on(self, image: Tensor) -> None:
        self.image = image


class KeyConditions(Fixed):
    """Key frames: those of the window, of images spread evenly over the video."""

    def __init__(self, keys: Tensor, plan: LongVideo) -> None:
        self.keys, self.plan = keys, plan

    def at(self, window: Window) -> list[Tensor]:
        shown = self.plan.shown_at(window.start) if isinstance(self.plan, KeyedVideo) else range(len(self.keys))
        return [self.keys[shown.start : shown.stop]]

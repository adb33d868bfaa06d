"""Windows of a long video between key frames: each begins and ends where the layout shows a key.

Key k of M lies at frame t_k = k (N - 1) / (M - 1). A layout with n keys shows key i of a window of W frames at
i (W - 1) / (n - 1), as training spreads them over a clip. A window that begins at frame s may show the keys
k, ..., k + n - 1 if each has |t_(k+i) - s - i (W - 1) / (n - 1)| <= c / 2, half a latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from .windows import LongVideo, Window


@dataclass(frozen=True)
class KeyedVideo(LongVideo):
    """A long video whose windows are laid between its key frames: overlaps are as large as that takes.

    Raises:
        ValueError: no windows show every key at its time, or what ``LongVideo`` refuses.
    """

    keys: int = 2  # M, at least 2, spread evenly from the first frame to the last
    patch: int = 1  # latents that the network takes at a time

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.starts:
            raise ValueError(
                f"{self.keys} key frames over {self.frames} frames do not lie where windows of {self.window_frames} "
                f"frames show theirs; {self._advice()}"
            )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each window begins, as few as there can be; none where they cannot be laid."""
        before: dict[int, int | None] = {0: None} if self.shown_at(0) else {}
        waiting = list(before)
        for start in waiting:  # it grows: the nearest in windows come first
            if start + self.window_frames >= self.frames:
                found = [start]
                while (last := before[found[-1]]) is not None:
                    found.append(last)
                return tuple(reversed(found))
            for overlap in range(self.overlap, self.layout.target, self.patch):
                after = start + self.window_frames - self.compression * overlap
                if after not in before and self.shown_at(after):
                    before[after] = start
                    waiting.append(after)
        return ()

    def shown_at(self, start: int) -> range:
        """The keys that a window beginning at this frame shows, the most it may; empty where it can show none."""
        step = (self.frames - 1) / (self.keys - 1)
        first = round(start / step) if step else 0
        for count in range(min(self.layout.condition, self.keys - first), 1, -1):
            spread = (self.window_frames - 1) / (count - 1)
            off = [abs((first + i) * step - start - i * spread) for i in range(count)]
            if max(off) <= self.compression / 2:
                return range(first, first + count)
        return range(0)

    @property
    def count(self) -> int:
        """Windows in all."""
        return len(self.starts)

    def window(self, number: int) -> Window:
        """A window by its number; the last one ends with the video, or a few frames behind it, which are cut off."""
        start, begin = self.starts[number], 0
        if number:
            begin = self.starts[number - 1] + self.window_frames
        end = min(start + self.window_frames, self.frames)
        return Window(number, start, (begin - start) // self.compression if number else 0, range(begin, end))

    def number_at(self, first: int) -> int:
        """The window that goes on where the first ``first`` frames are there.

        Raises:
            ValueError: no window ends there.
        """
        ends = [0, *(self.window(number).new.stop for number in range(self.count))]
        if first not in ends:
            near = sorted(sorted(ends, key=lambda end: abs(end - first))[:2])
            raise ValueError(
                f"no window between these key frames ends at frame {first}; go on from {' or '.join(map(str, near))}, "
                "or give key frames, frames and layout as they were"
            )
        return ends.index(first)

    def _advice(self) -> str:
        lengths = possible_lengths(self)
        if not lengths:
            return "set overlap_latents lower, or more condition latents"
        return f"set frames to {' or '.join(map(str, lengths))}, or give more or fewer key frames"


def possible_lengths(asked: LongVideo, keys: int = 0, patch: int = 1) -> list[int]:
    """Lengths N, frames, at which windows can be laid between so many keys: those with the most keys a window first.

    Args:
        asked: Whose layout, overlap and compression count; of a ``KeyedVideo`` its keys and patch, too.
    """
    keys, patch = getattr(asked, "keys", keys), getattr(asked, "patch", patch)
    found = []
    for spaces in range(min(asked.layout.condition, keys) - 1, 0, -1):
        frames = max(asked.window_frames, asked.window_frames * (keys - 1) // spaces)
        if frames not in found and _can_be_laid(asked, frames, keys, patch):
            found.append(frames)
    return found


def _can_be_laid(asked: LongVideo, frames: int, keys: int, patch: int) -> bool:
    video = object.__new__(KeyedVideo)  # one that may turn out to be impossible
    values = {"frames": frames, "layout": asked.layout, "overlap": asked.overlap, "compression": asked.compression}
    video.__dict__.update(values, keys=keys, patch=patch)
    return bool(video.starts)

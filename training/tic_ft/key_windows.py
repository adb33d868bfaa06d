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
            lengths = possible_lengths(self, self.keys, self.patch)
            raise ValueError(
                f"{self.keys} key frames over {self.frames} frames do not lie where windows of {self.window_frames} "
                "frames show theirs; "
                + (f"set frames to {' or '.join(map(str, lengths))}" if lengths else "set overlap_latents lower")
                + ", or give more or fewer key frames"
            )

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each window begins, as few as there can be; none where they cannot be laid."""
        return _starts(self, self.frames, self.keys, self.patch)

    def shown_at(self, start: int) -> range:
        """The keys that a window beginning at this frame shows."""
        return _shown_at(start, self, self.frames, self.keys)

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

    def reach(self, done: int) -> int:
        """As many: where a window of other key frames ended that was cut off is not known from these."""
        return done

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


def possible_lengths(plan: LongVideo, keys: int, patch: int = 1) -> list[int]:
    """Lengths N, frames, at which windows can be laid between so many keys: those with the most keys a window first.

    Args:
        plan: Whose layout, overlap and compression count; its length does not.
        keys: M, at least 2.
        patch: latents that the network takes at a time.
    """
    spaces = range(min(plan.layout.condition, keys) - 1, 0, -1)
    lengths = [max(plan.window_frames, plan.window_frames * (keys - 1) // count) for count in spaces]
    return [frames for frames in dict.fromkeys(lengths) if _starts(plan, frames, keys, patch)]


def _starts(plan: LongVideo, frames: int, keys: int, patch: int) -> tuple[int, ...]:
    before: dict[int, int | None] = {0: None} if _shown_at(0, plan, frames, keys) else {}
    waiting = list(before)
    for start in waiting:  # it grows: what takes the fewest windows comes first
        if start + plan.window_frames >= frames:
            found = [start]
            while (last := before[found[-1]]) is not None:
                found.append(last)
            return tuple(reversed(found))
        for overlap in range(plan.overlap, plan.layout.target, patch):
            after = start + plan.window_frames - plan.compression * overlap
            if after not in before and _shown_at(after, plan, frames, keys):
                before[after] = start
                waiting.append(after)
    return ()


def _shown_at(start: int, plan: LongVideo, frames: int, keys: int) -> range:
    """As many keys as a window that begins there may show; empty where it can show no two."""
    step = (frames - 1) / (keys - 1)
    first = round(start / step) if step else 0
    for count in range(min(plan.layout.condition, keys - first), 1, -1):
        spread = (plan.window_frames - 1) / (count - 1)
        off = [abs((first + i) * step - start - i * spread) for i in range(count)]
        if max(off) <= plan.compression / 2:
            return range(first, first + count)
    return range(0)

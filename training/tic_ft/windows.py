"""A video longer than a layout, made window by window: each goes on from the last target frames of the one before.

``[L condition | B buffer | O overlap | K - O new]``. The overlap is the end of the window before, given clean, so the
rule of a condition frame holds for it inside the target; a window so adds K - O latents, c (K - O) frames. What a
window is shown as its condition is what training has shown for a clip that starts where the window's target does.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...methods.tic_ft import Layout, pixel_frames


@dataclass(frozen=True)
class Window:
    """One window of a long video; counts and places are pixel frames of the video unless they are latents."""

    number: int  # from 0
    start: int  # where its target begins
    overlap: int  # leading target latents that the window before has made; 0 where there is none
    new: range  # frames that it adds


@dataclass(frozen=True)
class LongVideo:
    """How a video of any length is cut into windows of one layout.

    Raises:
        ValueError: the overlap leaves nothing to make, or there are no frames.
    """

    frames: int  # N, frames of the whole video
    layout: Layout  # of a window without overlap
    overlap: int  # O, latents
    compression: int = 4  # c, frames a latent behind others

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.layout.target:
            raise ValueError(
                f"a window of {self.layout.target} target latents cannot begin with {self.overlap} of the window "
                f"before; set overlap_latents from 0 to {self.layout.target - 1}"
            )
        if self.frames < 1:
            raise ValueError(f"a video of {self.frames} frames cannot be made; give at least 1")

    @property
    def window_frames(self) -> int:
        """Frames of a window's target, c K."""
        return self.compression * self.layout.target

    @property
    def stride(self) -> int:
        """Frames from one window's start to the next one's, c (K - O)."""
        return self.compression * (self.layout.target - self.overlap)

    @property
    def shown(self) -> int:
        """Frames of a clip that fill condition and buffer, 1 + c (L + B - 1)."""
        return pixel_frames(self.layout.prefix, self.compression)

    @property
    def count(self) -> int:
        """Windows in all."""
        return 1 + max(0, -(-(self.frames - self.window_frames) // self.stride))

    def window(self, number: int) -> Window:
        """A window by its number; the last one is made whole and its end cut off."""
        begin = self._end(number - 1) if number else 0
        overlap = self.overlap if number else 0
        return Window(number, begin - self.compression * overlap, overlap, range(begin, self._end(number)))

    def reach(self, done: int) -> int:
        """Frames up to where the window that makes the last of ``done`` frames ends before anything is cut off."""
        if done == 0:
            return 0
        return self.window_frames + self.stride * max(0, -(-(done - self.window_frames) // self.stride))

    def number_at(self, end: int) -> int:
        """The window that goes on behind one that ends at frame ``end``, before anything is cut off.

        Raises:
            ValueError: no window ends there.
        """
        if end == 0:
            return 0
        number, spare = divmod(end - self.window_frames, self.stride)
        if number < 0 or spare:
            near = self.window_frames + self.stride * max(0, number)
            raise ValueError(
                f"the window to go on from ends at frame {end}, those of this layout end at {near} and "
                f"{near + self.stride}; set overlap_latents and the layout as they were"
            )
        return number + 1

    def _end(self, number: int) -> int:
        return min(self.window_frames + number * self.stride, self.frames)

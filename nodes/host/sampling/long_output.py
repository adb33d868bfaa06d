"""What a long video leaves on the disk while it is made: a part a window, and the state to go on from."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ....training.runs.folder import check_run_name, free_name
from ....training.runs.lock import RunInUseError, locked_run
from ....training.storage.joined_video import join_videos
from ....training.storage.state_file import read_state, write_state
from ....training.storage.video_file import write_video
from ..services.folders import output_folder

log = logging.getLogger(__name__)
STATE = "state.safetensors"


def long_videos_folder() -> Path:
    """Below the pack's output folder."""
    return output_folder() / "long_videos"


@dataclass
class LongOutput:
    """The folder of one long video, and the file that its windows become; both are the user's to delete."""

    folder: Path
    key: str  # of everything that the frames depend on
    fps: float  # frames a second
    done: int = 0  # frames of the video that are made
    latents: Tensor | None = None  # target latents of the last window, ``[1, C, K, h, w]``
    image: Tensor | None = None  # the frame at which the next window begins, ``[1, H, W, 3]``
    finished: bool = False

    @property
    def path(self) -> Path:
        """The video: all parts so far."""
        return self.folder.with_name(f"{self.folder.name}.mp4")

    @property
    def parts(self) -> list[Path]:
        """The windows' own files, in order."""
        return sorted(self.folder.glob("[0-9]*.mp4"))

    def add(self, frames: Tensor, done: int, latents: Tensor, image: Tensor | None) -> None:
        """Keep what a window adds, ``[T, H, W, 3]``, and then the state behind it: a window counts whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        write_video(frames, self.folder / f"{done:09}.mp4", self.fps)
        self._note(done, latents, image, finished=False)

    def join(self, finished: bool = False) -> None:
        """Make the video of the parts that are there; once ``finished``, they are removed.

        Raises:
            OSError: it cannot be written.
        """
        parts = [part for part in self.parts if int(part.stem) <= self.done]  # a later one has no state behind it
        join_videos(parts, self.path)
        if finished:
            self._note(self.done, self.latents, self.image, finished=True)
            for part in self.parts:
                with contextlib.suppress(OSError):
                    part.unlink()

    def _note(self, done: int, latents: Tensor | None, image: Tensor | None, finished: bool) -> None:
        state = {"key": self.key, "done": done, "fps": self.fps, "finished": finished}
        write_state(self.folder / STATE, {**state, "latents": latents, "image": image})
        self.done, self.latents, self.image, self.finished = done, latents, image, finished


@contextlib.contextmanager
def opened_output(name: str, key: str, fps: float) -> Iterator[LongOutput]:
    """The output of this name and key that is there already, finished or not, else a new one; others are kept away.

    Raises:
        ValueError: the name cannot name a file, or another ComfyUI makes this very video.
    """
    check_run_name(name)
    root = long_videos_folder()
    root.mkdir(parents=True, exist_ok=True)
    found = next(filter(None, (_read(state, key) for state in sorted(root.glob(f"{name}_*/{STATE}")))), None)
    output = found or LongOutput(root / free_name(root, name), key, fps)
    try:
        with locked_run(output.folder):
            yield output
    except RunInUseError as error:
        raise ValueError(
            f"{output.folder.name} is being made by another ComfyUI; wait for its end, or give another filename"
        ) from error


def _read(path: Path, key: str) -> LongOutput | None:
    """The output of a state with this key, as far as its files are there."""
    try:
        state: dict[str, Any] = read_state(path)
        if state["key"] != key:
            return None
        found = LongOutput(
            path.parent, key, float(state["fps"]), int(state["done"]), state["latents"], state["image"],
            bool(state["finished"]),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be gone on with (%s)", path.parent.name, error)
        return None
    there = found.path.is_file() if found.finished else any(int(part.stem) == found.done for part in found.parts)
    return found if there else None  # somebody may have removed them

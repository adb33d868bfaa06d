"""What a long video leaves on the disk while it is made: a part a window, and the state to go on from."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Reached:
    """How far a long video is, and what the next window goes on from."""

    done: int = 0  # frames that are in files
    end: int = 0  # frames up to the end of the latents: more than ``done`` where the video's end was cut off
    latents: Tensor | None = None  # target latents of the last window, ``[1, C, K, h, w]``
    history: Tensor | None = None  # those that they were decoded behind, ``[1, C, T, h, w]``, where that is known
    image: Tensor | None = None  # the frame at which the next window begins, ``[1, H, W, 3]``

    @property
    def window(self) -> tuple[Tensor, Tensor | None]:
        """Latents and history.

        Raises:
            ValueError: there is no window yet.
        """
        if self.latents is None:
            raise ValueError("there is no window to go on from yet; make the first one before")
        return self.latents, self.history


@dataclass
class LongOutput:
    """The folder of one long video, and the file that its windows become; both are the user's to delete."""

    folder: Path
    key: str  # of everything that the frames depend on
    fps: float  # frames a second
    reached: Reached = field(default_factory=Reached)
    finished: bool = False

    @property
    def path(self) -> Path:
        """The video: all parts so far."""
        return self.folder.with_name(f"{self.folder.name}.mp4")

    @property
    def parts(self) -> list[Path]:
        """The windows' own files, in order."""
        return sorted(self.folder.glob("[0-9]*.mp4"))

    def add(self, frames: Tensor, reached: Reached) -> None:
        """Keep the frames up to ``reached.done``, ``[T, H, W, 3]``, and then the state behind them.

        A window counts whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        write_video(frames, self.folder / f"{reached.done:09}.mp4", self.fps)
        self._note(reached, finished=False)

    def join(self, finished: bool = False) -> None:
        """Make the video of the parts that are there; once ``finished``, they are removed.

        Raises:
            OSError: it cannot be written.
        """
        done = self.reached.done  # a later part has no state behind it
        join_videos([part for part in self.parts if int(part.stem) <= done], self.path)
        if finished:
            self._note(self.reached, finished=True)
            for part in self.parts:
                with contextlib.suppress(OSError):
                    part.unlink()

    def _note(self, reached: Reached, finished: bool) -> None:
        state = {"key": self.key, "fps": self.fps, "finished": finished, "reached": vars(reached)}
        write_state(self.folder / STATE, state)
        self.reached, self.finished = reached, finished


@contextlib.contextmanager
def opened_output(name: str, key: str, fps: float, start: Reached) -> Iterator[LongOutput]:
    """The output of this name and key that is there already, finished or not, else a new one; others are kept away.

    A new one is at its ``start``.

    Raises:
        ValueError: the name cannot name a file, or another ComfyUI makes this very video.
    """
    check_run_name(name)
    root = long_videos_folder()
    root.mkdir(parents=True, exist_ok=True)
    found = next(filter(None, (_read(state, key) for state in sorted(root.glob(f"{name}_*/{STATE}")))), None)
    output = found or LongOutput(root / free_name(root, name), key, fps, start)
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
            path.parent, key, float(state["fps"]), Reached(**state["reached"]), bool(state["finished"])
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s cannot be gone on with (%s)", path.parent.name, error)
        return None
    part = found.folder / f"{found.reached.done:09}.mp4"
    return found if (found.path if found.finished else part).is_file() else None  # somebody may have removed them

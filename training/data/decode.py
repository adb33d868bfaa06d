"""Reading clips from files: videos and pictures through PyAV, on real timestamps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = (".mp4", ".mov", ".webm", ".mkv", ".gif")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

# A playlist renamed to .mp4 must not make FFmpeg open other files or addresses.
OPEN_OPTIONS = {
    "format_whitelist": "mov,matroska,gif,png_pipe,jpeg_pipe,webp_pipe",
    "protocol_whitelist": "file",
}
TIE = 1e-6  # seconds; of two frames equally near the earlier one is taken, whatever the rounding
UNEVEN = 1.5  # ratio of two gaps between frames; a gap that lacks one frame has 2
ROUNDING = 0.002  # seconds; Matroska keeps timestamps in whole milliseconds
LAST_FRAME = 0.1  # frames; containers round timestamps (WebM to 1 ms), so a last sliver is not a frame

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class ClipInfo:
    """What a clip holds, read without decoding all of it."""

    frames: int  # frames in the file
    fps: float  # mean frames a second; 0 for pictures, which carry no time
    duration: float  # seconds, the last frame's own time included; 0 for pictures
    width: int  # pixels, as shown (the file's rotation applied)
    height: int  # pixels, as shown
    start: float = 0.0  # timestamp of the first frame, seconds
    last: float = 0.0  # timestamp of the last frame, seconds after the first
    shortest: float = 0.0  # seconds between two neighbouring frames, the least
    longest: float = 0.0  # and the most

    @property
    def variable(self) -> bool:
        """Whether frames are unevenly spaced, beyond what containers round."""
        return self.longest > UNEVEN * self.shortest + ROUNDING

    def frames_at(self, fps: float) -> int:
        """Frames this clip has once resampled to ``fps``; pictures count as one frame each."""
        if not self.fps:
            return self.frames
        return max(1, math.ceil(self.duration * fps - LAST_FRAME))


def probe(path: Path) -> ClipInfo:
    """Size, length and rate of a video, a picture or a folder of pictures.

    A video's packets are listed, which gives every timestamp, but only its first frame is decoded.

    Raises:
        ValueError: The file is missing, corrupt, cut off or not of a known kind.
    """
    if path.is_dir():
        files = folder_images(path)
        if not files:
            raise ValueError(f"{path.name}/ holds no pictures; put {', '.join(IMAGE_SUFFIXES)} files there")
        height, width = read_image(files[0]).shape[:2]
        return ClipInfo(len(files), 0.0, 0.0, width, height)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        height, width = read_image(path).shape[:2]
        return ClipInfo(1, 0.0, 0.0, width, height)
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise ValueError(f"{path.name} is not a clip; use {', '.join(VIDEO_SUFFIXES + IMAGE_SUFFIXES)}")
    return _probe_video(path)


def folder_images(folder: Path) -> list[Path]:
    """Pictures of a folder in natural order: ``frame2`` before ``frame10``."""
    files = [p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")]
    return sorted(files, key=lambda p: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", p.name.lower())])


def other_files(path: Path) -> list[str]:
    """Names of what a folder of pictures holds besides them, hidden files too; of a file nothing."""
    if not path.is_dir():
        return []
    pictures = folder_images(path)
    return sorted(file.name for file in path.iterdir() if file not in pictures)


def read_image(path: Path) -> np.ndarray:
    """One picture as uint8 RGB, shape [H, W, 3]."""
    with _open_video(path) as (container, stream):
        for frame in container.decode(stream):
            return _to_rgb(frame)
    raise ValueError(f"{path.name} holds no picture; replace or remove it")


def read_frames(path: Path, info: ClipInfo, fps: float, count: int) -> Iterator[np.ndarray]:
    """The first ``count`` frames of a clip at ``fps``, each uint8 RGB [H, W, 3].

    Videos are resampled to the frame nearest in time; pictures are taken one for one.

    Raises:
        ValueError: A frame cannot be decoded, or decoding stops before the end.
    """
    if path.is_dir():
        return (read_image(file) for file in folder_images(path)[:count])
    if not info.fps:
        return iter([read_image(path)][:count])
    return nearest_frames(_decode_video(path, info), fps, count)


def nearest_frames(frames: Iterable[tuple[float, Picture]], fps: float, count: int) -> Iterator[Picture]:
    """Resample to a constant rate: output k is the frame whose timestamp is nearest to k / fps.

    Args:
        frames: Timestamp in seconds and picture, in rising order; any spacing.
        fps: Wanted frames a second.
        count: Wanted frames; the last picture is held to fill them.
    """
    done, previous = 0, None
    for time, picture in frames:
        while previous is not None and done < count and done / fps <= (previous[0] + time) / 2 + TIE:
            yield previous[1]
            done += 1
        if done == count:
            return
        previous = (time, picture)
    while previous is not None and done < count:
        yield previous[1]
        done += 1


def _probe_video(path: Path) -> ClipInfo:
    timestamps: list[tuple[int, int]] = []
    with _open_video(path) as (container, stream):
        for number, packet in enumerate(container.demux(stream), 1):
            if packet.size == 0:  # the packet that flushes the decoder
                continue
            if packet.is_corrupt or packet.pts is None:
                raise ValueError(f"{path.name} is damaged or cut off at frame {number}; re-encode or remove it")
            if not packet.is_discard:
                timestamps.append((packet.pts, packet.duration or 0))
        unit = float(stream.time_base or 0)
    if not timestamps:
        raise ValueError(f"{path.name} holds no frames; re-encode or remove it")
    first = read_image(path)
    return _info(sorted(timestamps), unit, first.shape[1], first.shape[0])


def _info(timestamps: list[tuple[int, int]], unit: float, width: int, height: int) -> ClipInfo:
    start, (last, hold) = timestamps[0][0], timestamps[-1]
    count = len(timestamps)
    if last == start:  # a video of one frame is a picture
        return ClipInfo(1, 0.0, 0.0, width, height)
    if not hold:  # some containers leave out the last frame's own duration: take the mean
        hold = (last - start) / (count - 1)
    duration = (last - start + hold) * unit
    gaps = [(after[0] - before[0]) * unit for before, after in pairwise(timestamps)]
    times = (start * unit, (last - start) * unit, min(gaps), max(gaps))
    return ClipInfo(count, count / duration, duration, width, height, *times)


def _decode_video(path: Path, info: ClipInfo) -> Iterator[tuple[float, np.ndarray]]:
    time = 0.0
    with _open_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.is_corrupt or frame.time is None:
                raise ValueError(f"{path.name} is damaged after {time:.2f} s; re-encode or remove it")
            time = frame.time - info.start
            yield time, _to_rgb(frame)
    # Hidden frames make a packet or two more than there are pictures; more than that is damage.
    if time < info.last - 2 / info.fps:
        raise ValueError(f"{path.name} decodes only to {time:.2f} of {info.last:.2f} s; re-encode or remove it")


def _to_rgb(frame: Any) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4  # phones store portrait videos lying on their side
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture


class _Nameless:
    """A file without its name, because FFmpeg reads patterns and protocols into names."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


@contextmanager
def _open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    import av
    from av.error import FFmpegError

    try:
        if not path.stat().st_size:
            raise ValueError(f"{path.name} cannot be read (the file is empty); copy or export it again, or remove it")
        with path.open("rb") as file, av.open(_Nameless(file), "r", options=OPEN_OPTIONS) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name} has no video stream; remove it or choose another file")
            yield container, container.streams.video[0]
    except (FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"{path.name} cannot be read ({reason}); re-encode or remove it") from error

"""Any clip or picture file as frames: videos, animations, pictures and folders of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from .files import Source, has_demuxer
from .findings import still_start
from .kinds import PICTURE_SUFFIXES, folder_images, is_animated, not_a_clip
from .notes import Notes
from .options import DEFAULT, ReadOptions, decoder_of
from .pictures import animation_frames, probe_animation, read_picture
from .span import WHOLE, Span
from .timing import ClipInfo, nearest_frames
from .video import probe_video, video_frames


def probe(path: Source, options: ReadOptions = DEFAULT) -> ClipInfo:
    """Size, length and rate of a video, an animation, a picture or a folder of pictures.

    Raises:
        ValueError: The file is missing, corrupt, cut off or not of a known kind.
    """
    if not isinstance(path, Path):
        return probe_content(path, options)
    if path.is_dir():
        files = folder_images(path)
        if not files:
            raise ValueError(f"{path.name}/ holds no pictures; put {', '.join(PICTURE_SUFFIXES)} files there")
        return _still(files[0], len(files), options)
    if reason := not_a_clip(path):
        raise ValueError(f"{path.name} is {reason}")
    return probe_content(path, options)


def probe_content(source: Source, options: ReadOptions = DEFAULT) -> ClipInfo:
    """As ``probe``, of one file whose ending may be unusual or missing, as on a VIDEO socket.

    Raises:
        ValueError: The file is missing, corrupt, cut off or not of a known kind.
    """
    if isinstance(source, Path) and is_animated(source):
        return probe_animation(source, options)
    if isinstance(source, Path) and uses_pillow(source):
        return _still(source, 1, options)
    return probe_video(source, options)


def reads_content(source: Source) -> bool:
    """Whether a file is of a kind that is read here, by its first bytes; one that cannot be opened counts as such."""
    try:
        return (isinstance(source, Path) and uses_pillow(source)) or has_demuxer(source)
    except OSError:
        return True


def uses_pillow(path: Path) -> bool:
    """Whether a clip or picture is read by Pillow; the rest is by PyAV."""
    return path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES or is_animated(path)


def decoder_name(path: Path) -> str:
    """The library that reads a file, and its version."""
    return decoder_of(uses_pillow(path))


def read_image(path: Path, options: ReadOptions = DEFAULT) -> np.ndarray:
    """One picture as uint8 RGB, shape [H, W, 3]."""
    return read_picture(path, options, Notes())


def read_frames(
    path: Path,
    info: ClipInfo,
    fps: float,
    count: int,
    options: ReadOptions = DEFAULT,
    notes: Notes | None = None,
    span: Span = WHOLE,
) -> Iterator[np.ndarray]:
    """The first ``count`` frames of a clip at ``fps``, each uint8 RGB [H, W, 3].

    Videos and animations are resampled to the frame nearest in time; pictures are taken one for one.

    Args:
        path: Video, animation, picture, or folder of pictures.
        info: What ``probe(path)`` gave.
        fps: Wanted frames a second.
        count: Wanted frames.
        options: The user's choices.
        notes: Takes what is found on the way.
        span: Which frames of the file are meant.

    Raises:
        ValueError: A frame cannot be decoded, or decoding stops before the end.
    """
    notes = Notes() if notes is None else notes
    if path.is_dir():
        files = folder_images(path)[span.start : span.stop : span.stride or 1]
        return (read_picture(file, options, notes) for file in files[:count])
    frames = timed_frames(path, info, options, notes)
    if not info.fps:  # one picture, whatever the rate
        return islice((picture for _, picture in frames), min(1, count))
    if span == WHOLE:
        return nearest_frames(frames, fps, count)
    if span.stride:
        return islice((picture for _, picture in span.timed(frames)), count)
    return nearest_frames(span.timed(frames), fps, count)


def still_frames(path: Path, info: ClipInfo, options: ReadOptions = DEFAULT) -> int:
    """How many frames at the start of a file, counted in it, show the same; no more than these and one are decoded.

    Raises:
        ValueError: A frame cannot be decoded.
    """
    if path.is_dir():
        return still_start(read_picture(file, options, Notes()) for file in folder_images(path))
    return still_start(picture for _, picture in timed_frames(path, info, options))


def timed_frames(
    path: Source, info: ClipInfo, options: ReadOptions = DEFAULT, notes: Notes | None = None
) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a video, animation or picture with its time, in seconds after the first.

    Raises:
        ValueError: A frame cannot be decoded, or decoding stops before the end.
    """
    notes = Notes() if notes is None else notes
    if not isinstance(path, Path) or not uses_pillow(path):
        return video_frames(path, info, options, notes)
    return animation_frames(path, options, notes) if info.fps else iter([(0.0, read_picture(path, options, notes))])


def _still(path: Path, count: int, options: ReadOptions) -> ClipInfo:
    notes = Notes()
    height, width = read_picture(path, options, notes).shape[:2]
    return ClipInfo(count, 0.0, 0.0, width, height, notes=tuple(notes.said), warnings=tuple(notes.warned))

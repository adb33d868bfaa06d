"""Clips on IMAGE and VIDEO sockets."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....training.data.clips import check_frames, has_transparency, over_background, resample
from ....training.data.cut import WHOLE, Cut, cut_frames
from ....training.data.dataset import FPS
from ....training.data.footage import SAME_RATE, Footage, Window, read_footage
from ....training.data.media.alpha import transparency_note
from ....training.data.media.decode import probe_content, reads_content
from ....training.data.media.files import Source
from ....training.data.media.options import DEFAULT, ReadOptions

log = logging.getLogger(__name__)
OF_THE_HOST = (
    "read by ComfyUI: frames one for one, colours and turns by its rules; save it as MP4 to have those of players"
)
MOST_FPS = 10_000.0  # frames a second


def footage(
    value: Any,
    fps: float | None = None,
    background: str = DEFAULT.background,
    cut: Cut = WHOLE,
    own: float | None = None,
) -> Footage:
    """Frames of an IMAGE batch, or frames and rate of a VIDEO.

    A VIDEO that is a file is read by the file's own times, colours and turns, at ``fps`` frames a second if they are
    given; ``background`` is seen through transparent parts. Another VIDEO comes as it is. With a ``cut`` only that part
    comes, of an IMAGE batch too, whose rate is ``own``; of a file nothing else is decoded.

    Raises:
        ValueError: the file cannot be read, or ends before the cut.
    """
    if isinstance(value, Tensor):
        return _cut(Footage(value), fps, cut, own)
    source = file_of(value)
    if source is not None:
        return read_footage(source, fps, window_of(value), ReadOptions(background), cut)
    notes = (OF_THE_HOST,) if _is_file(value) else ()
    return _cut(Footage(_components(value).images, _video_rate(value), notes), fps, cut, own)


def _cut(found: Footage, fps: float | None, cut: Cut, own: float | None) -> Footage:
    """The part that is meant; what says nothing of its rate has ``own``, or the wanted one."""
    if cut == WHOLE:
        return found
    check_frames(found.frames)
    told = found.fps or own
    rate = fps or told or FPS
    frames = cut_frames(found.frames, told or rate, rate, cut)
    return replace(found, frames=frames, fps=rate if len(frames) > 1 else found.fps)


def file_of(video: Any) -> Source | None:
    """The file behind a VIDEO, or its bytes, where it is of a kind that is read here, whatever its ending.

    None of a VIDEO made of images, and of a file that only ComfyUI reads, as FLV and WMV.
    """
    if not _is_file(video):
        return None
    stream = video.get_stream_source()
    source = Path(stream) if isinstance(stream, str) else stream
    return source if reads_content(source) else None


def _is_file(video: Any) -> bool:
    from comfy_api.latest import InputImpl

    return isinstance(video, InputImpl.VideoFromFile)


def window_of(video: Any) -> Window:
    """The part of a VIDEO's file that is meant."""
    return Window(*video.get_active_trim_window())


def rate_of(value: Any) -> float | None:
    """Frames a second of a VIDEO; None for an IMAGE, which carries no rate."""
    return None if value is None or isinstance(value, Tensor) else _video_rate(value)


def frames_of(value: Any, fps: float | None = None, roles: tuple[str, str] = ("condition", "LoRA's")) -> Tensor | None:
    """As ``connected_frames``; None where nothing is connected."""
    return None if value is None else connected_frames(value, fps, roles)


def connected_frames(value: Any, fps: float | None = None, roles: tuple[str, str] = ("condition", "LoRA's")) -> Tensor:
    """Frames ``[T, H, W, C]`` in [0, 1] of an IMAGE or a VIDEO.

    A VIDEO of another rate than ``fps`` (frames a second) is resampled to it; an IMAGE carries no rate. What is
    transparent is laid over the background that data sets have where nothing else is chosen. ``roles`` say in the log
    what is resampled, and to whose rate.

    Raises:
        ValueError: it cannot be read.
    """
    return leading_frames(value, None, fps, roles)[0]


def leading_frames(
    value: Any, most: int | None, fps: float | None = None, roles: tuple[str, str] = ("condition", "LoRA's")
) -> tuple[Tensor, int]:
    """The first ``most`` of what ``connected_frames`` gives, and how many that would be.

    Of a file nothing behind them is decoded: of a longer one the number is what the file says.

    Raises:
        ValueError: it cannot be read.
    """
    if not isinstance(value, Tensor) and file_of(value) is not None:
        return _file_frames(value, most, fps, roles)
    frames = frames_in_memory(value)
    # A still has no rate: more frames a second must not make a clip of it.
    if fps is None or isinstance(value, Tensor) or len(frames) < 2 or _alike(rate := _video_rate(value), fps):
        return opaque(frames[:most], roles[0]), len(frames)
    taken = resample(torch.arange(len(frames)), rate, fps)
    _log_rate(roles, rate, fps, len(taken), len(frames))
    return opaque(frames[taken[:most]], roles[0]), len(taken)


def frames_in_memory(value: Any) -> Tensor:
    """Frames of an IMAGE, or of a VIDEO that is no file read here, as they come.

    Raises:
        ValueError: it cannot be decoded, or holds what is no clip.
    """
    if isinstance(value, Tensor):
        return value
    frames = _components(value).images
    check_frames(frames)
    return frames


def opaque(frames: Tensor, what: str) -> Tensor:
    """Frames over the background where they are transparent; ``what`` they are, for the log."""
    if frames.ndim != 4 or not has_transparency(frames):
        return frames
    log.info("a %s is %s", what, transparency_note(DEFAULT.background))
    return over_background(frames, DEFAULT.background)


def tell_notes(found: Footage, what: str) -> None:
    """Log what was found in a file; ``what`` it is."""
    for note in found.notes:
        log.info("a %s: %s", what, note)


def _file_frames(video: Any, most: int | None, fps: float | None, roles: tuple[str, str]) -> tuple[Tensor, int]:
    """As ``leading_frames``, of a VIDEO that is a file: it is brought to the rate while it is read."""
    found = footage(video, fps, cut=Cut(frames=most or 0))
    tell_notes(found, roles[0])
    rate, count = found.own_fps, found.whole
    if fps is not None and rate is not None and not _alike(rate, fps):
        _log_rate(roles, rate, fps, count, round(count * rate / fps))
    return found.frames, count


def _alike(rate: float, fps: float) -> bool:
    return abs(rate - fps) <= SAME_RATE * fps


def _log_rate(roles: tuple[str, str], rate: float, fps: float, taken: int, there: int) -> None:
    what, whose = roles
    log.info("a %s of %g fps is taken at the %s %g fps: %d of %d frames", what, rate, whose, fps, taken, there)


def _video_rate(video: Any) -> float:
    """The mean rate by the file's own times; that of the host where there is no file."""
    source = file_of(video)
    if source is not None and (rate := probe_content(source).fps):
        return rate
    try:
        rate = float(video.get_frame_rate() if hasattr(video, "get_frame_rate") else _components(video).frame_rate)
    except (ArithmeticError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise _broken(error) from error
    if not 0.0 < rate < MOST_FPS:
        raise ValueError(f"the video says it has {rate:g} frames a second; save it again with a usual rate")
    return rate


def _components(video: Any) -> Any:
    """A VIDEO decoded.

    Raises:
        ValueError: its file is gone or damaged.
    """
    try:
        return video.get_components()
    except Exception as error:  # of PyAV, the system, or whoever made the VIDEO
        if type(error).__name__ == "InterruptProcessingException":
            raise
        raise _broken(error) from error


def _broken(error: Exception) -> ValueError:
    return ValueError(f"the video cannot be decoded ({error}); check the file, or save it again as an MP4")

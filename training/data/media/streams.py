"""Which of a file's video tracks is the one a player shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

DEFAULT, COVER, STILL = 0x1, 0x400 | 0x800, 0x100000  # FFmpeg's disposition flags; a cover, or timed thumbnails


@dataclass(frozen=True)
class Track:
    """The video track to read."""

    stream: VideoStream
    notes: tuple[str, ...] = ()  # what was chosen between, in words


def shown_track(container: InputContainer, name: str) -> Track:
    """The track that players show: no cover picture, the one marked as default, else the first.

    Raises:
        ValueError: There is no video, only a cover picture, or no decoder for it.
    """
    streams = list(container.streams.video)
    if not streams:
        raise ValueError(f"{name} has no video stream; remove it or choose another file")
    films = [stream for stream in streams if not _flags(stream) & (COVER | STILL)]
    if not films:
        raise ValueError(f"{name} holds only a cover picture and no video; choose another file")
    chosen = next((stream for stream in films if _flags(stream) & DEFAULT), films[0])
    if chosen.codec_context is None:
        raise ValueError(f"{name} is of a codec that PyAV cannot decode; export it as H.264")
    if len(films) == 1:
        return Track(chosen)
    return Track(chosen, (f"track {films.index(chosen) + 1} of {len(films)} video tracks, which players show",))


def _flags(stream: VideoStream) -> int:
    flags = stream.disposition
    return int(getattr(flags, "value", flags))

"""When the frames of a video are shown, from its packets, which costs far less than decoding."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from .notes import Notes
from .timing import Times

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

CUT_OFF = 0.3  # seconds that may be missing at the end of a Matroska file; frames of other tracks end there
SIZED_BY_HEADER = ("matroska",)  # containers whose packets do not show that some are missing
UNTIMED = ("avi",)  # containers that hold no time of display; what FFmpeg tells follows the decoder's order


class Stamp(NamedTuple):
    """What is kept of a packet, in units of the track's time base."""

    pts: int | None
    dts: int | None
    duration: int


def list_times(container: InputContainer, stream: VideoStream, name: str, notes: Notes, missing: int = 0) -> Times:
    """When each frame is shown.

    Where the container holds no time of display, a frame lacks its own, or times restart on the way, frames are
    numbered as they leave the decoder: ``decoder_time``. ``missing`` is of ``bytes_missing``.

    Raises:
        ValueError: A packet is damaged, or there is none.
    """
    stamps, end = _stamps(container, stream, name, notes)
    length = (container.duration or 0) / 1_000_000
    if any(kind in container.format.name for kind in SIZED_BY_HEADER) and length - end > CUT_OFF:
        notes.warn(
            f"it is cut off: {end:.1f} of the {length:.1f} s in its header are there; download or export it again"
        )
    elif missing:
        notes.warn(f"it is cut off: {missing:,} bytes or more are missing at its end; download or export it again")
    restart = _restart(stamps)
    if restart is not None:
        notes.warn(
            f"its times restart after frame {restart}, as in joined recordings; frames are taken one after the other "
            f"at {1 / float(frame_time(stream)):.4g} fps"
        )
    unit = Fraction(stream.time_base or 1)
    if restart is not None or _untimed(stream) or any(stamp.pts is None for stamp in stamps):
        starts = (decoder_time(stamp.dts, number, stream) for number, stamp in enumerate(stamps))
        return Times(tuple(float(start * unit) for start in starts), float(frame_time(stream)), numbered=True)
    ordered = sorted((stamp.pts or 0, stamp.duration) for stamp in stamps)
    return Times(tuple(float(pts * unit) for pts, _ in ordered), float(ordered[-1][1] * unit))


def decoder_time(dts: int | None, number: int, stream: VideoStream) -> int:
    """Time of the frame that leaves the decoder as the ``number``-th, in units of the track's time base.

    Frames leave it in the order of display, one for each packet. In AVI the ``number``-th is given the ``number``-th
    time of decoding ``dts``, which leaves room for dropped frames; elsewhere it follows at the track's rate.
    """
    if _untimed(stream) and dts is not None:
        return dts
    return round(number * frame_time(stream) / Fraction(stream.time_base or 1))


def frame_time(stream: VideoStream) -> Fraction:
    """Seconds a frame by the track's rate."""
    return 1 / Fraction(stream.average_rate or stream.guessed_rate or Fraction(25))


def _stamps(container: InputContainer, stream: VideoStream, name: str, notes: Notes) -> tuple[list[Stamp], float]:
    """Packets of a track that make frames, and the second at which all tracks end."""
    stamps, end = [], 0.0
    for packet in container.demux():  # of all tracks: where a file is cut off any of them may show it
        if packet.size == 0:  # the packet that flushes the decoder
            continue
        if packet.dts is not None and packet.time_base:
            end = max(end, float((max(packet.dts, packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
        if packet.stream.index != stream.index:
            if packet.is_corrupt:
                notes.warn(
                    f"a track beside the video is damaged or cut off at {end:.1f} s; look whether frames are missing"
                )
            continue
        if packet.is_corrupt:
            raise ValueError(f"{name} is damaged or cut off at frame {len(stamps) + 1}; re-encode or remove it")
        if not packet.is_discard:
            stamps.append(Stamp(packet.pts, packet.dts, packet.duration or 0))
    if not stamps:
        raise ValueError(f"{name} holds no frames; re-encode or remove it")
    return stamps, end


def _untimed(stream: VideoStream) -> bool:
    return stream.container.format.name in UNTIMED


def _restart(stamps: list[Stamp]) -> int | None:
    """How many frames come before the first time of decoding that falls."""
    for number, (before, after) in enumerate(pairwise(stamp.dts for stamp in stamps), 1):
        if before is not None and after is not None and after < before:
            return number
    return None

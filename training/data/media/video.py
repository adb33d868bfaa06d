"""Reading a video file: its timestamps from the packets, its pictures through a filter graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from .alpha import ALPHA_DECODERS, over_background, transparency_note
from .colour import container_tags
from .files import Source, bytes_missing, open_container, source_name
from .geometry import pixel_aspect
from .graph import FrameGraph, Setup, setup_of
from .notes import Notes
from .options import ReadOptions
from .packets import decoder_time, frame_time, list_times
from .streams import shown_track
from .timing import ClipInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def probe_video(source: Source, options: ReadOptions) -> ClipInfo:
    """Size, length and rate; packets are listed, which gives every timestamp, but only the first frame is decoded.

    Raises:
        ValueError: The file is corrupt, cut off or of no known kind, or its colours cannot be read.
    """
    name, notes = source_name(source), Notes()
    with open_container(source) as container:
        track = shown_track(container, name)
        notes.say(*track.notes)
        times = list_times(container, track.stream, name, notes, bytes_missing(source))
    _, first = next(_pictures(source, options, notes, first_only=True), (0.0, None))
    if first is None:
        raise ValueError(f"{name} holds no frames; re-encode or remove it")
    return times.info(first.shape[1], first.shape[0], notes.said, notes.warned)


def video_frames(
    source: Source, info: ClipInfo, options: ReadOptions, notes: Notes
) -> Iterator[tuple[float, np.ndarray]]:
    """Seconds after the first frame, and uint8 RGB [H, W, 3], of every frame.

    Raises:
        ValueError: A frame cannot be decoded, or decoding stops before the end.
    """
    time = 0.0
    for absolute, picture in _pictures(source, options, notes, numbered=info.numbered):
        time = absolute - info.start
        yield time, picture
    # Hidden frames make a packet or two more than there are pictures; more than that is damage.
    if info.fps and time < info.last - 2 / info.fps:
        name = source_name(source)
        raise ValueError(f"{name} decodes only to {time:.2f} of {info.last:.2f} s; re-encode or remove it")


def _pictures(
    source: Source, options: ReadOptions, notes: Notes, first_only: bool = False, numbered: bool = False
) -> Iterator[tuple[float, np.ndarray]]:
    """Time in the file's own seconds, and picture, of every frame."""
    name = source_name(source)
    with open_container(source) as container:
        stream = shown_track(container, name).stream
        aspect, tags = pixel_aspect(stream), container_tags(stream)
        # One frame needs no threads; FFmpeg 7.1's HEVC decoder could wait for its slice threads for ever.
        stream.thread_type = "NONE" if first_only else "AUTO"
        converter = _Converter(name, options, notes, aspect, tags)
        yield from converter.convert(_timed(container, stream, name, numbered))


class _Converter:
    """Sends frames through a graph, and through another where they change."""

    def __init__(self, name: str, options: ReadOptions, notes: Notes, aspect: Fraction, tags: Any) -> None:
        self.name, self.options, self.notes = name, options, notes
        self.aspect, self.tags = aspect, tags
        self.graph: FrameGraph | None = None

    def convert(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[float, np.ndarray]]:
        """Time and picture of each frame."""
        for frame in frames:
            setup = self._setup(frame)
            if self.graph is None or self.graph.setup != setup:
                yield from self._through(None)
                self._tell(setup, frame)
                self.graph = FrameGraph(setup, frame)
            yield from self._through(frame)
        yield from self._through(None)

    def _setup(self, frame: VideoFrame) -> Setup:
        interlaced = self.graph is not None and self.graph.setup.interlaced
        try:
            return setup_of(frame, self.aspect, self.tags, self.options, interlaced)
        except ValueError as error:
            raise ValueError(f"{self.name} {error}") from error

    def _tell(self, setup: Setup, frame: VideoFrame) -> None:
        self.notes.say(*setup.notes())
        if self.graph is not None and (before := self.graph.setup.size) != setup.size:
            was, now = (f"{width}x{height}" for width, height in (before, setup.size))
            self.notes.warn(
                f"its size changes from {was} to {now} after {frame.time or 0:.2f} s; every frame is fitted"
            )

    def _through(self, frame: VideoFrame | None) -> Iterator[tuple[float, np.ndarray]]:
        for out in self.graph.push(frame) if self.graph is not None else ():
            picture = out.to_ndarray()
            if picture.shape[-1] == 4:
                picture, transparent = over_background(picture, self.options.background)
                if transparent:
                    self.notes.say(transparency_note(self.options.background))
            yield float((out.pts or 0) * (out.time_base or 0)), picture


def _timed(container: InputContainer, stream: VideoStream, name: str, numbered: bool) -> Iterator[VideoFrame]:
    """The frames, each with a time; ``numbered`` ones get those of ``list_times`` in their order.

    Raises:
        ValueError: A frame is damaged, or its own time comes before that of the one before it.
    """
    unit, time, count = Fraction(stream.time_base or 1), None, 0
    step, ahead = round(frame_time(stream) / unit) or 1, deque[int]()
    decode = _decoder(stream)
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            ahead.append(decoder_time(packet.dts, count, stream))
            count += 1
        for frame in decode(packet):
            if frame.is_corrupt:
                raise ValueError(f"{name} is damaged after {float((time or 0) * unit):.2f} s; re-encode or remove it")
            given = ahead.popleft() if ahead else None
            if numbered:
                frame.pts = given
            if frame.pts is None:
                frame.pts = 0 if time is None else time + step
            if time is not None and frame.pts < time:
                after, before = float(time * unit), float(frame.pts * unit)
                raise ValueError(
                    f"{name} has frames in no order of time ({before:.2f} s comes after {after:.2f} s), so some would "
                    "be lost; re-encode or remove it"
                )
            frame.time_base, time = unit, frame.pts
            yield frame


def _decoder(stream: VideoStream) -> Callable[[Any], Iterable[VideoFrame]]:
    """Frames out of a packet."""
    import av

    decoder = ALPHA_DECODERS.get(stream.codec_context.codec.canonical_name, "")
    told = {name.lower(): value for name, value in stream.metadata.items()}  # as a tag it is in capitals
    if told.get("alpha_mode") != "1" or decoder not in av.codecs_available:
        return lambda packet: packet.decode()
    context: Any = av.CodecContext.create(decoder, "r")
    context.extradata = stream.codec_context.extradata
    return lambda packet: context.decode(packet if packet.size else None)

"""One video file of several, packet by packet: nothing is decoded, encoded or held in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from .atomic import whole_file


def join_videos(parts: Sequence[Path], path: Path) -> Path:
    """Write one MP4 of parts that ``video_file.write_video`` has written at one rate and size, in this order.

    A part's times begin where those of the one before end; the file is there whole or not at all.

    Raises:
        ValueError: there are no parts.
        OSError: a part cannot be read or the file cannot be written.
    """
    import av

    if not parts:
        raise ValueError("no parts to join; give at least one video")
    with whole_file(path) as temporary, av.open(str(temporary), "w", format="mp4") as joined:
        out, begin, last = None, 0, -math.inf
        for part in parts:
            with av.open(str(part)) as container:
                stream = container.streams.video[0]
                out = out or joined.add_stream_from_template(stream)
                times = []
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:  # the last, which ends the stream
                        continue
                    times.append(packet.pts)
                    # A part of one or two frames is decoded without a delay, and the next one's begins before its end.
                    last = max(packet.dts + begin, last + 1)
                    packet.pts, packet.dts, packet.stream = packet.pts + begin, int(last), out
                    joined.mux(packet)
                begin += _length(times, stream.duration or 0)
    return path


def _length(times: list[int], duration: int) -> int:
    """Where a part ends, in ticks: the file itself says a little less where its last frame is not its last packet."""
    count = len(times)
    return round(max(times) * count / (count - 1)) if count > 1 else duration

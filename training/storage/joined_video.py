"""One video file of several, packet by packet: nothing is decoded, encoded or held in memory."""

from __future__ import annotations

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
        out, begin = None, 0
        for part in parts:
            with av.open(str(part)) as container:
                stream = container.streams.video[0]
                out = out or joined.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.dts is None or packet.pts is None:  # the last, which ends the stream
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + begin, packet.dts + begin, out
                    joined.mux(packet)
                begin += stream.duration or 0
    return path

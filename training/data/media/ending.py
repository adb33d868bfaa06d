"""Whether a video file is all there, by the sizes in its own headers.

Source: ISO/IEC 14496-12 (boxes), Microsoft's RIFF (chunks), RFC 8794 (EBML), ISO/IEC 13818-1 (packets of 188 bytes;
    Blu-ray puts 4 before each, broadcasts 16 after it).
"""

from __future__ import annotations

import io
from typing import BinaryIO

# Boxes that make up a film. Other bytes after them may be what cameras append, and say nothing of the film.
FILM = (b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"sidx", b"wide", b"free", b"skip", b"pnot")
UNFILLED = (0, 0xFFFFFFFF)  # sizes of RIFF that were never filled in, as by a recorder that was stopped
COUNTED_TWICE = 8  # bytes of a RIFF's own header, which some writers count in its size
SYNC, PACKETS = 0x47, {188: 0, 192: 4, 204: 0}  # of a transport stream: a packet's mark, its size and what precedes it
LOOKED_AT = 4096  # bytes at the start
SEGMENT = b"\x18\x53\x80\x67"  # of Matroska: all that follows the header


def missing_bytes(file: BinaryIO, demuxer: str) -> int:
    """Bytes that the headers of a file promise and it does not have; 0 also where they promise nothing.

    A program stream promises nothing, a transport stream only whole packets, and a fragmented MP4 whole fragments.

    Args:
        file: At any place, which is kept.
        demuxer: FFmpeg's name of the container.
    """
    find = {"mov": _of_boxes, "avi": _of_chunks, "matroska": _of_segment, "mpegts": _of_packets}.get(demuxer)
    if find is None:
        return 0
    place = file.tell()
    try:
        return max(0, find(file) - file.seek(0, io.SEEK_END))
    finally:
        file.seek(place)


def _of_boxes(file: BinaryIO) -> int:
    """Where the last box of an MP4 or MOV ends, as far as its boxes are known."""
    at, total = 0, file.seek(0, io.SEEK_END)
    while at < total:
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:  # the size follows, in 8 bytes
            size = int.from_bytes(head[8:16], "big")
        beyond = at + size > total
        if size < 8 or (beyond and kind not in FILM):  # 0: to the end of the file
            return total
        at += size
    return at


def _of_chunks(file: BinaryIO) -> int:
    """Where the last RIFF of an AVI ends; large ones have several."""
    at, total = 0, file.seek(0, io.SEEK_END)
    while at < total:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[4:8], "little")
        if head[:4] != b"RIFF" or size in UNFILLED:
            return total
        at += 8 + size
    return at - COUNTED_TWICE


def packet_step(start: bytes) -> tuple[int, int] | None:
    """Where the first packet of a transport stream begins and how long each is; None where it is none."""
    for size, before in PACKETS.items():
        for mark in range(size):
            marks = start[mark::size]
            if len(marks) >= 4 and {*marks} == {SYNC}:
                return (mark - before) % size, size
    return None


def _of_packets(file: BinaryIO) -> int:
    """Where the last packet of a transport stream ends."""
    total = file.seek(0, io.SEEK_END)
    file.seek(0)
    step = packet_step(file.read(LOOKED_AT))
    if step is None:
        return total
    first, size = step
    return total + (first - total) % size


def _of_segment(file: BinaryIO) -> int:
    """Where the segment of a Matroska file ends."""
    file.seek(0)
    start = file.read(LOOKED_AT)
    _, header, size = _size(start, 4)
    at = header + size
    if start[at : at + 4] != SEGMENT:
        return 0
    known, header, size = _size(start, at + 4)
    return header + size if known else 0


def _size(data: bytes, at: int) -> tuple[bool, int, int]:
    """A size of EBML: whether it is known, where it ends, and its value."""
    length = 9 - (data[at] if at < len(data) else 0).bit_length()
    value = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return value != (1 << 7 * length) - 1, at + length, value

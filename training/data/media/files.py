"""Opening a video through PyAV without its name, and telling what is wrong with it in a sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .ending import LOOKED_AT, missing_bytes, packet_step

if TYPE_CHECKING:
    from av.container import InputContainer

Source = Path | io.BytesIO

BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")  # an MP4 or MOV begins with one of them
STARTS = {b"\x1a\x45\xdf\xa3": "matroska", b"\0\0\1\xba": "mpeg", b"\0\0\1\xb3": "mpegvideo"}
REFUSED_SHORT = ("mov", "avi")  # where it is cut off; the others are made to be read as far as they go


class _Nameless:
    """A file without its name, because FFmpeg reads patterns and protocols into names."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def source_name(source: Source) -> str:
    """What a file is called in messages."""
    return source.name if isinstance(source, Path) else "the video"


@contextmanager
def open_container(source: Source) -> Iterator[InputContainer]:
    """The opened container of a video file.

    Raises:
        ValueError: It cannot be opened or read; so do errors of FFmpeg inside the block.
    """
    import av
    from av.error import FFmpegError

    name = source_name(source)
    try:
        with _opened(source) as file:
            if not file.seek(0, io.SEEK_END):
                raise ValueError(f"{name} cannot be read (the file is empty); copy or export it again, or remove it")
            file.seek(0)
            demuxer = _demuxer(file, name)
            if demuxer in REFUSED_SHORT and (missing := missing_bytes(file, demuxer)):
                raise ValueError(
                    f"{name} is cut off: {missing:,} bytes are missing at its end; copy or export it again"
                )
            # The demuxer by name, so that a playlist renamed to .mp4 opens no other files; and without options, with
            # which PyAV before 18 ends the process at an MPEG program stream.
            with av.open(_Nameless(file), "r", format=demuxer) as container:
                yield container
    except (FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"{name} cannot be read ({reason}); re-encode or remove it") from error


def bytes_missing(source: Source) -> int:
    """Bytes that a file's headers promise and it does not have.

    Raises:
        ValueError: It is no video that is read here.
    """
    with _opened(source) as file:
        return missing_bytes(file, _demuxer(file, source_name(source)))


def has_demuxer(source: Source) -> bool:
    """Whether a file begins as one of the containers that are read here; an empty one counts, to be refused by name.

    Raises:
        OSError: It cannot be opened.
    """
    with _opened(source) as file:
        try:
            return not file.read(1) or bool(_demuxer(_rewound(file), ""))
        except ValueError:
            return False


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _demuxer(file: BinaryIO, name: str) -> str:
    """FFmpeg's name of the container, by the file's first bytes.

    Raises:
        ValueError: It is none that is read here.
    """
    start = file.read(LOOKED_AT)
    file.seek(0)
    if start[4:8] in BOXES:
        return "mov"
    if start[:4] == b"RIFF" and start[8:11] == b"AVI":
        return "avi"
    if start[:4] in STARTS:
        return STARTS[start[:4]]
    if packet_step(start):
        return "mpegts"
    raise ValueError(f"{name} cannot be read (no known kind of video); re-encode or remove it")


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, io.BytesIO):
        yield io.BytesIO(source.getbuffer())  # its own place, so that two readers do not disturb each other
        return
    with source.open("rb") as file:
        yield file

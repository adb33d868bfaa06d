"""Opening a video through PyAV without its name, and telling what is wrong with it in a sentence."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.container import InputContainer

Source = Path | io.BytesIO

# A playlist renamed to .mp4 must not make FFmpeg open other files or addresses.
OPEN_OPTIONS = {
    "format_whitelist": "mov,matroska,avi,mpegts,mpeg,mpegvideo,h264,hevc",
    "protocol_whitelist": "file",
}


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
            with av.open(_Nameless(file), "r", options=OPEN_OPTIONS) as container:
                yield container
    except (FFmpegError, OSError) as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"{name} cannot be read ({reason}); re-encode or remove it") from error


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, io.BytesIO):
        yield io.BytesIO(source.getbuffer())  # its own place, so that two readers do not disturb each other
        return
    with source.open("rb") as file:
        yield file

"""Which files are clips and which are pictures, by their endings and, where those are shared, their first bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mts", ".m2ts", ".ts", ".3gp", ".mpg", ".mpeg"),
    *(".gif", ".apng"),
)
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif")
ANIMATED_SUFFIXES = (".gif", ".apng", ".png", ".webp", ".avif")  # pictures that may move
USE_AS_TARGET = f"{', '.join(VIDEO_SUFFIXES)}, or an animated .webp, .png or .avif"
ADVICE = {".heic": "JPEG or PNG", ".heif": "JPEG or PNG", ".jxl": "PNG", ".wmv": "MP4", ".flv": "MP4"}  # export as


def is_animated(path: Path) -> bool:
    """Whether a WebP, PNG, AVIF or GIF holds an animation, by its header; a file that cannot be opened does not."""
    suffix = path.suffix.lower()
    if suffix in (".gif", ".apng"):
        return True
    if suffix not in ANIMATED_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return _header_says_animated(file)
    except OSError:
        return False


def _header_says_animated(file: BinaryIO) -> bool:
    start = file.read(32)
    if start[:4] == b"RIFF" and start[8:16] == b"WEBPVP8X":
        return bool(start[20] & 2)  # the extended header's animation flag
    if start[4:8] == b"ftyp":
        size = int.from_bytes(start[:4], "big")
        brands = start[8:] + file.read(max(0, min(size, 512) - 32))
        return b"avis" in brands[: max(0, size - 8)]
    return start[:8] == b"\x89PNG\r\n\x1a\n" and _png_moves(file)


def _png_moves(file: BinaryIO) -> bool:
    """Whether the chunk ``acTL`` comes before the first pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IDAT":
        if head[4:] == b"acTL":
            return True
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def is_picture(path: Path) -> bool:
    """Whether this is a file of one picture."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not is_animated(path)


def folder_images(folder: Path) -> list[Path]:
    """Pictures of a folder in natural order: ``frame2`` before ``frame10``; animations are clips and left out."""
    files = [p for p in folder.iterdir() if not p.name.startswith(".") and p.is_file() and is_picture(p)]
    return sorted(files, key=lambda p: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", p.name.lower())])


def other_files(path: Path) -> list[str]:
    """Names of what a folder of pictures holds besides them, hidden files too; of a file nothing."""
    if not path.is_dir():
        return []
    pictures = folder_images(path)
    return sorted(file.name for file in path.iterdir() if file not in pictures)


def not_a_clip(path: Path) -> str:
    """Why a file is neither a clip nor a picture, with what to do; empty if it is one."""
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES + PICTURE_SUFFIXES:
        return ""
    return f"not a clip; export it as {ADVICE[suffix]}" if suffix in ADVICE else f"not a clip; use {USE_AS_TARGET}"

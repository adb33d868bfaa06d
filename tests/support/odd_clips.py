"""Clips of four flat colours, written with any matrix, range, tags, shape and order of tracks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = {"TL": (200, 40, 40), "TR": (40, 200, 40), "BL": (40, 40, 200), "BR": (200, 200, 40)}
KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
TAGS = {"bt601": 6, "bt709": 1, "bt2020": 9}
FIXED, ONE = 65536, 1 << 30  # of a display matrix


def picture(width: int = 64, height: int = 48) -> np.ndarray:
    """Four quadrants, uint8 RGB."""
    out = np.zeros((height, width, 3), np.uint8)
    for name, colour in COLOURS.items():
        rows = slice(None, height // 2) if name[0] == "T" else slice(height // 2, None)
        columns = slice(None, width // 2) if name[1] == "L" else slice(width // 2, None)
        out[rows, columns] = colour
    return out


def to_yuv(rgb: np.ndarray, matrix: str = "bt601", full: bool = False) -> np.ndarray:
    """uint8 RGB [H, W, 3] as planes of yuv420p, [H * 3 / 2, W], by the definition of the matrix."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    kr, kb = KR_KB[matrix]
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = [(blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)]
    scale, offset, swing = (255, 0, 255) if full else (219, 16, 224)
    height, width = luma.shape
    halves = [c.reshape(height // 2, 2, width // 2, 2).mean((1, 3)) * swing + 128 for c in chroma]
    flat = np.concatenate([(luma * scale + offset).ravel(), *(half.ravel() for half in halves)])
    return flat.round().clip(0, 255).astype(np.uint8).reshape(height * 3 // 2, width)


def write_clip(
    path: Path,
    codec: str = "libx264",
    frames: Sequence[np.ndarray] | None = None,
    matrix: str = "bt601",
    full: bool = False,
    tags: dict[str, int] | None = None,
    fps: int = 10,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    tune: Callable[[Any, Any], None] | None = None,
    times: Sequence[int] = (),
) -> Path:
    """Write RGB (or with ``pix_fmt`` of alpha RGBA) frames; ``tags`` are attributes of the codec context.

    ``times`` are in milliseconds, for an uneven rate; ``tune`` may change container and stream before the first frame.
    """
    import av

    given = [picture()] * 10 if frames is None else frames
    quality = {"crf": "4"} if codec in ("libx264", "libx265", "libvpx-vp9") else {}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps, options={**quality, **(options or {})})
        stream.height, stream.width = given[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        if tune is not None:
            tune(container, stream)
        for i, rgb in enumerate(given):
            frame = frame_of(rgb, pix_fmt, matrix, full)
            for name in ("colorspace", "color_range"):
                if name in (tags or {}):
                    setattr(frame, name, (tags or {})[name])
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def frame_of(rgb: np.ndarray, pix_fmt: str, matrix: str, full: bool) -> Any:
    """A frame in ``pix_fmt``: planes by ``to_yuv``, brought to other forms of YUV by the library."""
    import av

    if rgb.shape[-1] == 4:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgba")
    if not pix_fmt.startswith("yuv"):
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    plain = av.VideoFrame.from_ndarray(to_yuv(rgb, matrix, full), format="yuv420p")
    return plain if pix_fmt == "yuv420p" else plain.reformat(format=pix_fmt)


def quadrants(shown: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Mean colour in the middle of each quadrant."""
    height, width = shown.shape[:2]
    at = {"TL": (0.25, 0.25), "TR": (0.25, 0.75), "BL": (0.75, 0.25), "BR": (0.75, 0.75)}
    found = {}
    for name, (y, x) in at.items():
        part = shown[int(height * y) - 3 : int(height * y) + 3, int(width * x) - 3 : int(width * x) + 3]
        found[name] = tuple(round(float(value)) for value in part.reshape(-1, 3).mean(0))
    return found


def levels_off(shown: np.ndarray, wanted: dict[str, tuple[int, ...]] | None = None) -> int:
    """Most grey levels that a quadrant is away from what it should be."""
    found = quadrants(shown)
    return max(abs(a - b) for name, want in (wanted or COLOURS).items() for a, b in zip(found[name], want, strict=True))


def with_display_matrix(data: bytes, *numbers: int) -> bytes:
    """An MP4 file whose track header has another display matrix; ``numbers`` are a b c d x y in pixels."""
    a, b, c, d, x, y = numbers
    out, at = bytearray(data), data.find(b"tkhd") + 4 + 4 + 20 + 16
    matrix = (a * FIXED, b * FIXED, 0, c * FIXED, d * FIXED, 0, x * FIXED, y * FIXED, ONE)
    struct.pack_into(">9i", out, at, *matrix)
    return bytes(out)


def display_p3() -> bytes:
    """A colour profile with the primaries of Display P3 and a gamma of 2.2 (ICC.1:2001, matrix and curves)."""

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    # Columns: XYZ of the primaries, adapted to D50. Source: Display P3 as in its published profile.
    columns = {
        b"rXYZ": (0.5151, 0.2412, -0.0011), b"gXYZ": (0.2920, 0.6922, 0.0419), b"bXYZ": (0.1571, 0.0666, 0.7841),
        b"wtpt": (0.9642, 1.0, 0.8249),
    }  # fmt: skip
    name = b"Display P3"
    entries = {tag: b"XYZ " + bytes(4) + fixed(*value) for tag, value in columns.items()}
    entries |= {tag: b"curv" + bytes(4) + struct.pack(">IHH", 1, 563, 0) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    described = name + b"\0"
    entries[b"desc"] = b"desc" + bytes(4) + struct.pack(">I", len(described)) + described + bytes(78)
    entries[b"cprt"] = b"text" + bytes(4) + b"none\0\0\0\0"
    table, body, start = b"", b"", 128 + 4 + 12 * len(entries)
    for tag, value in entries.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", 0, bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + fixed(0.9642, 1.0, 0.8249)
    head += bytes(128 - len(head))
    whole = head + struct.pack(">I", len(entries)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]

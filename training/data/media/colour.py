"""What the numbers of a frame mean as colours: its tags, those of its file, or what players assume.

Source: code points of ITU-T H.273, as FFmpeg names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .options import REFUSE, ReadOptions

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

UNSPECIFIED = (None, 0, 2, 3)  # of primaries and transfer; 0 and 3 are reserved
MATRICES: dict[int | None, str] = {
    1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c",
}  # fmt: skip
PRIMARIES: dict[int | None, str] = {
    1: "bt709", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020", 11: "smpte431", 12: "smpte432",
}  # fmt: skip
WIDE = {"bt2020": "BT.2020", "smpte431": "DCI-P3", "smpte432": "Display P3"}  # converted; the others are near BT.709
TRANSFERS: dict[int | None, tuple[str, str]] = {16: ("smpte2084", "PQ"), 18: ("arib-std-b67", "HLG")}  # HDR
RANGES: dict[int | None, str] = {1: "tv", 2: "pc"}
HD_WIDTH, HD_HEIGHT = 1280, 720  # pixels as stored; untagged video of this size and more is BT.709 to players
RGB_MATRIX = 0


@dataclass(frozen=True)
class Tags:
    """Code points of H.273."""

    matrix: int | None = None
    range: int | None = None
    primaries: int | None = None
    transfer: int | None = None


@dataclass(frozen=True)
class Colour:
    """How one frame is converted."""

    matrix: str = ""  # FFmpeg's name; empty for RGB, which needs none
    range: str = "tv"  # tv: 16 to 235, pc: 0 to 255
    primaries: str = "bt709"
    transfer: str = ""  # of HDR only
    notes: tuple[str, ...] = ()

    @property
    def mapped(self) -> bool:
        """Whether it is brought to BT.709, not only to RGB."""
        return bool(self.transfer) or self.primaries in WIDE


def container_tags(stream: VideoStream) -> Tags:
    """What the file says of a track; to be asked before its first frame is decoded, which may overwrite it."""
    context = stream.codec_context
    names = ("colorspace", "color_range", "color_primaries", "color_trc")
    return Tags(*(_number(getattr(context, name, None)) for name in names))


def frame_colour(frame: VideoFrame, file: Tags, options: ReadOptions) -> Colour:
    """Matrix, range, primaries and transfer of a frame.

    Its own tags come first, then the file's; without either the matrix is BT.709 from 720 lines or 1280 columns on
    and BT.601 below, as players assume, and the range is limited.

    Raises:
        ValueError: The matrix is one that cannot be converted, or it is HDR and that is to be refused.
    """
    notes = []
    primaries = PRIMARIES.get(_first(_tag(frame, "color_primaries"), file.primaries, UNSPECIFIED), "bt709")
    transfer, hdr = TRANSFERS.get(_first(_tag(frame, "color_trc"), file.transfer, UNSPECIFIED), ("", ""))
    if hdr and options.hdr == REFUSE:
        raise ValueError(f"is HDR ({hdr}), which is to be refused; export it as SDR, or set hdr to tone-map")
    if hdr:
        notes.append(f"HDR ({hdr}), tone-mapped to BT.709")
    elif primaries in WIDE:
        notes.append(f"wide colours ({WIDE[primaries]}), converted to BT.709")
    if frame.format.is_rgb or "pal" in frame.format.name:
        return Colour("", "pc", primaries, transfer, tuple(notes))
    matrix = _first(_tag(frame, "colorspace"), file.matrix, (None, 2, 3, RGB_MATRIX))
    if matrix in UNSPECIFIED:
        hd = frame.width >= HD_WIDTH or frame.height >= HD_HEIGHT
        matrix = 9 if transfer else 1 if hd else 6
        if not transfer and "gray" not in frame.format.name:
            notes.append(f"untagged colours read as {'BT.709 (HD)' if hd else 'BT.601 (SD)'}")
    if matrix not in MATRICES:
        raise ValueError(f"stores colours in a form (H.273 matrix {matrix}) that cannot be read; export it as BT.709")
    return Colour(MATRICES[matrix], _range(frame, file), primaries, transfer, tuple(notes))


def _range(frame: VideoFrame, file: Tags) -> str:
    if frame.format.name.startswith("yuvj"):
        return "pc"
    return RANGES.get(_first(_tag(frame, "color_range"), file.range, (None, 0)) or 1, "tv")


def _first(own: int | None, file: int | None, unspecified: tuple[int | None, ...]) -> int | None:
    return own if own not in unspecified else None if file in unspecified else file


def _tag(frame: VideoFrame, name: str) -> int | None:
    return _number(getattr(frame, name, None))  # PyAV before 17 does not tell all of them


def _number(value: Any) -> int | None:
    return None if value is None else int(getattr(value, "value", value))

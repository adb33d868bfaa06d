"""Files of a moving picture in every container, codec, tag, shape and turn, written by the ffmpeg program."""

from __future__ import annotations

import itertools
import struct
import subprocess
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np

FRAMES = 10
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))
SD, HD = (320, 240), (1280, 720)
TAGS = {"untagged": "", "bt709": "bt709", "bt601": "smpte170m"}
RATES = ("24000/1001", "60")
CODECS = {
    "libx264": ("-crf", "4"), "libx264rgb": ("-crf", "4"),
    "libx265": ("-crf", "4", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "libvpx-vp9": ("-b:v", "0", "-crf", "6", "-cpu-used", "8"), "libvpx": ("-b:v", "8M", "-crf", "4"),
    "libaom-av1": ("-crf", "8", "-cpu-used", "8", "-usage", "realtime"), "ffv1": (), "mpeg4": ("-q:v", "1"),
    "mpeg2video": ("-q:v", "1"), "mpeg1video": ("-q:v", "1"), "h263": ("-q:v", "1"), "mjpeg": ("-q:v", "1"),
    "msmpeg4": ("-q:v", "1"), "wmv2": ("-q:v", "1"), "libtheora": ("-q:v", "10"), "prores_ks": (), "qtrle": (),
    "dnxhd": ("-profile:v", "dnxhr_hq"), "v210": (), "utvideo": (), "huffyuv": (), "rawvideo": (), "png": (),
    "dvvideo": (),
}  # fmt: skip
PIX_FMTS = {"prores_ks": "yuv422p10le", "mjpeg": "yuvj420p"}  # of others yuv420p
CONTAINERS = {
    "mp4": ("libx264", "libx265", "libvpx-vp9", "mpeg4"), "mov": ("libx264", "prores_ks", "mjpeg"),
    "mkv": ("libx264", "libx265", "ffv1", "mpeg4"), "webm": ("libvpx-vp9", "libvpx"), "avi": ("mpeg4", "mjpeg"),
    "ts": ("libx264", "mpeg2video"), "m2ts": ("libx264",), "mpg": ("mpeg2video",), "3gp": ("libx264",),
    "m4v": ("libx264",),
}  # fmt: skip
NO_RANGE = ("mjpeg", "prores_ks", "libvpx", "mpeg4", "mpeg2video")  # codecs whose stream says nothing of it
FORMATS = (
    ("mp4", "libx264", "yuv422p"), ("mp4", "libx264", "yuv444p"), ("mp4", "libx264", "yuv420p10le"),
    ("mkv", "libx264rgb", "rgb24"), ("mp4", "libx265", "yuv420p10le"), ("mp4", "libx265", "yuv444p"),
    ("mkv", "libx265", "yuv422p10le"), ("mp4", "libaom-av1", "yuv420p"), ("webm", "libaom-av1", "yuv420p10le"),
    ("mkv", "libaom-av1", "yuv420p"), ("webm", "libvpx-vp9", "yuv444p"), ("webm", "libvpx-vp9", "yuv420p10le"),
    ("mkv", "ffv1", "yuv444p16le"), ("mkv", "ffv1", "gray"), ("mkv", "ffv1", "bgr0"), ("mov", "qtrle", "rgb24"),
    ("mov", "png", "rgb24"), ("mov", "v210", "yuv422p10le"), ("mov", "dnxhd", "yuv422p"),
    ("avi", "huffyuv", "yuv422p"), ("avi", "utvideo", "gbrp"), ("avi", "utvideo", "yuv420p"),
    ("avi", "rawvideo", "bgr24"), ("avi", "libx264", "yuv420p"), ("avi", "msmpeg4", "yuv420p"),
    ("avi", "wmv2", "yuv420p"), ("mkv", "libtheora", "yuv420p"), ("mkv", "mpeg2video", "yuv422p"),
    ("mov", "prores_ks", "yuv444p10le"), ("mkv", "mjpeg", "yuvj444p"),
)  # fmt: skip
# a b c d of the display matrix and the corner that its origin moves to, in widths and heights.
TURNS = {
    "turned90": (0, 1, -1, 0, 0, 1), "turned180": (-1, 0, 0, -1, 1, 1), "turned270": (0, -1, 1, 0, 1, 0),
    "mirrored": (-1, 0, 0, 1, 1, 0), "flipped": (1, 0, 0, -1, 0, 1), "transposed": (0, 1, 1, 0, 0, 0),
    "transversed": (0, -1, -1, 0, 1, 1),
}  # fmt: skip
EXACT = "flags=accurate_rnd+full_chroma_int+full_chroma_inp"


@dataclass(frozen=True)
class Case:
    """One file of the matrix; empty fields are as usual."""

    container: str
    codec: str
    tag: str = "untagged"
    size: tuple[int, int] = SD
    rate: str = "10"
    full: bool = False  # 0 to 255 in place of 16 to 235
    turn: str = ""  # one of ``TURNS``
    pix_fmt: str = ""
    aspect: str = ""  # of a stored pixel
    interlaced: bool = False
    uneven: bool = False  # every third gap is three times as long

    @property
    def name(self) -> str:
        """What the file is called: what is unusual in it."""
        told = [self.codec]
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                text = field.name if value is True else "x".join(map(str, value)) if field.name == "size" else value
                told.append(str(text).replace("/", "-").replace(":", "-"))
        return f"{'_'.join(told)}.{self.container}"

    @property
    def matrix(self) -> str:
        """The matrix it is made with: that of its tag, or what a player takes for the size."""
        return TAGS[self.tag] or ("bt709" if self.size[1] >= HD[1] else "smpte170m")


def matrix() -> list[Case]:
    """All files: containers x codecs x tags x sizes; then ranges, rates, formats, turns, shapes and times on some."""
    found = []
    for container, codecs in CONTAINERS.items():
        for codec, tag, size in itertools.product(codecs, TAGS, (SD, HD)):
            found.append(Case(container, codec, tag, size))
        for codec in codecs:
            found += [Case(container, codec, "bt709", rate=rate) for rate in RATES]
            found += [Case(container, codec, "bt709", full=True)] * (codec not in NO_RANGE)
    found += [Case(container, codec, "bt709", pix_fmt=pix_fmt) for container, codec, pix_fmt in FORMATS]
    found += [Case(container, "libx264", "bt709", turn=turn) for container in ("mp4", "mov", "m4v") for turn in TURNS]
    for container, codec in (("mp4", "libx264"), ("mkv", "libx264"), ("mpg", "mpeg2video"), ("webm", "libvpx-vp9")):
        found += [Case(container, codec, aspect=aspect) for aspect in ("64/45", "8/9")]
    for container, codec in (("mp4", "libx264"), ("ts", "libx264"), ("mpg", "mpeg2video"), ("mkv", "mpeg2video")):
        found.append(Case(container, codec, interlaced=True))
    for container, codec in (("mp4", "libx264"), ("mkv", "libx265"), ("webm", "libvpx-vp9"), ("ts", "libx264")):
        found.append(Case(container, codec, uneven=True))
    found.append(Case("avi", "dvvideo", size=(720, 576), rate="25", interlaced=True))  # pixels of 16:15
    found.append(Case("mpg", "mpeg1video", rate="25"))
    found.append(Case("3gp", "h263", size=(352, 288)))  # pixels of 12:11
    return list(dict.fromkeys(found))


def sample(count: int) -> list[Case]:
    """About so many of them, spread over the matrix, and of every unusual thing at least one."""
    found = matrix()
    usual = {field.name: field.default for field in fields(Case)[2:]}
    firsts = [next(case for case in found if getattr(case, name) != value) for name, value in usual.items()]
    step = max(1, len(found) // max(1, count - len(firsts)))
    return list(dict.fromkeys([*firsts, *found[::step]]))


def pictures(case: Case) -> np.ndarray:
    """Four quadrants of flat colours, a black ring around the centre and a white bar that moves at the top.

    uint8 [T, H, W, 3]; the ring is a circle where pixels are square once more as ``aspect`` says.
    """
    width, height = case.size
    out = np.zeros((FRAMES, height, width, 3), np.uint8)
    rows, columns = ((slice(None, side // 2), slice(side // 2, None)) for side in (height, width))
    for (row, column), colour in zip(itertools.product(rows, columns), COLOURS, strict=True):
        out[:, row, column] = colour
    y, x = np.mgrid[:height, :width]
    from_centre = np.hypot((x - width / 2) * float(Fraction(case.aspect or 1)), y - height / 2) / height
    out[:, (from_centre > 0.15) & (from_centre < 0.2)] = 0
    for i in range(FRAMES):
        for field in range(2):  # in interlaced ones the lower lines come half a frame later
            left = (2 * i + (field if case.interlaced else 0)) * width // 40
            out[i, field : height // 8 : 2, left : left + width // 12] = 255
    return out


def ffmpeg(*arguments: object, data: bytes | None = None, program: str = "ffmpeg") -> bytes:
    """Run ffmpeg; its output."""
    general = ["-y", "-threads", "1"] if program == "ffmpeg" else []
    command = [program, "-v", "error", *general, *map(str, arguments)]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def make(case: Case, folder: Path) -> Path:
    """Write the file.

    Raises:
        CalledProcessError: ffmpeg cannot.
    """
    width, height = case.size
    tag, path = TAGS[case.tag], folder / case.name
    tags = ["-colorspace", tag, "-color_primaries", tag, "-color_trc", tag] if tag else []
    tags += ["-color_range", "pc"] if case.full else []
    pix_fmt = case.pix_fmt or PIX_FMTS.get(case.codec, "yuv420p")
    full = case.full or pix_fmt.startswith("yuvj")
    filters = [
        f"scale=out_color_matrix={case.matrix}:out_range={'pc' if full else 'tv'}:interl={int(case.interlaced)}:{EXACT}"
    ]
    filters += [f"format={pix_fmt}"]
    filters += ["setpts='(N+2*floor(N/3))/10/TB'"] if case.uneven else []
    filters += [f"setsar={case.aspect}"] if case.aspect else []
    filters += ["setfield=tff"] if case.interlaced else []
    woven = ["-flags", "+ilme+ildct"] if case.interlaced and case.codec != "dvvideo" else []
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", case.rate, "-i", "-"]
    written = ["-c:v", case.codec, *CODECS[case.codec], *woven, *tags, "-fps_mode", "vfr" if case.uneven else "cfr"]
    ffmpeg(*source, "-vf", ",".join(filters), *written, path, data=pictures(case).tobytes())
    if case.turn:
        path.write_bytes(turned(path.read_bytes(), case))
    return path


def turned(data: bytes, case: Case) -> bytes:
    """An MP4 or MOV whose track header holds the display matrix of a turn. Source: QuickTime File Format."""
    a, b, c, d, x, y = TURNS[case.turn]
    width, height = case.size if a else case.size[::-1]
    out, one = bytearray(data), 1 << 16
    numbers = (a * one, b * one, 0, c * one, d * one, 0, x * width * one, y * height * one, 1 << 30)
    struct.pack_into(">9i", out, data.find(b"tkhd") + 44, *numbers)
    return bytes(out)

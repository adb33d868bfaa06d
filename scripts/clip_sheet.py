"""Odd files as the pack reads them, beside what the ffmpeg program shows: a contact sheet to look at.

python scripts/clip_sheet.py sheet.png    20 files made on the spot; needs ffmpeg

Below each pair stands what the pack says of the file. Where ffmpeg 5 shows something else the reason is in the name: it
tone-maps HDR in another way, and reads neither animated WebP nor the colour profiles of pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("scripts/bench", "scripts/bench/parts", "tests/support")]

from clips import load_pack, shown_by_ffmpeg  # noqa: E402
from odd_clips import display_p3  # noqa: E402
from odd_files import EXACT, HD, Case, ffmpeg, make, pictures  # noqa: E402

CASES = (
    ("untagged, HD", Case("mp4", "libx264", size=HD)), ("untagged, SD", Case("mp4", "libx264")),
    ("BT.709, full range", Case("webm", "libvpx-vp9", "bt709", full=True)),
    ("BT.601 in HD", Case("mkv", "ffv1", "bt601", HD)), ("tag in the container", Case("mov", "prores_ks", "bt709")),
    ("Motion JPEG: always BT.601", Case("mov", "mjpeg", "bt709")),
    ("AV1, 10 bits", Case("webm", "libaom-av1", "bt709", pix_fmt="yuv420p10le")),
    ("stored as RGB", Case("avi", "utvideo", "bt709", pix_fmt="gbrp")),
    ("display matrix: turned", Case("mp4", "libx264", "bt709", turn="turned90")),
    ("display matrix: mirrored", Case("mov", "libx264", "bt709", turn="mirrored")),
    ("display matrix: transposed", Case("m4v", "libx264", "bt709", turn="transposed")),
    ("pixels of 64:45", Case("mkv", "libx264", aspect="64/45")),
    ("DV: interlaced, pixels of 16:15", Case("avi", "dvvideo", size=(720, 576), rate="25", interlaced=True)),
    ("interlaced", Case("ts", "libx264", interlaced=True)),
)  # fmt: skip
PLAIN = pictures(Case("", ""))
TONE_MAP = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709,format=rgb24"
WIDE, HIGH, TEXT, COLUMNS, AT = 176, 132, 62, 4, 4  # pixels, pairs in a row, number of the frame
Make = Callable[[Path], tuple[Path, np.ndarray | None]]  # in a folder; the file, and ffmpeg's picture


def hdr(transfer: str) -> Make:
    """A clip in HDR."""

    def made(folder: Path) -> tuple[Path, np.ndarray | None]:
        path, tags = folder / f"{transfer}.mp4", ["-colorspace", "bt2020nc", "-color_primaries", "bt2020"]
        source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x240", "-r", "10", "-i", "-"]
        coded = ["-c:v", "libx265", "-x265-params", "log-level=none", "-color_trc", transfer, *tags]
        convert = f"scale=out_color_matrix=bt2020nc:out_range=tv:{EXACT},format=yuv420p10le"
        ffmpeg(*source, "-vf", convert, *coded, path, data=(PLAIN * 0.8).astype(np.uint8).tobytes())
        return path, asked(path, "-vf", TONE_MAP)

    return made


def see_through(folder: Path) -> tuple[Path, np.ndarray | None]:
    """A VP9 clip that is transparent outside of its ring."""
    path, source = folder / "alpha.webm", ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", "320x240", "-r", "10", "-i", "-"]
    y, x = np.mgrid[:240, :320]
    alpha = np.where(np.hypot(x - 160, y - 120) < 70, 255, 0).astype(np.uint8)
    data = np.concatenate([PLAIN, np.broadcast_to(alpha[..., None], (*PLAIN.shape[:3], 1))], -1)
    ffmpeg(*source, "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", path, data=data.tobytes())
    over = ["-f", "lavfi", "-i", "color=black:s=320x240:r=10", "-c:v", "libvpx-vp9", "-i", path]
    return path, picture(*over, "-filter_complex", "[0][1]overlay=shortest=1:format=rgb")


def still(name: str, **options: Any) -> Make:
    """A picture, or an animation, written by Pillow."""

    def made(folder: Path) -> tuple[Path, np.ndarray | None]:
        from PIL import Image

        path, (first, *rest) = folder / name, [Image.fromarray(frame) for frame in PLAIN]
        moving = {"save_all": True, "append_images": rest, "duration": 100} if options.pop("moves", False) else {}
        first.save(path, **moving, **options)
        return path, asked(path)

    return made


def turned_jpeg(folder: Path) -> tuple[Path, np.ndarray | None]:
    """A JPEG with orientation 5."""
    from PIL import Image

    tags = Image.Exif()
    tags[0x0112] = 5
    return still("exif.jpg", exif=tags, quality=95)(folder)


OTHERS: tuple[tuple[str, Make], ...] = (
    ("HDR, PQ: ffmpeg maps otherwise", hdr("smpte2084")), ("HDR, HLG: ffmpeg maps otherwise", hdr("arib-std-b67")),
    ("VP9 with alpha, over black", see_through), ("animated WebP: not in ffmpeg 5", still("a.webp", moves=True)),
    ("Display P3: ignored by ffmpeg 5", still("p3.png", icc_profile=display_p3())),
    ("EXIF orientation 5", turned_jpeg),
)  # fmt: skip


def asked(path: Path, *filters: str) -> np.ndarray | None:
    """ffmpeg's picture of a file, or None where it has none."""
    return picture("-i", path, *filters)


def picture(*source: object) -> np.ndarray | None:
    """The frame at ``AT``, or the first, of what ffmpeg makes of its arguments."""
    from io import BytesIO

    from PIL import Image

    try:
        data = ffmpeg(*source, "-frames:v", AT + 1, "-c:v", "png", "-pix_fmt", "rgb24", "-f", "image2pipe", "-")
    except subprocess.CalledProcessError:
        return None
    last = data.rfind(b"\x89PNG\r\n")
    return None if last < 0 else np.asarray(Image.open(BytesIO(data[last:])).convert("RGB"))


def pairs(folder: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray | None]]:
    """Title, what the pack says, its picture and ffmpeg's."""
    decode = load_pack()

    def ours(path: Path) -> tuple[str, np.ndarray]:
        info = decode.probe(path)
        shown = [frame for _, frame in decode.timed_frames(path, info)]
        return "; ".join((*info.notes, *info.warnings)), shown[min(AT, len(shown) - 1)]

    for title, case in CASES:
        path = make(case, folder)
        yield title, *ours(path), shown_by_ffmpeg(case, path).frames[AT]
    for title, made in OTHERS:
        path, theirs = made(folder)
        yield title, *ours(path), theirs


def sheet(found: list[tuple[str, str, np.ndarray, np.ndarray | None]]) -> Any:
    """All pairs, the pack's picture left and ffmpeg's right."""
    from PIL import Image, ImageDraw

    step, row = 2 * WIDE + 16, HIGH + TEXT
    out = Image.new("RGB", (COLUMNS * step, -(-len(found) // COLUMNS) * row), "white")
    draw = ImageDraw.Draw(out)
    for i, (title, said, *both) in enumerate(found):
        x, y = i % COLUMNS * step + 4, i // COLUMNS * row + 2
        draw.text((x, y), title, "black")
        for side, array in enumerate(both):
            if array is None:
                draw.text((x + side * WIDE + 40, y + 70), "cannot read it", "grey")
                continue
            shown = Image.fromarray(array)
            shown.thumbnail((WIDE - 4, HIGH))
            out.paste(shown, (x + side * WIDE, y + 14))
        draw.text((x, y + HIGH + 16), "\n".join(textwrap.wrap(said, 58)[:3]), "grey")
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Draw odd files beside what ffmpeg shows.")
    parser.add_argument("path", type=Path, help="PNG file to write")
    path = parser.parse_args(arguments).path
    with tempfile.TemporaryDirectory() as folder:
        found = list(pairs(Path(folder)))
    sheet(found).quantize(128).save(path, optimize=True)
    print(f"{len(found)} files, the pack's picture left, ffmpeg's right: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

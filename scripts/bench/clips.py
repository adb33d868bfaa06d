"""Compare what the pack reads of odd clips with what the ffmpeg program shows, file by file.

python scripts/bench/clips.py                 the whole matrix, about 200 files made on the spot
python scripts/bench/clips.py --sample 20     every n-th file, so that 20 are left
python scripts/bench/clips.py --sheet a.png   also a contact sheet: the pack's picture beside ffmpeg's

A file counts as right within 2 grey levels of ffmpeg's picture with the matrix a player takes (3 for the coarse
quantisation of AV1), as refused where the pack says in a sentence what to do, else as wrong. Needs ffmpeg.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))
RIGHT, REFUSED, WRONG, UNMADE = "right", "refused", "wrong", "not made"
LIMIT = 3.0  # grey levels, mean over a quadrant: two roundings and the codec's own loss
CODECS = {
    "libx264": ("-crf", "4", "-pix_fmt", "yuv420p"),
    "libx265": ("-crf", "4", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "libvpx-vp9": ("-b:v", "0", "-crf", "6", "-cpu-used", "8", "-pix_fmt", "yuv420p"),
    "libvpx": ("-b:v", "8M", "-crf", "4", "-pix_fmt", "yuv420p"),
    "ffv1": ("-pix_fmt", "yuv420p"),
    "mpeg4": ("-q:v", "1", "-pix_fmt", "yuv420p"),
    "mpeg2video": ("-q:v", "1", "-pix_fmt", "yuv420p"),
    "prores_ks": ("-pix_fmt", "yuv422p10le"),
    "mjpeg": ("-q:v", "1", "-pix_fmt", "yuvj420p"),
}
FIXED = ("libvpx", "mjpeg")  # VP8 and JFIF are BT.601 by definition, whatever the container says
TAGLESS = ("avi",)  # has no place for tags, and neither has MPEG-4 Part 2 as it is written here
CONTAINERS = {
    "mp4": ("libx264", "libx265", "libvpx-vp9", "mpeg4"), "mov": ("libx264", "prores_ks", "mjpeg"),
    "mkv": ("libx264", "libx265", "ffv1", "mpeg4"), "webm": ("libvpx-vp9", "libvpx"), "avi": ("mpeg4", "mjpeg"),
    "ts": ("libx264", "mpeg2video"), "m2ts": ("libx264",), "mpg": ("mpeg2video",), "3gp": ("libx264",),
    "m4v": ("libx264",),
}  # fmt: skip
TAGS = {"untagged": "", "bt709": "bt709", "bt601": "smpte170m"}
ROTATIONS = (0, 90, 180, 270)
RATES = ("10", "24000/1001", "60")
SIZES = ((320, 240), (1280, 720))


@dataclass(frozen=True)
class Case:
    """One file of the matrix."""

    container: str
    codec: str
    tag: str
    size: tuple[int, int]
    rate: str = "10"
    full: bool = False
    rotation: int = 0

    @property
    def name(self) -> str:
        """What the file is called."""
        full = "_full" * self.full
        rate = self.rate.replace("/", "-")
        return f"{self.codec}_{self.tag}_{self.size[1]}_{rate}{full}_{self.rotation}.{self.container}"

    @property
    def matrix(self) -> str:
        """The matrix it is made with: that of its codec, of its tag, or what a player takes for the size."""
        if self.codec in FIXED:
            return "smpte170m"
        assumed = "bt709" if self.size[1] >= 720 else "smpte170m"
        if self.container in TAGLESS:
            return assumed
        return {"bt709": "bt709", "bt601": "smpte170m"}.get(self.tag, assumed)


def matrix() -> list[Case]:
    """All files: containers x codecs x tags x sizes, then ranges, rates and rotations on some."""
    found = []
    for container, codecs in CONTAINERS.items():
        for codec, tag, size in itertools.product(codecs, TAGS, SIZES):
            found.append(Case(container, codec, tag, size))
        for codec in codecs:
            found += [Case(container, codec, "bt709", SIZES[0], rate) for rate in RATES[1:]]
            if codec not in ("mjpeg", "prores_ks", "libvpx", "mpeg4", "mpeg2video"):  # whose stream holds no range
                found.append(Case(container, codec, "bt709", SIZES[0], full=True))
    for container, rotation in itertools.product(("mp4", "mov", "m4v"), ROTATIONS[1:]):
        found.append(Case(container, "libx264", "bt709", SIZES[0], rotation=rotation))
    return list(dict.fromkeys(found))


def picture(width: int, height: int) -> np.ndarray:
    """Four quadrants of flat colours, uint8."""
    out = np.zeros((height, width, 3), np.uint8)
    rows, columns = ((slice(None, side // 2), slice(side // 2, None)) for side in (height, width))
    for (row, column), colour in zip(itertools.product(rows, columns), COLOURS, strict=True):
        out[row, column] = colour
    return out


def ffmpeg(*arguments: object, data: bytes | None = None) -> bytes:
    """Run ffmpeg; its output."""
    command = ["ffmpeg", "-v", "error", "-y", "-threads", "1", *map(str, arguments)]
    return subprocess.run(command, input=data, check=True, capture_output=True).stdout


def make(case: Case, folder: Path) -> Path:
    """Write a file of ten frames."""
    width, height = case.size
    tags = ["-colorspace", TAGS[case.tag], "-color_primaries", TAGS[case.tag], "-color_trc", TAGS[case.tag]]
    tags = tags if TAGS[case.tag] else []
    tags += ["-color_range", "pc"] if case.full else []
    to_yuv = f"scale=out_color_matrix={case.matrix}:out_range={'pc' if case.full or case.codec == 'mjpeg' else 'tv'}"
    exact = ":flags=accurate_rnd+full_chroma_int+full_chroma_inp"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", case.rate, "-i", "-"]
    path = folder / case.name
    plain = folder / f"plain_{case.name}" if case.rotation else path
    data = picture(width, height).tobytes() * 10
    ffmpeg(*source, "-vf", to_yuv + exact, "-c:v", case.codec, *CODECS[case.codec], *tags, plain, data=data)
    if case.rotation:
        ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", f"rotate={case.rotation}", path)
        plain.unlink()
    return path


def shown_by_ffmpeg(case: Case, path: Path) -> np.ndarray:
    """The first frame as ffmpeg shows it with the right matrix."""
    width, height = case.size[::-1] if case.rotation in (90, 270) else case.size
    convert = f"scale=in_color_matrix={case.matrix}:out_range=pc:flags=accurate_rnd+full_chroma_int+full_chroma_inp"
    raw = ffmpeg("-i", path, "-frames:v", 1, "-vf", convert, "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def levels_off(one: np.ndarray, other: np.ndarray) -> float:
    """Most grey levels between the means of the quadrants; 255 where the sizes differ."""
    if one.shape != other.shape:
        return 255.0
    height, width = one.shape[:2]
    means = []
    for y, x in itertools.product((0.25, 0.75), repeat=2):
        part = (slice(int(height * y) - 8, int(height * y) + 8), slice(int(width * x) - 8, int(width * x) + 8))
        means.append(np.abs(one[part].mean((0, 1)) - other[part].mean((0, 1))).max())
    return float(max(means))


def load_pack() -> Any:
    """The checkout as a package, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise RuntimeError("the checkout cannot be loaded")
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pack"])
    from pack.training.data.media import decode

    return decode


def judge(case: Case, folder: Path, decode: Any) -> tuple[str, str, tuple[np.ndarray, np.ndarray] | None]:
    """Right, refused or wrong; why; and both pictures."""
    try:
        path = make(case, folder)
    except subprocess.CalledProcessError as error:
        return UNMADE, error.stderr.decode(errors="replace").strip()[-120:], None
    try:
        wanted = shown_by_ffmpeg(case, path)
        info = decode.probe(path)
        pictures = list(decode.read_frames(path, info, info.fps, info.frames_at(info.fps)))
    except ValueError as error:
        return REFUSED, str(error), None
    finally:
        path.unlink(missing_ok=True)
    off = levels_off(pictures[0], wanted)
    rate = as_number(case.rate)
    if off > LIMIT:
        return WRONG, f"{off:.1f} levels off", (pictures[0], wanted)
    if len(pictures) != 10 or abs(info.fps - rate) > 0.02 * rate:
        return WRONG, f"{len(pictures)} of 10 frames at {info.fps:.3f} of {rate:.3f} fps", (pictures[0], wanted)
    return RIGHT, f"{off:.1f} levels off", (pictures[0], wanted)


def as_number(rate: str) -> float:
    """A rate as a number."""
    above, _, below = rate.partition("/")
    return int(above) / int(below or 1)


def sheet(pairs: list[tuple[str, np.ndarray, np.ndarray]], path: Path) -> None:
    """Both pictures of each file beside each other, with its name."""
    from PIL import Image, ImageDraw

    wide, high, columns = 180, 110, 4
    out = Image.new("RGB", (columns * (2 * wide + 12), -(-len(pairs) // columns) * (high + 22)), "white")
    for i, (name, ours, theirs) in enumerate(pairs):
        x, y = i % columns * (2 * wide + 12), i // columns * (high + 22)
        for step, array in enumerate((ours, theirs)):
            shown = Image.fromarray(array)
            shown.thumbnail((wide - 4, high))
            out.paste(shown, (x + step * wide, y + 16))
        ImageDraw.Draw(out).text((x, y + 2), f"{name}: pack | ffmpeg", "black")
    out.save(path)


def run(cases: list[Case], folder: Path) -> Iterator[tuple[Case, str, str, tuple[np.ndarray, np.ndarray] | None]]:
    """Judge every case."""
    decode = load_pack()
    for case in cases:
        yield case, *judge(case, folder, decode)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the number of wrong files decides the exit code."""
    parser = argparse.ArgumentParser(description="Compare what the pack reads of odd clips with ffmpeg.")
    parser.add_argument("--sample", type=int, help="number of files, spread over the matrix")
    parser.add_argument("--sheet", type=Path, help="write both pictures of 20 files to this PNG")
    parser.add_argument("--verbose", action="store_true", help="a line for every file")
    options = parser.parse_args(arguments)
    if shutil.which("ffmpeg") is None:
        print("there is no ffmpeg; install it (apt-get install ffmpeg)")
        return 2
    cases = matrix()
    cases = cases[:: max(1, len(cases) // options.sample)] if options.sample else cases
    counts: Counter[str] = Counter()
    worst, pairs = 0.0, []
    with tempfile.TemporaryDirectory() as folder:
        for case, verdict, why, pictures in run(cases, Path(folder)):
            counts[verdict] += 1
            if verdict == RIGHT:
                worst = max(worst, float(why.split()[0]))
            if pictures is not None:
                pairs.append((case.name, *pictures))
            if options.verbose or verdict != RIGHT:
                print(f"{verdict:9}{case.name}: {why}", flush=True)
    if options.sheet:
        sheet(pairs[:: max(1, len(pairs) // 20)][:20], options.sheet)
    import av

    print(json.dumps({"PyAV": av.__version__, "files": len(cases), **counts, "most levels off": worst}))
    return int(counts[WRONG] > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Compare what the pack reads of odd clips with what the ffmpeg program shows, file by file and frame by frame.

python scripts/bench/clips.py                 the whole matrix, 250 files made on the spot; needs ffmpeg
python scripts/bench/clips.py --sample 20     about so many files, one of every kind
python scripts/bench/clips.py --verbose       a line for every file

ffmpeg decides by itself what the tags of a file mean. Only where a frame has no matrix it is given the container's, and
without one that of players: BT.709 from 720 lines on, BT.601 below; ffmpeg alone would take BT.601 then. A file counts
as right where all frames, their sizes and their times agree and none is more than 1.5 grey levels off in the mean, or 3
in the middle of a quadrant; as refused where the pack says in a sentence what to do; else as wrong. Of right files
whose colours are not those that were written, because container or codec lost the tag, how many is printed.
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
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent / "parts"))

from odd_files import COLOURS, EXACT, HD, TURNS, Case, ffmpeg, make, matrix, sample  # noqa: E402

RIGHT, REFUSED, WRONG, UNMADE = "right", "refused", "wrong", "not made"
MEAN, QUADRANT = 1.5, 3.0  # grey levels
AS_WRITTEN = 6.0  # grey levels that a codec may lose
SAME_TIME = 0.002  # seconds
COLR = {1: "bt709", 6: "smpte170m"}  # QuickTime File Format, "Color parameter atoms"


@dataclass(frozen=True)
class Shown:
    """What a program shows of a file."""

    times: list[float]  # seconds after the first frame
    frames: np.ndarray  # uint8 [T, H, W, 3]


@dataclass(frozen=True)
class Verdict:
    """What comes of one file."""

    kind: str
    why: str
    off: float = 0.0  # most grey levels between the middles of quadrants
    lost: bool = False  # right, but not the colours that were written


def shown_by_ffmpeg(case: Case, path: Path) -> Shown:
    """Upright frames in RGB, with square pixels, deinterlaced where the file says that it is interlaced."""
    told = probed(path, "frame", "best_effort_timestamp_time,width,height,pix_fmt,color_space,sample_aspect_ratio,"
                  "interlaced_frame")  # fmt: skip
    first, (width, height) = told[0], square(told[0])
    if case.turn and not TURNS[case.turn][0]:
        width, height = height, width
    filters = ["bwdif=mode=send_frame:deint=interlaced"] if int(first["interlaced_frame"]) else []
    filters += [
        f"scale=w={width}:h={height}:in_color_matrix={matrix_of(first, path)}:out_range=pc:{EXACT}",
        "format=rgb24",
    ]
    raw = ffmpeg("-i", path, "-fps_mode", "passthrough", "-vf", ",".join(filters), "-f", "rawvideo", "-")
    frames = np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
    return Shown(times_of(told, 1 / Fraction(case.rate)), frames)


def times_of(frames: list[dict[str, Any]], step: Fraction) -> list[float]:
    """Seconds after the first frame; those without a time, which the decoder gives at the end, follow at the rate."""
    times: list[float] = []
    for frame in frames:
        told = frame.get("best_effort_timestamp_time")
        times.append(times[-1] + float(step) if told is None else float(told))
    return [time - times[0] for time in times]


def probed(path: Path, what: str, entries: str) -> list[dict[str, Any]]:
    """What ffprobe says of the frames, or of the stream before any frame is decoded."""
    asked = ["-select_streams", "v:0", "-show_entries", f"{what}={entries}", "-of", "json", path]
    return json.loads(ffmpeg(*asked, program="ffprobe"))[f"{what}s"]


def matrix_of(frame: dict[str, Any], path: Path) -> str:
    """The matrix for ffmpeg: its own choice where a frame has one, else the container's, else that of players."""
    if not frame["pix_fmt"].startswith("yuv") or frame.get("color_space", "unknown") != "unknown":
        return "auto"
    stream = probed(path, "stream", "color_space")[0].get("color_space", "unknown")
    if stream == "unknown":
        stream = quicktime_matrix(path.read_bytes())
    return stream or ("bt709" if frame["height"] >= HD[1] or frame["width"] >= HD[0] else "smpte170m")


def quicktime_matrix(data: bytes) -> str:
    """The matrix in the atom ``colr`` of a MOV; ffmpeg 5.1 forgets it once it has decoded ProRes that says nothing."""
    at = data.find(b"colrnclc")  # then primaries, transfer and matrix, two bytes each
    return COLR.get(int.from_bytes(data[at + 12 : at + 14], "big"), "") if at >= 0 else ""


def square(frame: dict[str, Any]) -> tuple[int, int]:
    """Width and height in square pixels; the shorter side of a pixel grows."""
    width, height = int(frame["width"]), int(frame["height"])
    above, _, below = frame.get("sample_aspect_ratio", "1:1").partition(":")
    aspect = Fraction(int(above), int(below)) if above.isdigit() and int(above) else Fraction(1)
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def shown_by_pack(path: Path, decode: Any) -> Shown:
    """The frames that a data set would be made of."""
    times, frames = zip(*decode.timed_frames(path, decode.probe(path)), strict=True)
    return Shown(list(times), np.stack(frames))


def middles(picture: np.ndarray) -> np.ndarray:
    """Mean colour in the middle of each quadrant, [4, 3]."""
    height, width = picture.shape[:2]
    at = [(int(height * y), int(width * x)) for y, x in itertools.product((0.25, 0.75), repeat=2)]
    return np.stack([picture[y - 8 : y + 8, x - 8 : x + 8].reshape(-1, 3).mean(0) for y, x in at])


def difference(ours: Shown, theirs: Shown) -> tuple[str, float]:
    """What is wrong, or nothing; and most grey levels between the middles of quadrants."""
    if ours.frames.shape != theirs.frames.shape:
        return f"frames of {list(ours.frames.shape)}, ffmpeg shows {list(theirs.frames.shape)}", 255.0
    late = max(abs(a - b) for a, b in zip(ours.times, theirs.times, strict=True))
    if late > SAME_TIME:
        return f"a frame is {1000 * late:.0f} ms off its time", 255.0
    pairs = list(zip(ours.frames, theirs.frames, strict=True))
    off = max(float(np.abs(middles(a) - middles(b)).max()) for a, b in pairs)
    mean = max(float(np.abs(a.astype(np.int16) - b).mean()) for a, b in pairs)
    return f"{off:.1f} grey levels off, {mean:.2f} in the mean" if off > QUADRANT or mean > MEAN else "", off


def judge(case: Case, folder: Path, decode: Any) -> Verdict:
    """Make a file, read it in both ways, remove it."""
    try:
        path = make(case, folder)
    except subprocess.CalledProcessError as error:
        (folder / case.name).unlink(missing_ok=True)
        return Verdict(UNMADE, error.stderr.decode(errors="replace").strip()[-120:])
    try:
        theirs = shown_by_ffmpeg(case, path)
        ours = shown_by_pack(path, decode)
    except ValueError as error:
        return Verdict(REFUSED, str(error))
    finally:
        path.unlink(missing_ok=True)
    wrong, off = difference(ours, theirs)
    if wrong:
        return Verdict(WRONG, wrong, off)
    lost = not case.turn and float(np.abs(middles(ours.frames[0]) - COLOURS).max()) > AS_WRITTEN
    return Verdict(RIGHT, "not as it was written" if lost else "as it was written", off, lost)


def load_pack() -> Any:
    """The checkout's ``decode``, whatever the checkout is called."""
    spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    if spec is None or spec.loader is None:
        raise RuntimeError("the checkout cannot be loaded")
    sys.modules["pack"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["pack"])
    from pack.training.data.media import decode

    return decode


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the number of wrong files decides the exit code."""
    parser = argparse.ArgumentParser(description="Compare what the pack reads of odd clips with ffmpeg.")
    parser.add_argument("--sample", type=int, help="number of files")
    parser.add_argument("--verbose", action="store_true", help="a line for every file")
    options = parser.parse_args(arguments)
    if shutil.which("ffmpeg") is None:
        print("there is no ffmpeg; install it (apt-get install ffmpeg)")
        return 2
    cases = sample(options.sample) if options.sample else matrix()
    counts: Counter[str] = Counter()
    worst, decode = 0.0, load_pack()
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            found = judge(case, Path(folder), decode)
            counts[found.kind] += 1
            counts["of them not as written"] += found.lost
            worst = max(worst, found.off if found.kind == RIGHT else 0.0)
            if options.verbose or found.kind != RIGHT or found.lost:
                print(f"{found.kind:9}{case.name}: {found.why}, {found.off:.1f} levels", flush=True)
    import av

    version = ffmpeg("-version").decode().split()[2]
    print(json.dumps({"PyAV": av.__version__, "ffmpeg": version, "files": len(cases), **counts, "most levels": worst}))
    return int(counts[WRONG] > 0)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# OpenCV, decord: a clip whose display matrix mirrors it is turned by half a turn instead, so it stands on its head.
#
# Guess: a reader that turns upright what a phone recorded sideways also mirrors what a selfie camera recorded mirrored, or
#   leaves it as it lies in the file.
# Seen with Python 3, numpy 2.2.6, and a clip of four grey fields, top left 40, top right 100, bottom left 160, bottom
#   right 220, given the four display matrices below:
#   ffmpeg 7.0.2 (of imageio-ffmpeg 0.6.0) shows each as it says
#   opencv-python-headless 4.12.0.88 and 5.0.0.93, and decord 0.6.0, are right for a quarter turn; a mirrored clip comes
#   turned by 180 degrees, one mirrored along its diagonal turned by 90, one flipped upside down as if it had no matrix:
#   they take the angle alone out of a matrix that is no rotation. No error, no warning
# Why it matters: trainers and node packs cut clips with both. Half of a data set from a selfie camera is learned upside
#   down, and the pictures that go with it are not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" install --quiet "$@"; }
pip numpy==2.2.6 imageio-ffmpeg==0.6.0 decord==0.6.0 opencv-python-headless==4.12.0.88
cat > "$folder/look.py" <<'PY'
import os, struct, subprocess, sys
import cv2
import decord
import imageio_ffmpeg
import numpy as np

os.chdir(sys.argv[1])
FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
LEVELS = {"TL": 40, "TR": 100, "BL": 160, "BR": 220}
# a b c d x y: a point (p, q) of the picture is shown at (a p + c q + x, b p + d q + y)
MATRICES = {
    "a quarter turn": (0, 1, -1, 0, 96, 0),
    "mirrored": (-1, 0, 0, 1, 128, 0),
    "flipped": (1, 0, 0, -1, 0, 96),
    "along the diagonal": (0, 1, 1, 0, 0, 0),
}


def clip():
    picture = np.zeros((96, 128), np.uint8)
    picture[:48, :64], picture[:48, 64:], picture[48:, :64], picture[48:, 64:] = LEVELS.values()
    source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "128x96", "-r", "12", "-i", "-"]
    made = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-qp", "0", "plain.mp4"]
    subprocess.run([*FFMPEG, *source, *made], input=picture.tobytes() * 12, check=True)
    with open("plain.mp4", "rb") as file:
        return file.read()


def with_matrix(data, a, b, c, d, x, y):
    """The same clip, another display matrix in the head of its track (ISO/IEC 14496-12, tkhd, version 0)."""
    one, out = 1 << 16, bytearray(data)
    at = data.find(b"tkhd") + 4 + 4 + 20 + 16
    struct.pack_into(">9i", out, at, a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 1 << 30)
    return bytes(out)


def fields(picture):
    grey = np.asarray(picture, float)
    grey = grey if grey.ndim == 2 else grey.mean(2)
    high, wide = (size // 4 for size in grey.shape)
    seen = [grey[y, x] for y in (high, 3 * high) for x in (wide, 3 * wide)]
    names = [min(LEVELS, key=lambda name: abs(LEVELS[name] - level)) for level in seen]
    return "{} {} / {} {}".format(*names)


def by_ffmpeg(path):
    head = subprocess.run(
        [*FFMPEG, "-i", path, "-frames:v", "1", "-f", "image2pipe", "-c:v", "pgm", "-"], capture_output=True, check=True
    ).stdout.split(b"\n", 3)
    wide, high = map(int, head[1].split())
    return np.frombuffer(head[3][: wide * high], np.uint8).reshape(high, wide)


data = clip()
for name, matrix in MATRICES.items():
    with open("clip.mp4", "wb") as file:
        file.write(with_matrix(data, *matrix))
    opened = cv2.VideoCapture("clip.mp4").read()[1]
    seen = {"ffmpeg": by_ffmpeg("clip.mp4"), "opencv": opened, "decord": decord.VideoReader("clip.mp4")[0].asnumpy()}
    print(f"{name}: " + ", ".join(f"{reader} {fields(picture)}" for reader, picture in seen.items()))
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" > "$folder/seen"
pip opencv-python-headless==5.0.0.93
"$folder/venv/bin/python" "$folder/look.py" "$folder" >> "$folder/seen"
cat "$folder/seen"
cat > "$folder/one" <<'TXT'
a quarter turn: ffmpeg BL TL / BR TR, opencv BL TL / BR TR, decord BL TL / BR TR
mirrored: ffmpeg TR TL / BR BL, opencv BR BL / TR TL, decord BR BL / TR TL
flipped: ffmpeg BL BR / TL TR, opencv TL TR / BL BR, decord TL TR / BL BR
along the diagonal: ffmpeg TL BL / TR BR, opencv BL TL / BR TR, decord BL TL / BR TR
TXT
cat "$folder/one" "$folder/one" > "$folder/expected"
diff "$folder/expected" "$folder/seen" && echo "as seen before"

#!/usr/bin/env bash
# decord: of a clip that was trimmed without encoding it again, one index gives two frames, whichever was read before.
#
# Guess: a random-access reader gives the same frame for an index, read in a row or alone, and as many as are shown.
# Seen with Python 3, decord 0.6.0, numpy 2.2.6, on 48 frames of which ffmpeg's `-ss 0.5 -c copy` has left 36 to be shown
#   (a key frame every 24, so the file keeps all 48 and says with an edit list that the first 12 are not shown):
#   the length is 48; read in a row, index 0 is frame 12 and index 30 is frame 42; a fresh reader that is asked for 30 first
#   gives frame 30, which is 12 before it; from index 36 on every one is the last frame; times begin at -0.5 s
# Why it matters: decord is what many trainers cut clips with, and phones and editors trim this way. A clip's frames, and
#   the pairing of two clips by frame numbers, depend on the order of reading; its end is a still.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet decord==0.6.0 numpy==2.2.6 imageio-ffmpeg==0.6.0
cat > "$folder/look.py" <<'PY'
import os, subprocess, sys
import decord
import imageio_ffmpeg
import numpy as np

os.chdir(sys.argv[1])
ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
raw = b"".join(bytes([5 * i]) * 64 * 64 for i in range(48))  # frame i is grey of level 5 i
encoded = ["-c:v", "libx264", "-qp", "0", "-g", "24", "-keyint_min", "24", "-sc_threshold", "0", "whole.mp4"]
source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x64", "-r", "24", "-i", "-", "-pix_fmt", "yuv420p"]
subprocess.run([*ffmpeg, *source, *encoded], input=raw, check=True)
subprocess.run([*ffmpeg, "-ss", "0.5", "-i", "whole.mp4", "-c", "copy", "trimmed.mp4"], check=True)


def numbers(pictures):
    """Which frames these are."""
    return [round(float(np.asarray(p, float).mean()) / 5) for p in pictures]


shown = subprocess.run(
    [*ffmpeg, "-i", "trimmed.mp4", "-f", "rawvideo", "-pix_fmt", "gray", "-"], capture_output=True, check=True
).stdout
shown = numbers(np.frombuffer(shown, np.uint8).reshape(-1, 64, 64))
print(f"ffmpeg: {len(shown)} frames, {shown[0]} to {shown[-1]}")
reader = decord.VideoReader("trimmed.mp4")
row = numbers(reader[i].asnumpy() for i in range(len(reader)))
print(f"decord, in a row: {len(row)} frames; index 0 is {row[0]}, 30 is {row[30]}, 36 to 47 are {sorted(set(row[36:]))}")
alone = numbers([decord.VideoReader("trimmed.mp4")[30].asnumpy()])
print(f"decord, alone: index 30 is {alone[0]}")
print(f"time of index 0: {decord.VideoReader('trimmed.mp4').get_frame_timestamp(0)[0]:.2f} s")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
ffmpeg: 36 frames, 12 to 47
decord, in a row: 48 frames; index 0 is 12, 30 is 42, 36 to 47 are [47]
decord, alone: index 30 is 30
time of index 0: -0.50 s
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

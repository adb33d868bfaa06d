#!/usr/bin/env bash
# imageio: its pyav plugin gives more frames of a trimmed clip than are shown; the last ones are what the memory held.
#
# Guess: reading a whole clip gives the frames that going through it one by one gives.
# Seen with Python 3, imageio 2.38.1, av 17.0.0, numpy 2.2.6, on 48 frames of which ffmpeg's `-ss 0.5 -c copy` has left 36
#   to be shown (the file keeps all 48 and says with an edit list that the first 12 are not shown):
#   `imiter` gives 36; `imread` gives 48, and so says `improps`. The last 12 are never written: noise that differed in each of
#   two runs, and black in a third process. No error, no warning
# Why it matters: phones and editors trim this way, and data sets of clips are read so. A quarter of such a clip is noise
#   or black that is learned with the rest, and differs from run to run.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio==2.38.1 av==17.0.0 numpy==2.2.6 imageio-ffmpeg==0.6.0
cat > "$folder/look.py" <<'PY'
import os, subprocess, sys
import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np

os.chdir(sys.argv[1])
ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"]
raw = b"".join(bytes([5 * i]) * 64 * 64 for i in range(48))  # frame i is grey of level 5 i
encoded = ["-c:v", "libx264", "-qp", "0", "-g", "24", "-keyint_min", "24", "-sc_threshold", "0", "whole.mp4"]
source = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x64", "-r", "24", "-i", "-", "-pix_fmt", "yuv420p"]
subprocess.run([*ffmpeg, *source, *encoded], input=raw, check=True)
subprocess.run([*ffmpeg, "-ss", "0.5", "-i", "whole.mp4", "-c", "copy", "trimmed.mp4"], check=True)


def levels(pictures):
    return [round(float(picture.mean())) for picture in pictures]


for name in ("whole.mp4", "trimmed.mp4"):
    one_by_one = levels(iio.imiter(name, plugin="pyav"))
    whole = levels(iio.imread(name, plugin="pyav"))
    same = whole[: len(one_by_one)] == one_by_one
    print("beyond:", whole[len(one_by_one) :], file=sys.stderr)
    print(f"{name}: {len(one_by_one)} one by one, {len(whole)} at once; those alike: {same}")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
whole.mp4: 48 one by one, 48 at once; those alike: True
trimmed.mp4: 36 one by one, 48 at once; those alike: True
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

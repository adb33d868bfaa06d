#!/usr/bin/env bash
# imageio: of a clip of uneven frame times its ffmpeg plugin gives every frame several times, and the rate of before that.
#
# Guess: so many frames at the rate that the plugin names last as long as the clip.
# Seen with Python 3, imageio 2.38.1, imageio-ffmpeg 0.6.0 (ffmpeg 7.0.2), numpy 2.2.6, on 12 frames within 1.62 s, shown at
#   0, 40, 80, 120, 160, 500, 540, 580, 620, 1500, 1540 and 1580 ms:
#   plugin FFMPEG: 81 frames, the 12 with copies between them, at 50 fps; it names 7.41 fps, at which they last 10.9 s
#   plugin pyav: the 12, and it names 50 fps, at which they last 0.24 s
# Why it matters: phones record at uneven rates, and trainers resample clips by the rate that a reader names. Here one sees
#   them 6.7 times too slow, with copies to learn, the other 6.8 times too fast.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet imageio==2.38.1 imageio-ffmpeg==0.6.0 av==17.0.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import os, sys
from fractions import Fraction
import av
import imageio.v3 as iio

os.chdir(sys.argv[1])
TIMES = (0, 40, 80, 120, 160, 500, 540, 580, 620, 1500, 1540, 1580)  # ms
with av.open("uneven.mp4", "w") as file:
    stream = file.add_stream("libx264", rate=25, options={"qp": "0"})
    stream.width = stream.height = 64
    stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, 1000)
    for i, time in enumerate(TIMES):
        frame = av.VideoFrame(64, 64, "yuv420p")
        for plane, level in zip(frame.planes, (40 + 15 * i, 128, 128)):
            plane.update(bytes([level]) * plane.buffer_size)
        frame.pts, frame.time_base = time, Fraction(1, 1000)
        file.mux(stream.encode(frame))
    file.mux(stream.encode(None))
for plugin in ("FFMPEG", "pyav"):
    frames = list(iio.imiter("uneven.mp4", plugin=plugin))
    levels = [round(float(frame.mean())) for frame in frames]
    rate = float(iio.immeta("uneven.mp4", plugin=plugin)["fps"])
    print(f"{plugin}: {len(frames)} frames, {len(set(levels))} different, named {rate:.2f} fps: {len(frames) / rate:.2f} s")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
FFMPEG: 81 frames, 12 different, named 7.41 fps: 10.93 s
pyav: 12 frames, 12 different, named 50.00 fps: 0.24 s
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

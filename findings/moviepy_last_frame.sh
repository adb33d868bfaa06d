#!/usr/bin/env bash
# MoviePy: a clip of 81 frames at 16 fps has 80 of them.
#
# Guess: iterating over a clip at its own rate gives each of its frames once, from the first to the last.
# Seen with Python 3, moviepy 2.2.1, imageio-ffmpeg 0.6.0 (its own ffmpeg 7.0.2), numpy 2.2.6, av 16.0.1 to write; H.264 in
#   MP4, every frame bears its number; of the 4n + 1 frames that video models take:
#   at 16 fps the last frame is missing from clips of 17, 33, 49, 81 and 121 frames; at 24 and 30 fps from 49 and 121;
#   at 25 fps from none. The frames that come are the right ones. The length is read in seconds from the text that ffmpeg
#   prints, which is cut off after two decimals, and a frame whose time is not wholly within it is left out
# Why it matters: data sets are cut and checked with it. A trainer that needs 81 frames gets 80 and refuses the clip, or takes
#   the 77 that the model's stride allows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet moviepy==2.2.1 imageio-ffmpeg==0.6.0 numpy==2.2.6 av==16.0.1
cat > "$folder/look.py" <<'PY'
import sys
from importlib.metadata import version

import av
import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

RATES, LENGTHS, SIZE, BITS = (16, 24, 25, 30), (17, 33, 49, 81, 121), 64, 8


def numbered(index):
    """A frame with its number in white and black columns."""
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    for bit in range(BITS):
        frame[:, bit * 8 : bit * 8 + 8] = 255 * (index >> bit & 1)
    return frame


def number(frame):
    return sum(1 << bit for bit in range(BITS) if frame[32, bit * 8 + 4].mean() > 128)


def write(path, rate, length):
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        for index in range(length):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(index), "rgb24")))
        file.mux(stream.encode())


print("moviepy", version("moviepy"), "ffmpeg", imageio_ffmpeg.get_ffmpeg_version())
path = sys.argv[1]
for rate in RATES:
    lacking = []
    for length in LENGTHS:
        write(path, rate, length)
        with VideoFileClip(path, audio=False) as clip:
            came = [number(frame) for frame in clip.iter_frames()]
        if came == list(range(length - 1)):
            lacking.append(length)
        elif came != list(range(length)):
            print("something else:", rate, length, came)
    print(f"{rate} fps, last frame missing of: {', '.join(map(str, lacking)) or 'none'}")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder/clip.mp4" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
moviepy 2.2.1 ffmpeg 7.0.2-static
16 fps, last frame missing of: 17, 33, 49, 81, 121
24 fps, last frame missing of: 49, 121
25 fps, last frame missing of: none
30 fps, last frame missing of: 49, 121
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

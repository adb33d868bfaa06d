#!/usr/bin/env bash
# PyAV: an animated AVIF is one frame to whoever decodes its first video stream.
#
# Guess: a file with one moving picture has one video stream, and decode(video=0) gives its frames.
# Seen with Python 3, av 18.1.0, 17.0.0 and 16.0.1, pillow 12.0.0 to write five frames:
#   two streams of kind video: 0 holds one frame, the still that stands for the file; 1 holds the five, with their times.
#   streams.video[0] and decode(video=0), as most programs have it, give 1 frame, and no warning; streams.best("video") is 1
# Why it matters: a clip that was saved as animated AVIF is learned as a still, or refused for having too few frames.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/writer"
"$folder/writer/bin/pip" install --quiet pillow==12.0.0
"$folder/writer/bin/python" - "$folder/clip.avif" <<'PY'
import sys

from PIL import Image

frames = [Image.new("RGB", (64, 64), (50 * index, 100, 250 - 50 * index)) for index in range(5)]
frames[0].save(sys.argv[1], save_all=True, append_images=frames[1:], duration=[100, 40, 300, 100, 500])
PY
cat > "$folder/look.py" <<'PY'
import sys
from importlib.metadata import version

import av

found = []
for index in (0, 1):
    with av.open(sys.argv[1]) as file:
        found.append([f"{frame.time:.2f}" for frame in file.decode(video=index)])
        count, best = len(file.streams.video), file.streams.best("video").index
print("av", version("av"), "streams", count, "best", best, "| 0:", *found[0], "| 1:", *found[1])
PY
for number in 18.1.0 17.0.0 16.0.1; do
    python3 -m venv "$folder/$number"
    "$folder/$number/bin/pip" install --quiet "av==$number"
    "$folder/$number/bin/python" "$folder/look.py" "$folder/clip.avif"
done | tee "$folder/seen"
for number in 18.1.0 17.0.0 16.0.1; do
    echo "av $number streams 2 best 1 | 0: 0.00 | 1: 0.00 0.10 0.14 0.44 0.54"
done > "$folder/expected"
diff "$folder/expected" "$folder/seen" && echo "as seen before"

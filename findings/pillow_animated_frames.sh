#!/usr/bin/env bash
# Pillow: an animated WebP or AVIF has no duration until its frame is decoded, and all but AVIF swallow frames that stand still.
#
# Guess: six frames saved as an animation are six frames in each of the four formats that Pillow animates, and after seek(i)
#   `info["duration"]` is that of frame i, in milliseconds.
# Seen with Python 3, pillow 12.0.0 and 11.3.0, frames A A B B B C of 42 ms each, lossless where the format can be:
#   frames: WebP 3, GIF 3, PNG 3, AVIF 6. What is equal to the frame before is a longer duration; the count is another one
#   durations after seek(): GIF 80 120 40 (it counts in 10 ms), PNG 84 126 42, WebP and AVIF none, until load() or convert()
#   decodes the frame: then 84 126 42 and 42 six times
# Why it matters: clips travel as animated pictures between graphs. Who counts frames gets a pause as one frame, and motion
#   that is faster after it; who asks `info.get("duration", 100)` right after seek() gets the default for each WebP.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/look.py" <<'PY'
import io
from importlib.metadata import version

from PIL import Image

A, B, C = (Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue"))
KEPT = {"WEBP": {"lossless": True}, "GIF": {}, "PNG": {}, "AVIF": {"quality": 100}}


def durations(file, decode):
    found = []
    with Image.open(io.BytesIO(file)) as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            if decode:
                picture.load()
            duration = picture.info.get("duration")
            found.append("none" if duration is None else f"{duration:.0f}")
    return " ".join(found)


print("pillow==" + version("pillow"))
for name, options in KEPT.items():
    file = io.BytesIO()
    A.save(file, name, save_all=True, append_images=[A, B, B, B, C], duration=42, loop=0, **options)
    print(name, "after seek:", durations(file.getvalue(), False), "| decoded:", durations(file.getvalue(), True))
PY
for pinned in pillow==12.0.0 pillow==11.3.0; do
    python3 -m venv "$folder/$pinned"
    "$folder/$pinned/bin/pip" install --quiet "$pinned"
    "$folder/$pinned/bin/python" "$folder/look.py"
done | tee "$folder/seen"
for pinned in pillow==12.0.0 pillow==11.3.0; do
    cat <<TXT
$pinned
WEBP after seek: none none none | decoded: 84 126 42
GIF after seek: 80 120 40 | decoded: 80 120 40
PNG after seek: 84 126 42 | decoded: 84 126 42
AVIF after seek: none none none none none none | decoded: 42 42 42 42 42 42
TXT
done > "$folder/expected"
diff "$folder/expected" "$folder/seen" && echo "as seen before"

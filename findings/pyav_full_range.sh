#!/usr/bin/env bash
# PyAV: `VideoFrame.to_ndarray("rgb24")` of a full-range frame is another picture before 17.0 than since.
#
# Guess: the colours that come out depend on the file, not on the version of the reader.
# Seen with Python 3, numpy 2.2.6, and a lossless FFV1 file that says full range and BT.709, all of it Y 220, U 120, V 135,
#   that is RGB 231 218 205:
#   av 16.1.0: the numbers are taken for limited range, 16 to 235, and stretched: no error, no warning
#   av 17.0.0 and 18.1.0: the range of the frame is followed
# Why it matters: ComfyUI asks for av>=16.0.0, and screen recordings, VP9 and AV1 from phones and games are often of full
#   range. Two installations train on, and compare with, two pictures of one file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import sys
import av
import numpy as np

FULL, BT709 = 2, 1  # FFmpeg's numbers
path = sys.argv[1] + "/full.mkv"
planes = np.full((96, 64), 220, np.uint8)  # 64x64 in yuv420p
planes[64:80], planes[80:] = 120, 135
with av.open(path, "w") as container:
    stream = container.add_stream("ffv1", rate=10)
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    stream.codec_context.color_range, stream.codec_context.colorspace = FULL, BT709
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.color_range, frame.colorspace = FULL, BT709
    for packet in [*stream.encode(frame), *stream.encode()]:
        container.mux(packet)
with av.open(path) as container:
    frame = next(container.decode(video=0))
    shown = frame.to_ndarray(format="rgb24")[8, 8].tolist()
y, u, v = 220, 120 - 128, 135 - 128
meant = [y + 1.5748 * v, y - 0.1873 * u - 0.4681 * v, y + 1.8556 * u]
off = max(abs(a - min(max(b, 0), 255)) for a, b in zip(shown, meant))
print(av.__version__, f"range {int(frame.color_range)}", f"matrix {int(frame.colorspace)}", shown,
      "as tagged" if off <= 2 else "not as tagged", sep="; ")
PY
for version in 16.1.0 17.0.0 18.1.0; do
    "$folder/venv/bin/pip" install --quiet "av==$version" numpy==2.2.6
    "$folder/venv/bin/python" "$folder/look.py" "$folder"
done | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
16.1.0; range 2; matrix 1; [248, 234, 220]; not as tagged
17.0.0; range 2; matrix 1; [231, 217, 205]; as tagged
18.1.0; range 2; matrix 1; [231, 217, 205]; as tagged
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

#!/usr/bin/env bash
# FFmpeg's command, inside imageio-ffmpeg: since some release it cuts an MP4 to its clean aperture; the libraries that
# decode the same file do not, and moviepy stretches what is left.
#
# Guess: whether a picture is cropped is decided below the reader, so that all Python readers on FFmpeg give one picture.
# Seen with Python 3, numpy 2.2.6, and a 320x240 H.264 file whose brightness grows from 0 to 255 along x and whose `clap` box
#   says 240x180 in the middle, where the brightness is 32 to 223:
#   imageio 2.38.1 with imageio-ffmpeg 0.6.0 (FFmpeg 7.0.2): 320x240, all of it
#   imageio 2.38.1 with imageio-ffmpeg 0.8.1 (FFmpeg 9.0.2): 240x180, while its metadata still says 320x240
#   moviepy 2.2.1 on that: 320x240, but the part inside the aperture enlarged to it
#   av 18.1.0 and opencv-python-headless 5.0.0.93: 320x240, all of it; no attribute of PyAV tells that there is a box
# Why it matters: QuickTime movies of DV and HD footage may carry the box. Clips that one reader cached and another
#   compares differ in frame and size, and a data set changes with a package that only wraps a program.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet av==18.1.0 numpy==2.2.6 imageio==2.38.1 moviepy==2.2.1 \
    opencv-python-headless==5.0.0.93
cat > "$folder/make.py" <<'PY'
import struct, sys
import av
import numpy as np

path, names = sys.argv[1], (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1", b"avcC")
picture = np.repeat(np.linspace(0, 255, 320).round().astype(np.uint8)[None, :, None], 240, 0).repeat(3, 2)
with av.open(path, "w") as container:
    stream = container.add_stream("libx264", rate=10, options={"crf": "1"})
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for packet in [*stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")), *stream.encode()]:
        container.mux(packet)
data = bytearray(open(path, "rb").read())
box = struct.pack(">I4s8I", 40, b"clap", 240, 1, 180, 1, 0, 1, 0, 1)
heads = [data.rfind(name) - 4 for name in names]
assert heads[0] > data.rfind(b"mdat")  # so no offset changes
sizes = [int.from_bytes(data[head:head + 4], "big") for head in heads]
for head, size in zip(heads[:-1], sizes):
    data[head:head + 4] = (size + len(box)).to_bytes(4, "big")
data[heads[-1] + sizes[-1]:heads[-1] + sizes[-1]] = box
open(path, "wb").write(data)
PY
cat > "$folder/look.py" <<'PY'
import logging, sys
import imageio.v2 as imageio
import imageio_ffmpeg

logging.disable()
path, found = sys.argv[1], {}
with imageio.get_reader(path, "ffmpeg") as reader:
    found[f"imageio, told {reader.get_meta_data()['source_size']}"] = reader.get_data(0)
if sys.argv[2] == "0.8.1":
    from moviepy import VideoFileClip
    clip = VideoFileClip(path)
    found["moviepy"] = clip.get_frame(0)
    clip.close()
    import av, cv2
    found["av"] = next(av.open(path).decode(video=0)).to_ndarray(format="rgb24")
    found["OpenCV"] = cv2.VideoCapture(path).read()[1]
def part(picture):
    left, right = int(picture[20, 1, 1]), int(picture[20, -2, 1])
    return {(0, 255): "all", (32, 224): "aperture"}.get((round(left / 16) * 16, min(round(right / 16) * 16, 255)), "else")
print("FFmpeg", imageio_ffmpeg.get_ffmpeg_version().lstrip("n").split("-")[0], end="")
for name, picture in found.items():
    print(f"; {name}: {picture.shape[1]}x{picture.shape[0]}, {part(picture)}", end="")
print()
PY
"$folder/venv/bin/python" "$folder/make.py" "$folder/clap.mp4"
for version in 0.6.0 0.8.1; do
    "$folder/venv/bin/pip" install --quiet "imageio-ffmpeg==$version"
    "$folder/venv/bin/python" "$folder/look.py" "$folder/clap.mp4" "$version"
done | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
FFmpeg 7.0.2; imageio, told (320, 240): 320x240, all
FFmpeg 9.0.2; imageio, told (320, 240): 240x180, aperture; moviepy: 320x240, aperture; av: 320x240, all; OpenCV: 320x240, all
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"

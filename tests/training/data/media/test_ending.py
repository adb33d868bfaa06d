"""Files that are cut off: never silently short, wherever the cut lies; and whole ones are not suspected."""

from __future__ import annotations

import numpy as np
import pytest
from odd_clips import frame_of

from pack.training.data.media.decode import probe

FASTSTART, FRAGMENTS = {"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}
KINDS = {
    "a.mp4": ("libx264", "aac", FASTSTART), "fragments.mp4": ("libx264", "aac", FRAGMENTS),
    "a.mov": ("libx264", "pcm_s16le", FASTSTART), "a.avi": ("libx264", "pcm_s16le", {}),
    "a.mkv": ("libx264", "aac", {}), "a.ts": ("libx264", "aac", {}), "a.m2ts": ("libx264", "aac", {}),
}  # fmt: skip


def with_sound(path):
    """50 frames of noise at 25 fps, with loud sound between them."""
    import av

    codec, sound, options = KINDS[path.name]
    dice = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        film = container.add_stream(codec, rate=25, options={"g": "10"})
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        track = container.add_stream(sound, rate=8000, layout="mono")
        for i in range(50):
            picture = dice.integers(0, 255, (48, 64, 3), np.uint8)
            container.mux(film.encode(frame_of(picture, "yuv420p", "bt601", False)))
            loud = av.AudioFrame.from_ndarray(
                dice.integers(-9000, 9000, (1, 320), np.int16), format="s16", layout="mono"
            )
            loud.sample_rate, loud.pts = 8000, 320 * i
            container.mux(track.encode(loud))
        container.mux(film.encode())
        container.mux(track.encode())
    return path


def outcome(path):
    """What becomes of a file: refused, told, or read with its number of frames."""
    try:
        info = probe(path)
    except ValueError as error:
        return "refused" if "cut off" in str(error) else str(error)
    return "told" if any("cut off" in warning for warning in info.warnings) else f"{info.frames} frames"


@pytest.mark.parametrize("name", KINDS)
def test_a_cut_off_file_is_refused_or_told_wherever_the_cut_lies(tmp_path, name):
    path = with_sound(tmp_path / name)
    assert outcome(path) == "50 frames"
    data = path.read_bytes()
    for kept in np.linspace(0.4, 0.99, 16):
        size = int(kept * len(data))
        path.write_bytes(data[: size + (size % 4 == 0)])  # not where a packet of a transport stream ends
        wanted = ("refused",) if path.suffix in (".mp4", ".mov", ".avi") else ("refused", "told")
        assert outcome(path) in wanted, f"{size} of {len(data)} bytes"


def test_what_a_camera_appends_to_a_film_is_no_reason_to_doubt_it(tmp_path):
    path = with_sound(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + b"\xff\xff\xff\xffSEFT and more")
    assert outcome(path) == "50 frames"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_an_avi_whose_size_was_never_filled_in_is_read(tmp_path, size):
    path = with_sound(tmp_path / "a.avi")
    data = path.read_bytes()
    path.write_bytes(data[:4] + size.to_bytes(4, "little") + data[8:])
    assert outcome(path) == "50 frames"


def test_a_size_that_counts_its_own_header_is_forgiven(tmp_path):
    path = with_sound(tmp_path / "a.avi")
    data = path.read_bytes()
    path.write_bytes(data[:4] + len(data).to_bytes(4, "little") + data[8:])
    assert outcome(path) == "50 frames"


def test_a_stream_of_unknown_size_is_read(tmp_path):
    path = with_sound(tmp_path / "a.mkv")
    data = path.read_bytes()
    at = data.index(b"\x18\x53\x80\x67") + 4
    path.write_bytes(data[:at] + b"\x01" + b"\xff" * 7 + data[at + 8 :])
    assert outcome(path) == "50 frames"

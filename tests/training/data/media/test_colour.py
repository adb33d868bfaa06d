"""Colours: every matrix, range and transfer comes as players show it, and what was assumed is reported."""

from __future__ import annotations

import numpy as np
import pytest
from odd_clips import TAGS, levels_off, picture, write_clip

from pack.training.data.media.decode import probe, read_frames
from pack.training.data.media.options import ReadOptions

SD, HD = (64, 48), (1280, 720)
BT709 = {"colorspace": 1, "color_primaries": 1, "color_trc": 1}


def first(path, options=None):
    options = options or ReadOptions()
    info = probe(path, options)
    return next(read_frames(path, info, info.fps, 1, options)), info


@pytest.mark.parametrize(("size", "matrix", "said"), [(SD, "bt601", "BT.601 (SD)"), (HD, "bt709", "BT.709 (HD)")])
def test_an_untagged_clip_is_read_as_players_do_and_told(tmp_path, size, matrix, said):
    shown, info = first(write_clip(tmp_path / "a.mp4", frames=[picture(*size)] * 2, matrix=matrix))
    assert levels_off(shown) <= 2
    assert info.notes == (f"untagged colours read as {said}",)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts"])
@pytest.mark.parametrize(("size", "matrix"), [(SD, "bt709"), (HD, "bt601"), (SD, "bt2020")])
def test_tags_win_over_what_the_size_suggests(tmp_path, name, size, matrix):
    path = write_clip(tmp_path / name, frames=[picture(*size)] * 2, matrix=matrix, tags={"colorspace": TAGS[matrix]})
    shown, info = first(path)
    assert levels_off(shown) <= 2
    assert info.notes == ()


@pytest.mark.parametrize(("name", "codec"), [
    ("a.webm", "libvpx-vp9"), ("a.mkv", "ffv1"), ("a.mp4", "libx264"), ("a.mp4", "libsvtav1"), ("a.mkv", "libvpx-vp9"),
])  # fmt: skip
def test_full_range_is_not_taken_for_limited(tmp_path, name, codec):
    shown, _ = first(write_clip(tmp_path / name, codec, full=True, tags={"color_range": 2, "colorspace": 6}))
    assert levels_off(shown) <= 3 if codec == "libsvtav1" else levels_off(shown) <= 2


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "ffv1"), ("a.mov", "mpeg4")])
def test_a_matrix_that_only_the_container_knows_is_used(tmp_path, name, codec):
    options = {"qscale": "1", "qmin": "1", "qmax": "1"} if codec == "mpeg4" else {}
    path = write_clip(tmp_path / name, codec, matrix="bt709", tags=BT709, options=options)
    shown, info = first(path)
    assert levels_off(shown) <= 3
    assert not [note for note in info.notes if "untagged" in note]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_tone_mapped_and_told_or_refused_when_asked(tmp_path, transfer, name):
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer}
    grey = [np.full((48, 64, 3), level, np.uint8) for level in (40, 120, 200)]
    path = write_clip(tmp_path / "a.mp4", "libx265", grey, "bt2020", tags=tags, pix_fmt="yuv420p10le",
                      options={"x265-params": "log-level=none"})  # fmt: skip
    info = probe(path)
    assert f"HDR ({name}), tone-mapped to BT.709" in info.notes
    levels = [float(frame.mean()) for frame in read_frames(path, info, info.fps, 3)]
    assert levels == sorted(levels)
    assert levels[0] < levels[1] - 20 < levels[2] - 40
    assert max(abs(level - code) for level, code in zip(levels, (40, 120, 200), strict=True)) > 12  # not the codes
    with pytest.raises(ValueError, match=rf"a\.mp4 is HDR \({name}\), which is to be refused; export it as SDR"):
        probe(path, ReadOptions(hdr="refuse"))


def test_wide_colours_are_converted_and_greys_stay(tmp_path):
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 1}
    given = picture()
    given[:24], given[24:, :32], given[24:, 32:] = 128, (100, 110, 150), (160, 150, 100)
    shown, info = first(write_clip(tmp_path / "a.mp4", frames=[given] * 2, matrix="bt2020", tags=tags))
    assert "wide colours (BT.2020), converted to BT.709" in info.notes
    assert abs(float(shown[4:20, 4:60].mean()) - 128) <= 2
    # Linear light, from one set of primaries to the other (ITU-R BT.2087), and back.
    codes = np.array([[100, 110, 150], [160, 150, 100]]) / 255
    linear = np.where(codes < 0.081, codes / 4.5, ((codes + 0.099) / 1.099) ** (1 / 0.45))
    matrix = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    linear = (linear @ matrix.T).clip(0, 1)
    meant = np.where(linear < 0.018, linear * 4.5, 1.099 * linear**0.45 - 0.099) * 255
    assert np.abs(shown[[36, 36], [16, 48]] - meant).max() <= 3


def test_a_matrix_that_cannot_be_read_is_refused_with_what_to_do(tmp_path):
    path = write_clip(tmp_path / "a.mp4", tags={"colorspace": 8})
    with pytest.raises(ValueError, match=r"a\.mp4 stores colours in a form .*; export it as BT\.709"):
        probe(path)


@pytest.mark.parametrize("setting", [{"background": "pink"}, {"hdr": "keep"}])
def test_unknown_choices_are_refused(setting):
    with pytest.raises(ValueError, match="choose one of"):
        ReadOptions(**setting)

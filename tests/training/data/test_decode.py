"""Reading clips: timestamps, rates and damaged files."""

from __future__ import annotations

import numpy as np
import pytest

from pack.training.data.media.decode import probe, read_frames, read_image
from pack.training.data.media.kinds import folder_images
from pack.training.data.media.timing import ClipInfo, nearest_frames


def numbers(path, fps, count=None):
    """Which source frames were taken, told by their brightness."""
    info = probe(path)
    frames = read_frames(path, info, fps, count or info.frames_at(fps))
    return [round(float(frame.mean()) / 10) for frame in frames]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
def test_a_video_is_measured_without_decoding_it(tmp_path, write_video, suffix):
    info = probe(write_video(tmp_path / f"a{suffix}", frames=20, fps=10, size=(48, 32)))
    assert (info.frames, info.width, info.height) == (20, 48, 32)
    assert info.fps == pytest.approx(10, rel=0.01)
    assert info.duration == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm", ".mkv"])
def test_frames_at_the_native_rate_come_one_by_one(tmp_path, write_video, suffix):
    assert numbers(write_video(tmp_path / f"a{suffix}", frames=20, fps=10), fps=10) == list(range(20))


def test_an_animated_gif_is_a_clip(tmp_path, write_video):
    path = write_video(tmp_path / "a.gif", frames=20, fps=10)
    assert probe(path).frames == 20
    assert probe(path).frames_at(5) == 10


def test_ninety_frames_at_thirty_become_forty_eight_at_sixteen(tmp_path, write_video):
    for suffix in (".mp4", ".webm"):  # WebM rounds timestamps to milliseconds
        info = probe(write_video(tmp_path / f"a{suffix}", frames=90, fps=30, size=(16, 16)))
        assert info.frames_at(16) == 48


def test_a_last_sliver_from_rounded_timestamps_is_no_frame():
    assert ClipInfo(90, 30.0, 3.0004, 16, 16).frames_at(16) == 48
    assert ClipInfo(10, 24.0, 10 / 24, 16, 16).frames_at(16) == 7  # 6.67: the seventh is shown for most of its time


def test_a_faster_rate_repeats_frames(tmp_path, write_video):
    assert numbers(write_video(tmp_path / "a.mp4", frames=4, fps=8), fps=16) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_variable_rate_is_resampled_on_real_timestamps(tmp_path, write_video):
    times = [0, 100, 130, 160, 500, 520, 540, 1000, 1100, 1200]
    path = write_video(tmp_path / "a.mp4", times=times, fps=30)
    expected = [min(range(10), key=lambda i: abs(times[i] - 100 * k)) for k in range(13)]
    assert numbers(path, fps=10)[:13] == expected
    assert probe(path).variable
    assert expected[:6] == [
        0,
        1,
        3,
        3,
        4,
        4,
    ]  # counting frames instead of reading times would give 0 1 2 3 4 5


def test_of_two_equally_near_frames_the_earlier_one_is_taken():
    frames = [(i / 24, i) for i in range(24)]
    assert list(nearest_frames(frames, fps=16, count=8)) == [0, 1, 3, 4, 6, 7, 9, 10]


def test_only_as_many_frames_as_wanted_are_decoded():
    seen = []
    frames = ((seen.append(i) or (i / 10, i)) for i in range(100))
    assert list(nearest_frames(frames, fps=10, count=3)) == [0, 1, 2]
    assert len(seen) <= 4


def test_pictures_of_a_folder_are_read_in_natural_order(tmp_path, write_picture):
    for i in (10, 2, 1):
        write_picture(tmp_path / f"frame{i}.png", np.full((16, 16, 3), 10 * i, np.uint8))
    assert [p.name for p in folder_images(tmp_path)] == ["frame1.png", "frame2.png", "frame10.png"]
    assert numbers(tmp_path, fps=5) == [1, 2, 10]


def test_a_name_with_a_number_pattern_is_not_expanded(tmp_path, write_picture):
    path = write_picture(tmp_path / "a%03d.png", np.full((16, 16, 3), 70, np.uint8))
    write_picture(tmp_path / "a001.png", np.zeros((16, 16, 3), np.uint8))
    assert read_image(path).mean() == 70


@pytest.mark.parametrize("content", [b"", b"hello" * 100, b"#EXTM3U\n#EXTINF:1,\nother.mkv\n"])
def test_a_file_that_is_no_video_is_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"broken\.mp4 cannot be read"):
        probe(path)


def test_a_list_of_other_files_is_not_followed(tmp_path, write_video, monkeypatch):
    write_video(tmp_path / "other.mkv")
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mkv\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"list\.mp4 cannot be read"):
        probe(tmp_path / "list.mp4")


@pytest.mark.parametrize("part", [0.6, 0.99])
def test_a_cut_off_video_is_refused_by_name(tmp_path, write_video, part):
    path = write_video(tmp_path / "cut.mp4", frames=20, size=(256, 256))
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"cut\.mp4 is cut off: [\d,]+ bytes are missing at its end"):
        probe(path)


def test_damage_in_the_middle_is_noticed_when_decoding(tmp_path, write_video):
    path = write_video(tmp_path / "dirty.mov", frames=20, size=(256, 256))
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 4
    data[start : start + len(data) // 4] = bytes(len(data) // 4)
    path.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"dirty\.mov"):
        numbers(path, fps=10)


def test_a_missing_file_and_an_unknown_kind_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.mp4 cannot be read"):
        probe(tmp_path / "nothing.mp4")
    with pytest.raises(ValueError, match=r"notes\.pdf is not a clip"):
        probe(tmp_path / "notes.pdf")

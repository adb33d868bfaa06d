"""Folders of clips, captions, conditions and references."""

from __future__ import annotations

import numpy as np
import pytest

from pack.training.dataset_folder import read_folder

GREY = np.full((16, 16, 3), 90, np.uint8)


def test_a_folder_of_captioned_clips_is_a_dataset(tmp_path, write_video):
    for name in ("b.mp4", "a.webm", "c.gif"):
        write_video(tmp_path / name, frames=20, fps=10)
        (tmp_path / name).with_suffix(".txt").write_text(f"this is {name}\n")
    dataset = read_folder(tmp_path, 32, 32, 9, 10)
    assert [sample.name for sample in dataset.samples] == ["a", "b", "c"]
    assert dataset[1].caption == "this is b.mp4"
    assert all(sample.target.frames().shape == (9, 32, 32, 3) for sample in dataset.samples)
    assert dataset.report.splitlines()[0] == "3 clips, 32x32, 9 frames at 10 fps"


def test_resampling_and_trimming_are_reported(tmp_path, write_video):
    write_video(tmp_path / "clip.mp4", frames=90, fps=30)
    (tmp_path / "clip.txt").write_text("grey")
    report = read_folder(tmp_path, 32, 32, 33, 16).report
    assert "clip.mp4: 30 → 16 fps, 90 → 48 frames, first 33 of 48 frames kept" in report
    assert "→" not in read_folder(tmp_path, 32, 32, 90, 30).report


def test_a_folder_of_pictures_is_a_clip(tmp_path, write_picture):
    for i in range(5):
        write_picture(tmp_path / "walk" / f"{i}.png", np.full((16, 16, 3), 10 * i, np.uint8))
    (tmp_path / "walk.txt").write_text("a walk")
    dataset = read_folder(tmp_path, 16, 16, 4, 8)
    levels = dataset[0].target.frames().mean((1, 2, 3)) * 255
    assert levels.round().tolist() == [0, 10, 20, 30]
    assert "5 pictures taken as 8 fps" in dataset.report


def test_conditions_and_reference_are_found_beside_the_clip(tmp_path, write_video, write_picture):
    write_video(tmp_path / "a.mp4", frames=10)
    (tmp_path / "a.txt").write_text("target")
    write_picture(tmp_path / "a.condition.png", GREY)
    write_video(tmp_path / "a.condition_2.mov", frames=20)
    write_picture(tmp_path / "a.condition_3" / "0.png", GREY)
    write_video(tmp_path / "a.reference.mkv", frames=12)
    (tmp_path / "a.reference.txt").write_text("reference")
    (sample,) = read_folder(tmp_path, 16, 16, 9, 10, condition_frames=15).samples
    assert [len(clip.frames()) for clip in sample.conditions] == [1, 15, 1]
    assert sample.reference is not None
    assert len(sample.reference.frames()) == 12
    assert (sample.caption, sample.reference_caption) == ("target", "reference")


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path, write_video, write_picture):
    for name in ("good", "short", "silent", "empty", "gap"):
        write_video(tmp_path / f"{name}.mp4", frames=5 if name == "short" else 10)
    for name in ("good", "short", "broken", "gap", "twice"):
        (tmp_path / f"{name}.txt").write_text(name)
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "broken.mp4").write_bytes(b"nonsense")
    write_picture(tmp_path / "gap.condition_2.png", GREY)
    write_picture(tmp_path / "orphan.condition.png", GREY)
    write_video(tmp_path / "twice.mp4")
    write_video(tmp_path / "twice.mov")
    (tmp_path / "old.avi").write_bytes(b"")
    dataset = read_folder(tmp_path, 16, 16, 9, 10)
    assert [sample.name for sample in dataset.samples] == ["good"]
    for line in (
        "8 left out:",
        "short: short.mp4 is too short: it has 5 frames at 10 fps, 9 are needed",
        "silent: no caption; write one into silent.txt",
        "empty: the caption empty.txt is empty",
        "broken: broken.mp4 cannot be read",
        "gap: condition_2 without condition",
        "orphan: no target beside its other files",
        "twice: more than one target (twice.mov, twice.mp4)",
        "old.avi: not a clip",
    ):
        assert line in dataset.report


def test_a_folder_with_nothing_usable_is_refused_with_the_reasons(tmp_path, write_video):
    with pytest.raises(ValueError, match=r"nothing in the folder .* can be used: it holds no \.mp4"):
        read_folder(tmp_path, 16, 16, 9, 10)
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match=r"a\.mp4 is too short"):
        read_folder(tmp_path, 16, 16, 9, 10)
    with pytest.raises(ValueError, match="does not exist"):
        read_folder(tmp_path / "none", 16, 16, 9, 10)


@pytest.mark.parametrize(("width", "frames", "fps"), [(8, 9, 10), (16, 0, 10), (16, 9, 0), (16, 9, float("nan"))])
def test_numbers_out_of_range_are_refused(tmp_path, width, frames, fps):
    with pytest.raises(ValueError, match="asked for"):
        read_folder(tmp_path, width, 16, frames, fps)


def test_a_caption_saved_by_an_editor_with_a_byte_order_mark_reads_clean(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_bytes("\ufeffgrün".encode())
    assert read_folder(tmp_path, 16, 16, 9, 10)[0].caption == "grün"
    (tmp_path / "a.txt").write_bytes(b"gr\xfcn")
    with pytest.raises(ValueError, match="save it as UTF-8"):
        read_folder(tmp_path, 16, 16, 9, 10)

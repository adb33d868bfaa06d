"""Folders of clips, captions, conditions and references."""

from __future__ import annotations

import av
import numpy as np
import pytest

from pack.training.data.buckets import BUCKETS, Bucket
from pack.training.data.folder import read_folder

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


def test_folders_of_core_and_kohya_are_actions_whose_clips_count_once(tmp_path, write_video):
    (tmp_path / "3_jumps").mkdir()
    write_video(tmp_path / "3_jumps" / "a.mp4")
    (tmp_path / "3_jumps" / "a.txt").write_text("a jump")
    dataset = read_folder(tmp_path, 16, 16, 4, 10)
    assert [sample.name for sample in dataset.samples] == ["3_jumps/a"]
    assert "3_jumps/: each clip counts once; core's Load Video-Text would take it 3 times" in dataset.report


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
    (tmp_path / "old.wmv").write_bytes(b"")
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
        "old.wmv: not a clip",
    ):
        assert line in dataset.report


def test_a_folder_with_nothing_usable_is_refused_with_the_reasons(tmp_path, write_video):
    with pytest.raises(ValueError, match=r"nothing in the folder .* can be used: it holds no \.mp4"):
        read_folder(tmp_path, 16, 16, 9, 10)
    write_video(tmp_path / "a.mp4", frames=5)
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ValueError, match=r"a\.mp4 is too short.* buckets to .*; at least one clip NAME\.mp4 that"):
        read_folder(tmp_path, 16, 16, 9, 10)
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(ValueError, match=r"can be used: a\.txt: a caption without a clip; at least"):
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


@pytest.fixture
def shapes(tmp_path, write_video, write_picture):
    """Square, lying and upright clips of 20 frames, and a square one of 7, each with a condition."""
    for name, size, frames in (
        ("lying", (96, 54), 20), ("short", (64, 64), 7), ("square", (64, 64), 20), ("wide", (128, 72), 20),
        ("upright", (54, 96), 20), ("tiny", (64, 64), 2),
    ):  # fmt: skip
        write_video(tmp_path / f"{name}.mp4", frames=frames, size=size)
        (tmp_path / f"{name}.txt").write_text(name)
        write_picture(tmp_path / f"{name}.condition.png", GREY)
    return tmp_path


def forms(dataset) -> dict[str, tuple[int, ...]]:
    """Name of each clip and its frames, height and width once decoded; conditions have the same size."""
    for sample in dataset.samples:
        assert sample.conditions[0].frames().shape[1:] == sample.target.frames().shape[1:]
    return {sample.name: tuple(sample.target.frames().shape[:3]) for sample in dataset.samples}


def test_one_size_is_the_default_and_leaves_short_clips_out(shapes):
    dataset = read_folder(shapes, 64, 64, 12, 10)
    assert forms(dataset) == dict.fromkeys(("lying", "square", "upright", "wide"), (12, 64, 64))
    assert dataset.buckets() == {Bucket(64, 64, 12): 4}
    assert dataset.key() == read_folder(shapes, 64, 64, 12, 10, buckets="one size").key()


def test_by_aspect_gives_each_shape_its_size(shapes):
    dataset = read_folder(shapes, 64, 64, 12, 10, buckets="by aspect")
    assert forms(dataset) == {
        "lying": (12, 48, 80), "wide": (12, 48, 80), "square": (12, 64, 64), "upright": (12, 80, 48),
    }  # fmt: skip
    assert next(iter(dataset.buckets().items())) == (Bucket(80, 48, 12), 2)
    lines = dataset.report.splitlines()
    assert lines[:2] == ["4 clips in 3 buckets near 64x64, up to 12 frames at 10 fps", "80x48, 12 frames: 2 clips"]
    assert "bucket 48x80, 12 frames" in next(line for line in lines if line.startswith("upright.mp4"))
    assert "short: short.mp4 is too short: it has 7 frames at 10 fps, 12 are needed" in dataset.report


def test_by_aspect_and_length_also_keeps_what_short_clips_have(shapes):
    dataset = read_folder(shapes, 64, 64, 12, 10, buckets="by aspect and length")
    assert forms(dataset)["short"] == (4, 64, 64)
    assert dataset.buckets()[Bucket(64, 64, 4)] == 1
    assert "short.mp4: first 4 of 7 frames kept" in dataset.report
    assert "tiny: tiny.mp4 is too short: it has 2 frames at 10 fps, at least 4 are needed" in dataset.report


def test_the_multiple_holds_for_every_bucket(shapes):
    dataset = read_folder(shapes, 64, 64, 12, 10, buckets="by aspect", multiple=32)
    assert {(b.width, b.height) for b in dataset.buckets()} == {(64, 64), (64, 32), (32, 64)}


def test_the_choice_of_buckets_changes_the_identity_of_the_set(shapes):
    keys = {read_folder(shapes, 64, 64, 12, 10, buckets=choice).key() for choice in BUCKETS}
    assert len(keys) == len(BUCKETS)


def test_an_unknown_choice_of_buckets_is_refused(shapes):
    with pytest.raises(ValueError, match="buckets is 'all'"):
        read_folder(shapes, 64, 64, 12, 10, buckets="all")


def test_damage_inside_a_clip_or_a_condition_is_found_before_training(tmp_path, write_video):
    for name in ("good", "dirty", "pair"):
        write_video(tmp_path / f"{name}.mov", frames=20, size=(256, 256))
        (tmp_path / f"{name}.txt").write_text(name)
    data = bytearray((tmp_path / "dirty.mov").read_bytes())
    start, length = data.index(b"mdat") + len(data) // 4, len(data) // 4
    data[start : start + length] = bytes(length)
    (tmp_path / "dirty.mov").write_bytes(bytes(data))
    (tmp_path / "pair.condition.mov").write_bytes(bytes(data))
    dataset = read_folder(tmp_path, 32, 32, 20, 10)
    assert [sample.name for sample in dataset.samples] == ["good"]
    assert "dirty: dirty.mov" in dataset.report
    assert "pair: pair.condition.mov" in dataset.report


def test_empty_files_and_videos_of_no_length_are_left_out_by_name(tmp_path, write_video):
    for name in ("empty", "good", "nothing", "still"):
        (tmp_path / f"{name}.txt").write_text(name)
    write_video(tmp_path / "good.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with av.open(str(tmp_path / "nothing.mkv"), "w") as container:  # a header and no frames
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    write_video(tmp_path / "still.mp4", frames=1)
    report = read_folder(tmp_path, 16, 16, 9, 10).report
    assert "empty: empty.mp4 cannot be read (the file is empty)" in report
    assert "nothing: nothing.mkv cannot be read" in report
    assert "still: still.mp4 is too short: it has 1 frames" in report


def test_endings_in_capitals_are_read(tmp_path, write_video):
    write_video(tmp_path / "a.mp4").rename(tmp_path / "A.MP4")
    (tmp_path / "A.TXT").write_text("a ball")
    dataset = read_folder(tmp_path, 16, 16, 9, 10)
    assert dataset[0].caption == "a ball"
    assert "A.MP4: first 9 of 20 frames kept" in dataset.report


def test_progress_counts_the_clips(shapes):
    seen = []
    read_folder(shapes, 64, 64, 12, 10, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_sub_folders_are_actions(tmp_path, write_video):
    for name in ("walk/a", "walk/b", "jump/a", "lone"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / f"{name}.mp4", frames=12)
        (tmp_path / f"{name}.txt").write_text(name)
    dataset = read_folder(tmp_path, 32, 32, 9, 10)
    assert [(sample.name, sample.action, sample.caption) for sample in dataset.samples] == [
        ("jump/a", "jump", "jump/a"),
        ("lone", "", "lone"),
        ("walk/a", "walk", "walk/a"),
        ("walk/b", "walk", "walk/b"),
    ]
    assert "a.mp4" in dataset.report

"""Data sets that others made, with a list of their clips."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pack.training.data.folder import read_folder


@pytest.fixture
def clips(tmp_path, write_video, write_picture):
    (tmp_path / "videos").mkdir()
    for name in "ab":
        write_video(tmp_path / "videos" / f"{name}.mp4")
    write_picture(tmp_path / "edges" / "a.png", np.full((16, 16, 3), 90, np.uint8))
    return tmp_path


def captions(folder):
    return {sample.name: sample.caption for sample in read_folder(folder, 16, 16, 4, 10).samples}


@pytest.mark.parametrize(("clip", "text"), [("file_name", "text"), ("video", "caption"), ("media_path", "prompt")])
def test_rows_of_json_name_clip_caption_and_condition(clips, clip, text):
    rows = [{clip: "videos/a.mp4", text: "one", "control_path": "edges/a.png"}, {clip: "videos/b.mp4", text: "two"}]
    (clips / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert captions(clips) == {"videos/a": "one", "videos/b": "two"}
    assert [len(sample.conditions) for sample in read_folder(clips, 16, 16, 4, 10).samples] == [1, 0]


def test_a_table_with_commas_is_read(clips):
    (clips / "metadata.csv").write_text('file_name,text\nvideos/a.mp4,"one, and more"\nvideos/b.mp4,two\n')
    assert captions(clips) == {"videos/a": "one, and more", "videos/b": "two"}


@pytest.mark.parametrize("name", ["prompt.txt", "prompts.txt"])
def test_lines_of_prompts_and_videos_belong_together(clips, name):
    (clips / name).write_text("one\ntwo\n")
    (clips / "videos.txt").write_text("videos/a.mp4\nvideos/b.mp4\n")
    assert captions(clips) == {"videos/a": "one", "videos/b": "two"}
    (clips / name).write_text("one\n")
    with pytest.raises(ValueError, match=rf"{name} has 1 lines and videos\.txt 2; they must be as many"):
        captions(clips)


def test_what_does_not_fit_is_told_row_by_row(clips):
    rows = [
        {"file_name": "videos/a.mp4", "text": "one"}, {"file_name": "gone.mp4", "text": "x"},
        {"file_name": "../x.mp4", "text": "x"}, {"file_name": "videos/b.mp4"}, {"text": "x"},
    ]  # fmt: skip
    (clips / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    report = read_folder(clips, 16, 16, 4, 10).report
    for line in (
        "4 left out:",
        "metadata.jsonl row 2: gone.mp4 is not there; copy it into the folder or remove the row",
        "metadata.jsonl row 3: ../x.mp4 lies outside the folder",
        "metadata.jsonl row 4: no caption in it; use one of the columns text",
        "metadata.jsonl row 5: no clip in it; use one of the columns file_name",
    ):
        assert line in report


def test_a_list_that_is_no_json_is_refused(clips):
    (clips / "metadata.jsonl").write_text("{not json")
    with pytest.raises(ValueError, match=r"line 1 of metadata\.jsonl is no JSON object; correct it"):
        captions(clips)


def test_a_link_of_a_list_that_leads_out_is_refused(clips, tmp_path_factory, write_video):
    outside = write_video(tmp_path_factory.mktemp("outside") / "c.mp4")
    (clips / "videos" / "c.mp4").symlink_to(outside)
    (clips / "metadata.csv").write_text("file_name,text\nvideos/a.mp4,one\nvideos/c.mp4,three\n")
    assert captions(clips) == {"videos/a": "one"}
    assert "c.mp4: a link that leads out of the input folder" in read_folder(clips, 16, 16, 4, 10).report


def report(folder):
    return read_folder(folder, 16, 16, 4, 10).report


def test_clips_and_captions_that_a_list_does_not_name_are_listed(clips, write_video):
    write_video(clips / "c.mp4")
    (clips / "c.txt").write_text("three")
    (clips / "metadata.csv").write_text("file_name,text\nvideos/a.mp4,one\n")
    for name in ("c.mp4", "c.txt", "edges"):
        assert f"{name}: not in metadata.csv, which alone decides" in report(clips)


def test_two_files_of_another_machine_are_never_one_file_here(clips):
    (clips / "metadata.csv").write_text("file_name,text\n/data/train/a.mp4,one\n/data/val/a.mp4,two\n")
    with pytest.raises(ValueError, match=r"a\.mp4 is not in the folder"):
        report(clips)
    (clips / "videos" / "a.mp4").rename(clips / "a.mp4")
    said = report(clips)
    assert captions(clips) == {"a": "one"}
    assert "/data/val/a.mp4 and /data/train/a.mp4 would both be a.mp4; name files by their place" in said
    assert "paths of another machine are read by their ends, as /data/train/a.mp4 by a.mp4" in said


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ('videos/a.mp4,"one\nvideos/b.mp4,two\n', r"line 2 of metadata\.csv is no row of a table .*; close its quotes"),
        (f'videos/a.mp4,"{"x" * 140_000}"\n', r"line 2 of metadata\.csv is no row of a table \(field larger"),
        ("videos/a.mp4,one, and more\n", "more columns than the first line names; put a caption with commas between"),
    ],
)
def test_a_damaged_table_costs_no_row_in_silence(clips, rows, sentence):
    (clips / "metadata.csv").write_text(f"file_name,text\n{rows}")
    with pytest.raises(ValueError, match=sentence):
        report(clips)


def test_other_ends_of_lines_belong_to_captions(clips):
    row = {"file_name": "videos/a.mp4", "text": "one\u2028more\u0085still"}
    (clips / "metadata.jsonl").write_text(json.dumps(row, ensure_ascii=False), encoding="utf-8")
    assert captions(clips) == {"videos/a": "one\u2028more\u0085still"}


def test_an_empty_line_keeps_its_place(clips):
    (clips / "prompt.txt").write_text("one\n\nthree\n\n")
    (clips / "videos.txt").write_text("videos/a.mp4\nvideos/b.mp4\n\n")
    with pytest.raises(ValueError, match=r"prompt\.txt has 3 lines and videos\.txt 2"):
        report(clips)
    (clips / "videos.txt").write_text("videos/a.mp4\nvideos/b.mp4\nvideos/b.mp4\n")
    assert captions(clips) == {"videos/a": "one", "videos/b": "three"}
    assert "videos.txt row 2: no caption in it" in report(clips)


def test_a_list_behind_a_link_that_leads_out_is_reported(clips, tmp_path_factory, write_video):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "list.csv"
    elsewhere.write_text("file_name,text\nvideos/a.mp4,one\n")
    (clips / "metadata.csv").symlink_to(elsewhere)
    write_video(clips / "c.mp4")
    (clips / "c.txt").write_text("three")
    assert "metadata.csv: a link that leads out of the input folder" in report(clips)
    assert captions(clips)["c"] == "three"

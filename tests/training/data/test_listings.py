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

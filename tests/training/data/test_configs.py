"""Settings of other trainers that name clips: Tune-A-Video's YAML and musubi-tuner's TOML."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pack.training.data.folder import read_folder

YAML = """\
pretrained_model_path: "./checkpoints/stable-diffusion-v1-4"
train_data:
  video_path: "data/man.mp4"
  prompt: "a man is skiing"
  n_sample_frames: {frames}
  width: 512
  height: 512
  sample_start_idx: {start}
  sample_frame_rate: {stride}
validation_data:
  prompts:
    - "mickey mouse is skiing"
    - "spider man is skiing"
"""
TOML = """\
[general]
resolution = [960, 544]
caption_extension = ".txt"
[[datasets]]
video_directory = "/home/somebody/set/videos"
control_directory = 'C:\\data\\set\\depth'
target_frames = [1, 25]
"""
needs_toml = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python reads TOML from 3.11 on")


def levels(clip):
    """The frames' own numbers: frame i is grey with level 10 i."""
    return [round(float(frame.mean()) * 25.5) for frame in clip.frames()]


@pytest.fixture
def tuned(tmp_path, write_video):
    (tmp_path / "configs").mkdir()
    (tmp_path / "data").mkdir()
    write_video(tmp_path / "data" / "man.mp4", frames=20, fps=10)

    def write(frames=6, start=2, stride=3, text=YAML):
        (tmp_path / "configs" / "skiing.yaml").write_text(text.format(frames=frames, start=start, stride=stride))
        return tmp_path

    return write


@pytest.mark.parametrize("rate", [10, 25])
def test_a_yaml_of_tune_a_video_says_which_frames_are_taken(tuned, rate):
    dataset = read_folder(tuned(), 48, 32, 36, rate)
    (sample,) = dataset.samples
    assert (sample.name, sample.caption) == ("skiing", "a man is skiing")
    assert levels(sample.target) == [2, 5, 8, 11, 14, 17]
    assert "frames from 3 on, one of 3" in dataset.report
    assert "skiing.yaml has prompts to sample with: mickey mouse is skiing; spider man is skiing" in dataset.report


def test_fewer_frames_are_taken_where_fewer_are_wanted_or_there(tuned):
    assert levels(read_folder(tuned(), 48, 32, 4, 10)[0].target) == [2, 5, 8, 11]
    assert levels(read_folder(tuned(frames=24, start=0, stride=5), 48, 32, 36, 10)[0].target) == [0, 5, 10, 15]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"start": 20}, r"man\.mp4 has 20 frames and is to start behind them, at frame 21"),
        ({"stride": 0}, "sample_frame_rate is '0'; it must be a whole number from 1 to 1000000"),
        ({"start": 10**12}, "sample_start_idx is '1000000000000'; it must be a whole number from 0"),
        ({"frames": "many"}, "n_sample_frames is 'many'; it must be a whole number"),
        ({"text": YAML.replace("data/man.mp4", "../man.mp4")}, r"\.\./man\.mp4 lies outside the folder"),
        ({"text": YAML.replace("data/man.mp4", "data/gone.mp4")}, r"data/gone\.mp4 is not there"),
        ({"text": YAML.replace("a man is skiing", "")}, "no prompt in its train_data"),
        ({"text": "train_data: [video_path\n"}, r"skiing\.yaml is no YAML \(line 2\); correct it"),
        ({"text": "a: &a [x]\nb: [*a, *a]\ntrain_data:\n  video_path: data/man.mp4\n"}, "repeats values by aliases"),
        ({"text": "video_path: " + "[" * 5000}, r"skiing\.yaml is nested 21 deep, settings are at most 20"),
    ],
)
def test_what_does_not_fit_is_told(tuned, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_folder(tuned(**values), 48, 32, 6, 10)


def test_no_object_is_made_of_a_yaml(tuned):
    folder = tuned(text=YAML.replace("{stride}", "!!python/object/apply:os.getpid []"))
    with pytest.raises(ValueError, match=r"skiing\.yaml is no YAML"):
        read_folder(folder, 48, 32, 6, 10)


def test_other_yaml_beside_clips_is_left_alone(tmp_path, write_video):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "notes.yaml").write_text("camera: [old")
    assert len(read_folder(tmp_path, 48, 32, 6, 10)) == 1


@pytest.fixture
def musubi(tmp_path, write_video):
    for place in ("videos", "depth"):
        (tmp_path / place).mkdir()
        for name in "ab":
            write_video(tmp_path / place / f"{name}.mp4", frames=20 if place == "videos" else 8)
    for name in "ab":
        (tmp_path / "videos" / f"{name}.txt").write_text(f"this is {name}")
    (tmp_path / "dataset.toml").write_text(TOML)
    return tmp_path


@needs_toml
def test_a_toml_of_musubi_tuner_names_clips_and_controls(musubi):
    dataset = read_folder(musubi, 48, 32, 9, 10)
    assert [(s.name, s.caption, len(s.conditions)) for s in dataset.samples] == [
        ("videos/a", "this is a", 1), ("videos/b", "this is b", 1),
    ]  # fmt: skip
    assert len(dataset[0].conditions[0].frames()) == 8
    assert "resolution, target_frames of dataset.toml are not taken over: the node's inputs decide" in dataset.report


@needs_toml
def test_a_control_may_be_a_folder_of_pictures_and_must_be_there(musubi, write_picture):
    (musubi / "depth" / "a.mp4").unlink()
    for i in range(3):
        write_picture(musubi / "depth" / "a" / f"{i}.png", np.full((16, 16, 3), 90, np.uint8))
    (musubi / "depth" / "b.mp4").unlink()
    dataset = read_folder(musubi, 48, 32, 9, 10)
    assert [len(s.conditions[0].frames()) for s in dataset.samples] == [3]
    assert "videos/b.mp4: 0 files called b in depth; one control is needed" in dataset.report


@needs_toml
def test_rows_of_musubi_tuner_may_have_several_controls(musubi):
    (musubi / "dataset.toml").write_text(
        '[[datasets]]\nvideo_jsonl_file = "/x/all.jsonl"\nframe_extraction = "chunk"\n'
    )
    (musubi / "all.jsonl").write_text(
        '{"video_path": "/x/videos/a.mp4", "caption": "one", "control_path_1": "depth/b.mp4", '
        '"control_path_0": "depth/a.mp4"}\n{"video_path": "/x/videos/a.mp4", "caption": "again"}\n'
    )
    dataset = read_folder(musubi, 48, 32, 9, 10)
    assert [s.name for s in dataset.samples] == ["videos/a", "videos/a (2)"]
    assert [clip.path.name for clip in dataset[0].conditions] == ["a.mp4", "b.mp4"]  # type: ignore[attr-defined]
    assert "frame_extraction 'chunk' is not repeated: each clip is taken from its first frame on" in dataset.report


@needs_toml
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[datasets]\n", r"dataset\.toml is no TOML"),
        ("datasets = 3\n", r"dataset\.toml holds no \[\[datasets\]\]"),
        ('[[datasets]]\nimage_directory = "videos"\n', "only data sets of videos can be trained on"),
        ('[[datasets]]\nvideo_directory = "/etc/none"\n', "/etc/none is not in the folder; copy it there"),
        ('[[datasets]]\nvideo_directory = "../../etc"\n', r"\.\./\.\./etc lies outside the folder"),
    ],
)
def test_a_toml_that_does_not_fit_is_told(musubi, text, sentence):
    (musubi / "dataset.toml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_folder(musubi, 48, 32, 9, 10)


@needs_toml
def test_a_link_in_a_toml_that_leads_out_is_not_read(musubi, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.txt").write_text("secret")
    (musubi / "videos" / "a.txt").unlink()
    (musubi / "videos" / "a.txt").symlink_to(outside / "a.txt")
    (musubi / "elsewhere").symlink_to(outside, target_is_directory=True)
    assert "secret" not in read_folder(musubi, 48, 32, 9, 10).report
    (musubi / "dataset.toml").write_text('[[datasets]]\nvideo_directory = "elsewhere"\n')
    with pytest.raises(ValueError, match="video_directory is a link that leads out of the input folder"):
        read_folder(musubi, 48, 32, 9, 10)


def test_a_yaml_of_tune_a_video_beside_captioned_clips_does_not_decide(tuned, write_video):
    folder = tuned()
    write_video(folder / "a.mp4")
    (folder / "a.txt").write_text("a")
    assert [sample.name for sample in read_folder(folder, 48, 32, 6, 10).samples] == ["a"]


def test_a_yaml_in_another_encoding_is_left_alone(tmp_path, write_video):
    (tmp_path / "walk").mkdir()
    write_video(tmp_path / "walk" / "a.mp4")
    (tmp_path / "walk" / "a.txt").write_text("a")
    (tmp_path / "notes.yml").write_bytes("Größe: 3".encode("latin-1"))
    assert len(read_folder(tmp_path, 48, 32, 6, 10)) == 1


@needs_toml
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('video_directory = "videos/a.mp4"', r"video_directory is videos/a\.mp4, which is no folder; correct it"),
        (
            'video_directory = "videos"\ncontrol_directory = "depth/a.mp4"',
            "control_directory is .*, which is no folder",
        ),
        ('video_jsonl_file = "videos"', "video_jsonl_file is videos, which is a folder; correct it"),
    ],
)
def test_a_toml_that_names_the_wrong_kind_of_place_is_refused(musubi, line, sentence):
    (musubi / "dataset.toml").write_text(f"[[datasets]]\n{line}\n")
    with pytest.raises(ValueError, match=sentence):
        read_folder(musubi, 48, 32, 6, 10)


def test_yaml_of_two_machines_never_means_one_file(tuned):
    folder = tuned(text=YAML.replace("data/man.mp4", "/one/data/man.mp4"))
    other = YAML.replace("data/man.mp4", "/two/data/man.mp4").format(frames=6, start=2, stride=3)
    (folder / "configs" / "zebra.yaml").write_text(other)
    dataset = read_folder(folder, 48, 32, 6, 10)
    assert [sample.name for sample in dataset.samples] == ["skiing"]
    assert "zebra.yaml: /two/data/man.mp4 and /one/data/man.mp4 would both be data/man.mp4" in dataset.report

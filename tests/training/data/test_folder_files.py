"""Which file of a folder belongs to which clip."""

from __future__ import annotations

import pytest

from pack.training.data.folder_files import REFERENCE, TARGET, list_folder, read_caption


def make(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"x")
    return list_folder(folder)


def test_every_file_ends_in_one_place(tmp_path):
    (tmp_path / "empty").mkdir()
    names = (
        "a.mp4", "a.txt", "a.condition.png", "a.condition_2.mov", "a.reference.mkv", "a.reference.txt",
        "lone.png", "old.wmv", "dog.txt", "a.condition.txt", ".DS_Store", "._a.mp4", "__MACOSX",
    )  # fmt: skip
    found = make(tmp_path, *names)
    assert list(found.entries) == ["a"]
    entry = found.entries["a"]
    assert {part: paths[0].name for part, paths in entry.clips.items()} == {
        TARGET: "a.mp4", "condition": "a.condition.png", "condition_2": "a.condition_2.mov",
        REFERENCE: "a.reference.mkv",
    }  # fmt: skip
    assert {part: paths[0].name for part, paths in entry.captions.items()} == {
        TARGET: "a.txt",
        REFERENCE: "a.reference.txt",
    }
    assert found.refused.keys() == {"lone.png", "old.wmv", "empty"}
    assert found.ignored == {
        "dog.txt": "a caption without a clip",
        "a.condition.txt": "a condition needs no caption",
        ".DS_Store": "hidden",
        "._a.mp4": "hidden",
        "__MACOSX": "hidden",
    }


def test_capitals_in_endings_and_parts_do_not_matter(tmp_path):
    entry = make(tmp_path, "Cat.MP4", "Cat.TXT", "Cat.Condition.PNG", "Cat.CONDITION_2.Mov").entries["Cat"]
    assert entry.clip(TARGET).name == "Cat.MP4"
    assert entry.captions[TARGET][0].name == "Cat.TXT"
    assert entry.condition_names() == ["condition", "condition_2"]


def test_a_condition_whose_name_differs_in_capitals_belongs_to_the_clip(tmp_path):
    found = make(tmp_path, "Clip01.mp4", "clip01.txt", "clip01.condition.png", "lone.condition.png")
    assert list(found.entries) == ["Clip01", "lone"]
    assert {part: paths[0].name for part, paths in found.entries["Clip01"].clips.items()} == {
        TARGET: "Clip01.mp4",
        "condition": "clip01.condition.png",
    }
    assert found.entries["Clip01"].captions[TARGET][0].name == "clip01.txt"


def test_a_caption_whose_name_differs_in_capitals_belongs_to_the_clip(tmp_path):
    found = make(tmp_path, "Cat.mp4", "cat.txt", "dog.mp4", "dog.txt", "Dog.txt")
    assert found.entries["Cat"].captions[TARGET][0].name == "cat.txt"
    assert found.entries["dog"].captions[TARGET][0].name == "dog.txt"
    assert found.ignored == {"Dog.txt": "a caption without a clip"}


def test_two_captions_of_one_clip_are_refused(tmp_path):
    entry = make(tmp_path, "a.mp4", "a.txt", "a.TXT").entries["a"]
    with pytest.raises(ValueError, match=r"more than one caption \(a\.TXT, a\.txt\); keep one"):
        entry.caption(TARGET, "a.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("grün".encode("latin-1"), "in another encoding than UTF-8; save it as UTF-8"),
        ("grün".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b" \n", "is empty; say what the clip shows"),
        (b"x" * 100_001, "has over 100000 bytes; say in a few words what it shows"),
    ],
)
def test_a_caption_that_cannot_be_used_says_why(tmp_path, content, said):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"the caption a\.txt .*{said}"):
        read_caption(tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"the caption b\.txt cannot be read \(No such file"):
        read_caption(tmp_path / "b.txt")


def test_a_folder_of_clips_is_an_action_and_its_clips_have_its_name(tmp_path):
    names = (
        "b.mp4",
        "b.txt",
        "b.reference.mov",
        "b.reference.txt",
        "note.pdf",
        ".hidden",
        "dog.txt",
        "b.condition.txt",
    )
    for name in names:
        (tmp_path / "walk").mkdir(exist_ok=True)
        (tmp_path / "walk" / name).write_bytes(b"x")
    (tmp_path / "walk" / "frames").mkdir()
    (tmp_path / "walk" / "frames" / "1.png").write_bytes(b"x")
    for name in ("1.png", "e.mp4"):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(b"x")
    (tmp_path / "jump" / "deeper").mkdir(parents=True)
    (tmp_path / "jump" / "deeper" / "c.mp4").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "d.mp4").write_bytes(b"x")
    found = make(tmp_path, "a.mp4")
    assert list(found.entries) == ["a", "pictures", "walk/b", "walk/frames"]
    entry = found.entries["walk/b"]
    assert {part: paths[0].name for part, paths in entry.clips.items()} == {
        TARGET: "b.mp4",
        REFERENCE: "b.reference.mov",
    }
    assert entry.captions.keys() == {TARGET, REFERENCE}
    assert found.refused.keys() == {"walk/note.pdf", "jump"}
    assert found.ignored.keys() == {"walk/.hidden", "walk/b.condition.txt", "walk/dog.txt", ".git"}

"""What a clip is, is what its file holds: place, name and age do not matter, rule and decoder do."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest
import torch

from pack.training.data import clips, content
from pack.training.data.clips import FileClip, TensorClip, content_of
from pack.training.data.content import clip_digest
from pack.training.data.encoding import EncodedDataset, former_clips
from pack.training.data.folder import read_folder
from pack.training.data.media import options
from pack.training.runs.changes import changed_identity
from pack.training.storage import known_files
from pack.training.storage.known_files import FILE, files_known


class Recipe:
    """Encodes targets as they are."""

    key = "plain"

    def clips(self, sample):
        return {"x0": sample.target.frames()}

    def assemble(self, latents):
        return latents

    def captions(self, sample):
        return {"caption": sample.caption}


def encoded(folder, cache, calls):
    def encode(pixels):
        calls.append(1)
        return pixels.movedim(-1, 0)

    dataset = read_folder(folder, 16, 16, 4, 10)
    return EncodedDataset(dataset, encode, lambda _text: {"cross_attn": torch.zeros(1, 1)}, "vae", cache, lambda: None)


@pytest.fixture
def folder(tmp_path, write_video):
    (tmp_path / "clips").mkdir()
    for i in range(2):
        write_video(tmp_path / "clips" / f"c{i}.mp4", frames=8 + i)
        (tmp_path / "clips" / f"c{i}.txt").write_text("a thing")
    return tmp_path / "clips"


def test_a_copied_moved_or_touched_folder_is_not_encoded_again(tmp_path, folder):
    calls = []
    first = encoded(folder, tmp_path / "cache", calls)
    first.encode(Recipe())
    assert len(calls) == 2
    shutil.copytree(folder, tmp_path / "copy")
    os.utime(folder / "c0.mp4", ns=(1, 1))
    for place in (tmp_path / "copy", folder):
        again = encoded(place, tmp_path / "cache", calls)
        again.encode(Recipe())
        assert len(calls) == 2
        assert again.key(Recipe()) == first.key(Recipe())


def test_a_changed_file_is_encoded_again_alone(tmp_path, folder, write_video):
    calls = []
    key = encoded(folder, tmp_path / "cache", calls)
    before = key.key(Recipe())
    key.encode(Recipe())
    write_video(folder / "c1.mp4", frames=12)
    after = encoded(folder, tmp_path / "cache", calls)
    after.encode(Recipe())
    assert len(calls) == 3
    assert after.key(Recipe()) != before


def test_another_decoder_is_another_cache_entry_and_the_same_data(folder, monkeypatch):
    clip = FileClip(folder / "c0.mp4", 16, 16, 4, 10)
    key, told = clip.key(), clip.content()
    assert "PyAV" in key
    assert "rule" in told
    monkeypatch.setattr(clips, "decoder_name", lambda _path: "PyAV 99")
    assert clip.key() != key
    assert clip.content() == told
    monkeypatch.setattr(options, "RULE", options.RULE + 1)
    assert clip.content() != told


def test_choices_that_change_pixels_change_the_content(folder):
    plain = FileClip(folder / "c0.mp4", 16, 16, 4, 10)
    white = FileClip(folder / "c0.mp4", 16, 16, 4, 10, options=options.ReadOptions("white"))
    assert plain.content() != white.content()


def test_a_file_is_read_once_a_session_as_long_as_it_stays(tmp_path, monkeypatch):
    path, read = tmp_path / "a", []
    path.write_bytes(b"one")
    hashed = content.hashlib.sha256
    monkeypatch.setattr(content.hashlib, "sha256", lambda *data: read.append(1) or hashed(*data))
    first = clip_digest(path)
    assert clip_digest(path) == first
    assert len(read) == 1
    path.write_bytes(b"other")
    assert clip_digest(path) != first


def test_a_folder_of_pictures_is_told_by_its_pictures_in_order(tmp_path, write_picture):
    for folder, names in (("a", "123"), ("b", "456"), ("c", "321")):
        for level, name in enumerate(names):
            write_picture(tmp_path / folder / f"{name}.png", np.full((8, 8, 3), 40 * level, np.uint8))
    assert clip_digest(tmp_path / "a") == clip_digest(tmp_path / "b")
    assert clip_digest(tmp_path / "a") != clip_digest(tmp_path / "c")


def test_frames_in_memory_are_called_what_they_were_called():
    clip = TensorClip(torch.zeros(2, 4, 4, 3))
    assert content_of(clip) == clip.key()
    assert clip.key().startswith("tensor [2, 4, 4, 3] ")


def test_old_records_of_the_same_files_are_known_and_told(tmp_path, folder):
    found = encoded(folder, tmp_path / "cache", [])
    former = former_clips(Recipe(), found)
    now = {"training clips": found.key(Recipe()), "task": "x"}
    told = "training clips (the same files, which this version reads by another rule)"
    assert changed_identity({**now, **former}, now, former) == [told]
    assert changed_identity({**now, "training clips": "f" * 64}, now, former) == ["training clips"]


def test_a_file_is_read_once_whatever_the_session(tmp_path, monkeypatch):
    """Hashing thousands of clips takes minutes, which no start of a run on an unchanged set has to wait for."""
    file, reads = tmp_path / "clip.mp4", []
    read = content._read
    monkeypatch.setattr(content, "_read", lambda path: (reads.append(path.name), read(path))[1])

    def digest() -> str:
        content._digest.cache_clear()  # as in a new session
        with files_known(tmp_path / "cache"):
            return clip_digest(file)

    file.write_bytes(b"one")
    with monkeypatch.context() as patch:
        patch.setattr(known_files, "SETTLED", 1 << 62)  # it was just written, however long ago that is by now
        first = digest()
        assert digest() == first
    assert len(reads) == 2  # it may be written again within the clock's grain
    os.utime(file, (1000.0, 1000.0))
    assert {digest() for _ in range(3)} == {first}
    assert len(reads) == 3
    known = file.stat().st_ctime_ns
    file.write_bytes(b"two")
    if sys.platform != "win32":  # which keeps no time of any change
        os.utime(file, (1000.0, 1000.0))  # the size and the time of the one before, as a careful copy gives it
        while file.stat().st_ctime_ns == known:  # which a coarse clock may do, too
            os.utime(file, (1000.0, 1000.0))
        assert digest() != first
    os.utime(file, (2000.0, 2000.0))
    changed = digest()
    assert digest() == changed
    content._digest.cache_clear()
    assert clip_digest(file) == changed  # without a folder
    assert "clip" not in (tmp_path / "cache" / FILE).read_text()  # nobody's paths

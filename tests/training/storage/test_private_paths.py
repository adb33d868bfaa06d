"""Paths of somebody's machine are cut to their last name, wherever they stand."""

from __future__ import annotations

import json

import pytest

from pack.training.storage.private_paths import without_paths


@pytest.mark.parametrize(("text", "left"), [
    ("/home/jane/clips/a b.mp4", "a b.mp4"),
    ("/home/Jane Doe/clips/", "clips"),
    (r"C:\Users\Jane Doe\clips\a.mp4", "a.mp4"),
    ("D:/stuff/wan.safetensors", "wan.safetensors"),
    (r"\\server\share\jane\a.mp4", "a.mp4"),
    ("~/jane/a.mp4", "a.mp4"),
    ("~jane/a.mp4", "a.mp4"),
    ("../../home/jane/a.mp4", "a.mp4"),
    ("from /home/jane/a.mp4, resized", "from a.mp4, resized"),
    ("folder:/home/jane/a.mp4", "folder:a.mp4"),
    ("file:///home/jane/a.mp4", "a.mp4"),
    ("smb://nas/jane/a.mp4", "a.mp4"),
    (r"\Users\jane\a.mp4", "a.mp4"),
    ("/home/jane", ""),
    ("C:\\Users\\jane\\", ""),
    ("('/home/jane/a.mp4')", "('a.mp4')"),
    (r"--lora=C:\Users\jane\a.safetensors", "--lora=a.safetensors"),
    (json.dumps({"x": "C:\\Users\\jane\\a.mp4"}), '{"x": "a.mp4"}'),
])  # fmt: skip
def test_only_the_last_name_stays(text, left):
    assert without_paths(text) == left
    assert without_paths({text: [text, (text,)]}) == {left: [left, [left]]}


@pytest.mark.parametrize("text", [
    "saved in /home/jane doe/clips/a.mp4", "/home/jane/a.mp4 and /mnt/jane/b.mp4", "x\n/home/jane/a.mp4\ny",
    r"a C:\Users\jane doe\b c\d.mp4", "clips: ~/jane/x y/z", r"copy \\nas\jane\x to E:\jane\y",
])  # fmt: skip
def test_nothing_of_a_longer_path_is_left(text):
    left = without_paths(text)
    assert "jane" not in left
    assert "doe" not in left


@pytest.mark.parametrize("value", [
    "wan/wan2.1_t2v_1.3B.safetensors", "a cat and/or a dog", "1/2", "[CONDITION] a cat [VIDEO] it runs",
    "A cat. /imagine a dog and/or cat, 24/7",
    "https://arxiv.org/abs/2506.00996", "0.25, 0.5, 0.75", "attention", "regex:blocks\\.[0-3]\\.", "", "16:9", "a / b",
    12, 0.5, True, None,
])  # fmt: skip
def test_what_is_no_path_stays(value):
    assert without_paths(value) == value

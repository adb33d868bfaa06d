"""Links in a folder of clips lead to nowhere outside of the host's input folder."""

from __future__ import annotations

import os
import sys

import pytest

from pack.training.data.folder_files import list_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
REASON = "a link that leads out of the input folder; copy the file here"


@pytest.fixture
def places(tmp_path):
    inside, outside = tmp_path / "input" / "clips", tmp_path / "private"
    (inside / "walk").mkdir(parents=True)
    outside.mkdir()
    for path in (outside / "secret.mp4", outside / "1.png", tmp_path / "input" / "shared.mp4", inside / "own.mp4"):
        path.write_bytes(b"x")
    return inside, outside


def test_a_file_or_folder_elsewhere_is_refused_with_its_reason(places):
    inside, outside = places
    (inside / "secret.mp4").symlink_to(outside / "secret.mp4")
    (inside / "all").symlink_to(outside)
    (inside / "walk" / "1.png").symlink_to(outside / "1.png")  # one level down
    os.link(inside / "own.mp4", inside / "copy.mp4")
    found = list_folder(inside)
    assert found.refused == dict.fromkeys(["all", "secret.mp4", "walk"], REASON)
    assert set(found.entries) == {"copy", "own"}


def test_a_link_within_the_input_folder_is_followed(places):
    inside, _ = places
    (inside / "shared.mp4").symlink_to(inside.parent / "shared.mp4")
    assert "shared.mp4" in list_folder(inside).refused
    assert "shared" in list_folder(inside, inside.parent).entries


def test_a_loop_of_links_is_refused_and_ends(places):
    inside, _ = places
    (inside / "loop.mp4").symlink_to(inside / "loop.mp4")
    assert list_folder(inside).refused["loop.mp4"] == REASON

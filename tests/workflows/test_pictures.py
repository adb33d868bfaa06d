"""The pictures of the workflows that scripts/screenshots.py writes: one of each, all of them small."""

from __future__ import annotations

import pytest
import workflow_checks as workflows

FOLDER = workflows.ROOT / "docs" / "images" / "workflows"
LARGEST, MEAN = 60_000, 45_000  # bytes


def test_there_is_a_picture_of_every_workflow_and_no_other():
    assert {path.stem for path in FOLDER.iterdir()} == set(workflows.NAMES)


def test_the_page_of_pictures_shows_every_one():
    page = (workflows.ROOT / "docs" / "workflows.md").read_text(encoding="utf-8")
    assert [name for name in workflows.NAMES if f"](images/workflows/{name}.webp)" not in page] == []


@pytest.mark.parametrize("name", workflows.NAMES)
def test_a_picture_is_a_small_webp(name):
    data = (FOLDER / f"{name}.webp").read_bytes()
    assert data[8:12] == b"WEBP"
    assert len(data) <= LARGEST


def test_the_pictures_are_small_together():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MEAN * len(workflows.NAMES)

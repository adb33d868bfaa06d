"""Unpacking ComfyUI's source: nothing but its files, and nothing outside the folder."""

from __future__ import annotations

import tarfile

import pytest
from host_setup.pins import HostError
from host_setup.source import extract_comfyui
from played_index import make_sdist


@pytest.mark.parametrize("name", ["../../../out.py", "a/../../../../out.py", "C:/out.py", "..\\out.py"])
def test_a_path_outside_the_folder_is_refused(tmp_path, name):
    archive = make_sdist(tmp_path / "bad.tar.gz", {f"pkg-1/vendor/ComfyUI/{name}": b"x"})
    with pytest.raises(HostError, match="unsafe path"):
        extract_comfyui(archive, tmp_path / "a" / "b" / "c" / "ComfyUI")
    assert list(tmp_path.rglob("out.py")) == []


def test_links_and_everything_beside_comfyui_are_left_out(tmp_path):
    archive = tmp_path / "links.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        link = tarfile.TarInfo("pkg-1/vendor/ComfyUI/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
        for name in ("pkg-1/vendor/ComfyUI/main.py", "pkg-1/vendor/Other/main.py", "pkg-1/setup.py"):
            tar.addfile(tarfile.TarInfo(name))
    extract_comfyui(archive, tmp_path / "ComfyUI")
    assert [path.name for path in (tmp_path / "ComfyUI").rglob("*")] == ["main.py"]


def test_an_archive_without_comfyui_is_refused(tmp_path):
    with tarfile.open(tmp_path / "empty.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("pkg-1/setup.py"))
    with pytest.raises(HostError, match=r"carries no vendor/ComfyUI/main\.py"):
        extract_comfyui(tmp_path / "empty.tar.gz", tmp_path / "ComfyUI")

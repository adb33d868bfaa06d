"""Front ends that are laid beside a host: installed once, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from host_setup import front_end
from host_setup.pins import Host, HostError

HOST = Host(Path("ComfyUI"), Path(sys.executable), "0.30.0")


@pytest.fixture
def installed(monkeypatch, tmp_path) -> list[str]:
    """What pip was asked to install; it makes the pages' folder."""
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    asked = []

    def pip(_python, *arguments):
        asked.append(arguments[-1])
        (Path(arguments[arguments.index("--target") + 1]) / "comfyui_frontend_package" / "static").mkdir(parents=True)

    monkeypatch.setattr(front_end, "pip", pip)
    return asked


def test_a_front_end_is_installed_once_and_each_version_has_its_own_folder(installed):
    first = front_end.provide_front_end(HOST, "1.58.1")
    assert first.is_dir()
    assert front_end.provide_front_end(HOST, "1.58.1") == first
    assert front_end.provide_front_end(HOST, "1.58.2") != first
    assert installed == ["comfyui-frontend-package==1.58.1", "comfyui-frontend-package==1.58.2"]


def test_the_newest_is_asked_for_by_its_number(installed, monkeypatch):
    monkeypatch.setattr(front_end, "newest_on_index", lambda _python: "2.0.1")
    assert "2.0.1" in front_end.provide_front_end(HOST, "newest").parts
    assert installed == ["comfyui-frontend-package==2.0.1"]


def test_what_cannot_be_installed_leaves_nothing_behind(installed, monkeypatch, tmp_path):
    def pip(*_arguments):
        raise HostError("no such version")

    monkeypatch.setattr(front_end, "pip", pip)
    with pytest.raises(HostError, match="no such version"):
        front_end.provide_front_end(HOST, "9.9.9")
    assert not [path for path in (tmp_path / "front_ends").iterdir() if path.is_dir()]
    assert installed == []


@pytest.mark.parametrize("version", ["", "../up", "1.58.1 --pre", "latest"])
def test_what_is_no_version_is_refused(installed, version):
    with pytest.raises(HostError, match="no version of a front end"):
        front_end.provide_front_end(HOST, version)
    assert installed == []


@pytest.mark.parametrize(("folder", "expected"), [("", ()), ("pages", ("--front-end-root", "pages"))])
def test_the_host_is_started_with_the_chosen_pages(monkeypatch, folder, expected):
    monkeypatch.setenv(front_end.CHOSEN, folder)
    assert front_end.chosen_front_end() == expected

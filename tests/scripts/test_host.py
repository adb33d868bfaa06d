"""Finding a ComfyUI, and what the command prints."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import host
import pytest
from host_setup.pins import PINS, Host, HostError, cache_directory, venv_python, version_tuple


@pytest.fixture
def built(monkeypatch) -> list[str]:
    """Versions that were asked of the builder, which builds nothing."""
    asked: list[str] = []

    def build(pin):
        asked.append(pin.comfyui)
        return Host(Path("built"), Path("python"), pin.comfyui)

    monkeypatch.setattr(host, "ensure_built", build)
    return asked


def test_the_installation_of_the_environment_comes_first(tmp_path, monkeypatch, make_comfyui, built):
    monkeypatch.setenv("COMFYUI_PATH", str(make_comfyui(tmp_path / "mine", "0.31.5")))
    found = host.find_or_build()
    assert (found.path, found.version, found.python) == (tmp_path / "mine", "0.31.5", Path(sys.executable))
    assert built == []


def test_the_python_of_the_environment_is_used(tmp_path, monkeypatch, make_comfyui):
    python = tmp_path / "python"
    python.touch()
    monkeypatch.setenv("COMFYUI_PATH", str(make_comfyui(tmp_path / "mine")))
    monkeypatch.setenv("COMFYUI_PYTHON", str(python))
    assert host.find_or_build().python == python
    python.unlink()
    with pytest.raises(HostError, match=r"COMFYUI_PYTHON is .* correct it or unset it"):
        host.find_or_build()


def test_the_venv_inside_an_installation_is_its_python(tmp_path, make_comfyui):
    python = venv_python(make_comfyui(tmp_path / "mine") / ".venv")
    python.parent.mkdir(parents=True)
    python.touch()
    assert host.find_python(tmp_path / "mine") == python


def test_the_custom_nodes_folder_around_the_checkout_is_found(tmp_path, monkeypatch, make_comfyui, built):
    checkout = make_comfyui(tmp_path / "ComfyUI") / "custom_nodes" / "fewshot-video"
    checkout.mkdir(parents=True)
    monkeypatch.setattr(host, "ROOT", checkout)
    assert host.find_or_build().path == tmp_path / "ComfyUI"
    assert built == []


def test_a_custom_nodes_folder_without_a_comfyui_around_it_is_none(tmp_path):
    checkout = tmp_path / "custom_nodes" / "fewshot-video"
    checkout.mkdir(parents=True)
    assert host.installation_around(checkout) is None


@pytest.mark.parametrize(("version", "expected"), [(None, "0.30.0"), ("0.27.0", "0.27.0")])
def test_without_an_installation_the_pinned_one_is_built(monkeypatch, tmp_path, built, version, expected):
    monkeypatch.setattr(host, "ROOT", tmp_path)
    assert host.find_or_build(version).version == expected
    assert built == [expected]


def test_a_version_that_the_installation_does_not_have_is_built(tmp_path, monkeypatch, make_comfyui, built):
    monkeypatch.setenv("COMFYUI_PATH", str(make_comfyui(tmp_path / "mine", "0.30.0")))
    assert host.find_or_build("0.30.0").path == tmp_path / "mine"
    assert host.find_or_build("0.27.0").path == Path("built")
    assert built == ["0.27.0"]


def test_a_folder_without_comfyui_and_one_too_old_are_refused(tmp_path, monkeypatch, make_comfyui, built):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    with pytest.raises(HostError, match="holds no ComfyUI"):
        host.find_or_build()
    monkeypatch.setenv("COMFYUI_PATH", str(make_comfyui(tmp_path / "old", "0.3.64")))
    with pytest.raises(HostError, match=r"0\.3\.64, this pack needs 0\.27\.0 or newer; update it"):
        host.find_or_build()
    assert built == []


def test_an_unknown_version_is_refused_with_the_choices():
    with pytest.raises(HostError, match=r"0\.30\.0, 0\.27\.0"):
        host.find_or_build("0.1.0")


@pytest.mark.usefixtures("built")
def test_the_last_two_lines_are_the_path_and_the_python(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(host, "ROOT", tmp_path)
    assert host.main([]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["COMFYUI_PATH=built", "COMFYUI_PYTHON=python"]


def test_a_failure_goes_to_stderr_with_a_code_and_no_path(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    assert host.main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error: COMFYUI_PATH is" in printed.err


def test_what_was_removed_is_named_once_each(monkeypatch, capsys):
    left = ["0.30.0", "0.27.0"]

    def remove(pin):
        gone = [version for version in ("0.27.0", "0.30.0") if pin.comfyui in ("0.30.0", version)]
        return [left.pop(left.index(version)) for version in gone if version in left]

    monkeypatch.setattr(host, "remove", remove)
    assert host.main(["--remove"]) == host.main(["--remove"]) == 0
    lines = [line.removeprefix("[host] ") for line in capsys.readouterr().err.splitlines()]
    assert lines == ["ComfyUI 0.27.0: removed", "ComfyUI 0.30.0: removed", "nothing to remove: none was built"]


def test_versions_are_compared_as_numbers():
    assert version_tuple("0.27.0") < version_tuple("0.30.0") < version_tuple("0.100.0rc1")
    assert version_tuple("unknown") == ()


def test_every_pin_has_its_own_folder_and_a_hash():
    assert len({pin.key for pin in PINS.values()}) == len(PINS)
    assert all(len(pin.sha256) == 64 for pin in PINS.values())


@pytest.mark.skipif(sys.platform != "linux", reason="paths of Linux")
def test_the_cache_directory_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.delenv("FEWSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "fewshot-video"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_directory().parts[-3:] == ("Library", "Caches", "fewshot-video")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", os.fspath(tmp_path / "Local"))
    assert cache_directory() == tmp_path / "Local" / "fewshot-video"
    assert venv_python(Path("v")) == Path("v/Scripts/python.exe")

"""A host that shares the packages of another: what lies on what is never mistaken."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from host_setup import build as host_build
from host_setup import lock
from host_setup.build import MARKER, ensure_built, host_directory, lock_file, read_marker, remove
from host_setup.lock import locked
from host_setup.pins import PINS, HostError, site_packages, venv_python
from patience import PATIENCE


@pytest.fixture
def upper(pin, monkeypatch):
    """A pin that shares the packages of ``pin``."""
    above = replace(PINS["0.27.0"], sha256=pin.sha256, base=pin)
    monkeypatch.setattr(host_build, "PINS", {pin.comfyui: pin, above.comfyui: above})
    return above


def test_the_oldest_host_shares_the_packages_of_the_newest_and_its_folder_changes_with_it():
    newest, oldest = PINS["0.30.0"], PINS["0.27.0"]
    assert oldest.base == newest
    assert newest.base is None
    other = replace(oldest, base=replace(newest, sha256="0" * 64))
    assert other.key != oldest.key


def test_an_overlay_is_built_from_nothing_with_its_base_first_and_then_reused(pin, upper, index):
    first, second = ensure_built(upper), ensure_built(upper)
    assert first == second
    assert index.commands == ["venv", "download", "install", "extras", "overlay", "download", "install", "extras"]
    assert first.python == venv_python(host_directory(upper) / "venv")
    assert ensure_built(pin).version == "0.30.0"
    assert len(index.commands) == 8


def test_the_base_is_named_by_a_path_that_survives_a_move_of_the_cache(pin, upper, index, cache, tmp_path):
    assert index.commands == []
    ensure_built(upper)
    moved = cache.rename(tmp_path / "moved") / "hosts"
    packages = site_packages(moved / upper.key / "venv")
    line = (packages / "base.pth").read_text().strip()
    assert (packages / line).resolve() == site_packages(moved / pin.key / "venv").resolve()


def test_removing_the_base_removes_what_lies_on_it(pin, upper, index):
    ensure_built(upper)
    assert remove(pin) == ["0.27.0", "0.30.0"]
    assert not host_directory(upper).exists()
    assert not host_directory(pin).exists()
    ensure_built(upper)
    assert index.commands.count("venv") == index.commands.count("overlay") == 2


@pytest.mark.usefixtures("index")
def test_removing_an_overlay_leaves_its_base(pin, upper):
    ensure_built(upper)
    assert remove(upper) == ["0.27.0"]
    assert read_marker(pin) is not None


def test_a_base_that_was_deleted_by_hand_makes_its_overlay_unusable(pin, upper, index):
    ensure_built(upper)
    host_build.delete(host_directory(pin))
    assert read_marker(upper) is None
    ensure_built(upper)
    assert index.commands.count("overlay") == 2


def test_an_overlay_of_an_earlier_build_of_its_base_is_built_again(pin, upper, index):
    ensure_built(upper)
    host_build.delete(host_directory(pin))
    ensure_built(pin)
    assert read_marker(pin) is not None
    assert read_marker(upper) is None
    ensure_built(upper)
    assert index.commands.count("overlay") == 2


def test_an_overlay_follows_new_requirements_after_its_base(pin, upper, index, monkeypatch):
    ensure_built(upper)
    del index.commands[:]
    monkeypatch.setattr(host_build, "DEV_TOOLS", ("pytest==99",))
    ensure_built(upper)
    assert index.commands == ["extras", "extras"]
    assert (read_marker(pin) or {})["extras"] == (read_marker(upper) or {})["extras"] == host_build.extras_key()


def test_a_base_of_before_overlays_is_kept_and_given_a_name(pin, upper, index):
    ensure_built(pin)
    file = host_directory(pin) / MARKER
    old = {name: value for name, value in json.loads(file.read_text()).items() if name != "build"}
    file.write_text(json.dumps(old))
    ensure_built(upper)
    assert index.commands.count("venv") == 1
    assert (read_marker(upper) or {})["base"] == (read_marker(pin) or {})["build"]


@pytest.mark.parametrize("step", ["overlay", "download", "install", "extras"])
def test_an_overlay_that_fails_leaves_nothing_of_itself_and_its_base_whole(pin, upper, index, step):
    ensure_built(pin)
    index.fail_at = step
    with pytest.raises(HostError, match="the index is gone"):
        ensure_built(upper)
    assert not host_directory(upper).exists()
    assert read_marker(pin) is not None


@pytest.mark.usefixtures("index")
def test_a_base_is_not_removed_while_an_overlay_is_being_built_on_it(pin, upper, monkeypatch):
    ensure_built(pin)
    waits = threading.Event()
    monkeypatch.setattr(lock, "say", lambda _said: waits.set())
    with locked(lock_file(upper)):  # what a builder holds
        remover = threading.Thread(target=remove, args=(pin,))
        remover.start()
        assert waits.wait(PATIENCE)
        assert read_marker(pin) is not None
    remover.join(PATIENCE)
    assert not host_directory(pin).exists()


def test_a_real_overlay_finds_its_own_packages_before_those_of_its_base(pin, upper, cache):
    lower = host_directory(pin) / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(lower)], check=True)
    python = host_build.make_overlay(pin, host_directory(upper) / "venv")
    above = site_packages(host_directory(upper) / "venv")
    for folder, names in {site_packages(lower): ("shared", "replaced"), above: ("replaced",)}.items():
        for name in names:
            (folder / f"{name}.py").touch()
    code = "import shared, replaced; print(shared.__file__); print(replaced.__file__)"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    found = [Path(line).parent.resolve() for line in result.stdout.splitlines()]
    assert found == [site_packages(lower).resolve(), above.resolve()]
    assert cache in python.parents

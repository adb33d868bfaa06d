"""Building the pinned host: with a package index that is played, nothing is downloaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from host_setup import build as host_build
from host_setup import source as host_source
from host_setup.build import MARKER, ensure_built, host_directory, read_marker, remove
from host_setup.commands import explain, run
from host_setup.pins import HostError
from patience import PATIENCE
from played_index import make_sdist


def test_a_host_is_built_once_and_then_reused(pin, index):
    first, second = ensure_built(pin), ensure_built(pin)
    assert first == second
    assert (first.path / "main.py").read_text() == "print('main')"
    assert first.python.exists()
    assert index.commands == ["venv", "download", "install", "extras"]
    assert not (host_directory(pin) / "download").exists()


def test_a_half_built_host_is_never_used_but_built_again(pin, index):
    ensure_built(pin)
    (host_directory(pin) / MARKER).unlink()
    leftover = host_directory(pin) / "leftover"
    leftover.touch()
    ensure_built(pin)
    assert index.commands.count("venv") == 2
    assert not leftover.exists()


@pytest.mark.parametrize("damage", ["main.py", "python", "marker"])
def test_a_damaged_host_is_built_again(pin, index, damage):
    built = ensure_built(pin)
    if damage == "main.py":
        (built.path / "main.py").unlink()
    elif damage == "python":
        built.python.unlink()
    else:
        (host_directory(pin) / MARKER).write_text('{"comfy')
    assert (ensure_built(pin).path / "main.py").exists()
    assert index.commands.count("venv") == 2


@pytest.mark.parametrize("step", ["download", "install", "extras"])
def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(pin, index, step):
    index.fail_at = step
    with pytest.raises(HostError, match="the index is gone"):
        ensure_built(pin)
    assert not host_directory(pin).exists()
    index.fail_at = None
    assert ensure_built(pin).python.exists()


def test_a_new_requirement_of_the_pack_is_installed_without_a_new_build(pin, index, monkeypatch):
    ensure_built(pin)
    build = (read_marker(pin) or {})["build"]
    monkeypatch.setattr(host_build, "DEV_TOOLS", ("pytest==99",))
    ensure_built(pin)
    ensure_built(pin)
    assert index.commands == ["venv", "download", "install", "extras", "extras"]
    assert (read_marker(pin) or {})["build"] == build


def test_a_file_other_than_the_pinned_one_is_refused(pin, index):
    make_sdist(index.sdist, {"pkg-1/vendor/ComfyUI/evil.py": b"x"})
    with pytest.raises(HostError, match="it is not the file this project was tested with"):
        ensure_built(pin)
    assert not host_directory(pin).exists()


def test_pip_is_told_the_hash_before_it_runs_anything_of_the_archive(pin, index, monkeypatch):
    seen = {}

    def pip(python, *arguments):
        if arguments[0] == "download":
            seen["arguments"] = arguments
            seen["listing"] = Path(arguments[arguments.index("-r") + 1]).read_text()
        index.pip(python, *arguments)

    monkeypatch.setattr(host_source, "pip", pip)
    ensure_built(pin)
    assert "--require-hashes" in seen["arguments"]
    assert f"sha256:{pin.sha256}" in seen["listing"]


BUILDER = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
sys.path[:0] = [{scripts!r}, {support!r}]
from host_setup import build as host_build
from host_setup import source as host_source
from played_index import Index
from host_setup.pins import PINS
class SlowIndex(Index):
    def pip(self, python, *arguments):
        if {held}:
            print("at work", flush=True)
            sys.stdin.read()
        time.sleep(0.3)
        super().pip(python, *arguments)
index = SlowIndex(Path({sdist!r}))
host_build.run, host_build.pip, host_build.DISK_BYTES = index.run, index.pip, 0
host_source.pip = index.pip
built = host_build.ensure_built(replace(PINS["0.30.0"], sha256={sha256!r}))
assert (built.path / "main.py").exists()
print(json.dumps(index.commands))
"""


def start_builder(tmp_path: Path, sha256: str, held: bool = False) -> subprocess.Popen[str]:
    """A process that builds slowly from the small archive; a held one says when it is at work and does not go on."""
    here = Path(__file__).parent
    code = BUILDER.format(
        scripts=str(here.parents[1] / "scripts"),
        support=str(here.parent / "support" / "pages"),
        sdist=str(tmp_path / "pkg-1.tar.gz"),
        sha256=sha256,
        held=held,
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )


def test_two_builders_at_once_end_with_one_build(tmp_path, pin):
    builders = [start_builder(tmp_path, pin.sha256) for _ in range(2)]
    outputs = [builder.communicate(timeout=PATIENCE)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    lengths = sorted(len(json.loads(output.splitlines()[-1])) for output in outputs)
    assert lengths == [0, 4]


def test_a_builder_that_is_killed_frees_the_lock_and_is_built_over(tmp_path, pin, index):
    with start_builder(tmp_path, pin.sha256, held=True) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == "at work\n"
        builder.kill()
    assert host_directory(pin).exists()
    assert not (host_directory(pin) / MARKER).exists()
    assert ensure_built(pin).python.exists()
    assert index.commands == ["venv", "download", "install", "extras"]


@pytest.mark.usefixtures("index")
def test_a_built_host_can_be_removed(pin):
    assert remove(pin) == []
    ensure_built(pin)
    assert remove(pin) == [pin.comfyui]
    assert not host_directory(pin).exists()


@pytest.mark.parametrize("version", [(3, 9), (3, 15)])
def test_a_python_without_torch_wheels_is_refused(version):
    with pytest.raises(HostError, match=r"run the script with Python 3\.10 to 3\.14 instead"):
        host_build.check_python(version)


@pytest.mark.usefixtures("index")
def test_too_little_disk_space_is_refused_before_anything_is_made(pin, monkeypatch):
    monkeypatch.setattr(host_build, "DISK_BYTES", 10**18)
    with pytest.raises(HostError, match=r"GB free, about .* GB are needed; free some or set FEWSHOT_CACHE"):
        ensure_built(pin)
    assert not host_directory(pin).exists()


def test_a_command_that_fails_shows_its_last_lines_and_what_to_do():
    code = "import sys; print('ERROR: No space left on device'); sys.exit(3)"
    with pytest.raises(HostError, match=r"No space left on device\n.*the disk is full"):
        run([sys.executable, "-c", code], "advice")
    with pytest.raises(HostError, match="failed: the advice"):
        run([sys.executable, "-c", "import sys; sys.exit(1)"], "the advice")


def test_common_failures_of_pip_are_explained():
    assert "network" in (explain(["Temporary failure in name resolution"]) or "")
    assert "not the pinned file" in (explain(["THESE PACKAGES DO NOT MATCH THE HASHES"]) or "")
    assert explain(["something else"]) is None

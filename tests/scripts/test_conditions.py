"""The suite in another order, beside other work and with other packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import conditions
import pytest
from host_setup.pins import HostError
from patience import PATIENCE

PYTHON = Path(sys.executable)


@pytest.fixture
def installed(monkeypatch) -> list[list[str]]:
    """What pip was asked for; it always has it."""
    asked = []

    def run(command, **_):
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_a_package_is_found_first_and_leaves_nothing_behind(installed):
    with conditions.laid_over(PYTHON, "av==17.0.0"):
        folder = os.environ[conditions.LAID_OVER]
        assert Path(folder).is_dir()
    assert installed[0][-3:] == ["--target", folder, "av==17.0.0"]
    assert conditions.LAID_OVER not in os.environ
    assert not Path(folder).exists()


def test_a_package_that_cannot_be_had_is_named(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(HostError, match=r"av==0 cannot be installed"), conditions.laid_over(PYTHON, "av==0"):
        pass


def test_a_seed_is_taken_or_drawn_and_printed_either_way(installed, capsys):
    with conditions.shuffled(PYTHON, 7) as arguments:
        assert "--random-order-seed=7" in arguments
    with conditions.shuffled(PYTHON, conditions.DRAWN) as arguments:
        seed = arguments[-1].partition("=")[2]
    with conditions.shuffled(PYTHON, None) as arguments:
        assert arguments == []
    assert [line.rpartition(" ")[2] for line in capsys.readouterr().out.splitlines()] == ["7", seed]
    assert [command[-1] for command in installed] == [conditions.SHUFFLER] * 2


def test_every_core_is_kept_at_work_until_the_end(monkeypatch):
    begun, start = [], subprocess.Popen

    def popen(command):
        begun.append(start(command, stdin=subprocess.PIPE))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(conditions, "AT_WORK", "import sys; sys.stdin.read()")  # without taking the cores from others
    with conditions.busy(wanted=True):
        assert [process.poll() for process in begun] == [None, None]
    assert all(process.returncode for process in begun)
    with conditions.busy(wanted=False):
        assert len(begun) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows processes keep the id of the one that has started them")
def test_what_keeps_the_cores_at_work_does_not_outlive_the_suite():
    """Who starts it ends at once, and the pipe that both hold is closed when the last of them has."""
    command = f"[sys.executable, '-c', {conditions.AT_WORK!r}, str(os.getpid())]"
    code = f"import os, subprocess, sys; subprocess.Popen({command})"
    assert (
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, timeout=PATIENCE, check=True).stdout == b""
    )

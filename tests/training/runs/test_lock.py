"""One process at a time trains into a run's folder."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from pack.training.runs import lock as run_lock
from pack.training.runs.lock import RunInUseError, lock_path, locked_run

REFUSAL = r"^the run ball is being trained by another ComfyUI; wait for its end, or give another run_name$"
HOLDER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("run_lock", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with module.locked_run(pathlib.Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its input ends."""
    command = [sys.executable, "-c", HOLDER, run_lock.__file__, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_run_that_another_process_trains_is_refused_until_it_has_ended(tmp_path):
    process = holder(tmp_path / "ball")
    with pytest.raises(RunInUseError, match=REFUSAL), locked_run(tmp_path / "ball"):
        pytest.fail("both have it")
    with locked_run(tmp_path / "other"):
        pass
    process.communicate("")
    with locked_run(tmp_path / "ball"):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    process = holder(tmp_path / "ball")
    process.kill()
    process.communicate()
    assert lock_path(tmp_path / "ball").exists()
    with locked_run(tmp_path / "ball"):
        pass


def test_the_lock_ends_with_an_error_and_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "runs" / "ball"
    with pytest.raises(KeyError), locked_run(folder):
        raise KeyError
    with locked_run(folder), pytest.raises(RunInUseError), locked_run(folder):
        pytest.fail("held twice")
    assert not list(folder.parent.iterdir())


def test_the_folder_of_a_locked_run_can_be_renamed(tmp_path):
    folder = tmp_path / "ball"
    folder.mkdir()
    with locked_run(folder):
        folder.rename(tmp_path / "ball (old 1)")
    assert [path.name for path in tmp_path.iterdir()] == ["ball (old 1)"]


TAKING_TURNS = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("run_lock", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
counter, done = pathlib.Path(sys.argv[3]), 0
while done < 100:
    try:
        with module.locked_run(pathlib.Path(sys.argv[2])):
            counter.write_text(str(int(counter.read_text()) + 1))
            done += 1
    except module.RunInUseError:
        pass
"""


def test_two_processes_that_take_turns_are_never_in_it_at_once(tmp_path):
    """The file is removed at each end: a lock on a removed one must not count."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", TAKING_TURNS, run_lock.__file__, str(tmp_path / "ball"), str(counter)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert counter.read_text() == "200"


def test_a_disk_without_locks_is_told_and_trained_on(tmp_path, monkeypatch, caplog):
    def without(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", without)
    with caplog.at_level(logging.WARNING), locked_run(tmp_path / "ball"):
        pass
    assert "the run ball cannot be locked (no locks available); see to it that no other ComfyUI" in caplog.text
    (tmp_path / "file").touch()
    with locked_run(tmp_path / "file" / "ball"):
        assert caplog.text.count("cannot be locked") == 2


def test_a_lock_file_that_cannot_be_removed_costs_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "ball"
    for _ in range(2):  # the file that stays keeps nobody out
        with monkeypatch.context() as broken, locked_run(folder):
            broken.setattr(Path, "unlink", broken_unlink)
    assert lock_path(folder).exists()
    with locked_run(folder), pytest.raises(RunInUseError), locked_run(folder):
        pytest.fail("held twice")


def broken_unlink(path: Path, missing_ok: bool = False) -> None:
    raise OSError(errno.EROFS, "Read-only file system", str(path), missing_ok)

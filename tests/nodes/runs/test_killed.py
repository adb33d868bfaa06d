"""A training process is killed with SIGKILL, between and within saves, and goes on to the same bytes."""

from __future__ import annotations

import re
import signal
import sys

import killed_training
import pytest
from killed_training import kill_after, run_through, tensors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory) -> dict[str, bytes]:
    """What a run gives that nobody kills."""
    folder = tmp_path_factory.mktemp("untouched")
    code, printed = run_through(folder)
    assert code == 0, printed
    return tensors(folder)


def test_a_run_killed_between_and_within_saves_gives_the_same_bytes(untouched, tmp_path):
    seen = [
        run_through(tmp_path, die="replace:8"),
        kill_after(tmp_path, step=6),  # from outside
        run_through(tmp_path, die="fsync:9"),
        run_through(tmp_path, die="step:1"),
    ]
    assert [code for code, _ in seen] == [-signal.SIGKILL] * len(seen), seen
    reached = [int(re.findall(r"^step (\d+)", printed, re.MULTILINE)[-1]) for _, printed in seen]
    assert reached[1] == 6
    assert 0 < reached[0] <= 6 <= reached[2] < reached[3] < killed_training.STEPS  # all died on the way
    (record,) = (tmp_path / "output" / "fewshot_video" / "runs").glob("*/run.json")
    assert record.parent.name == killed_training.NAME
    code, printed = run_through(tmp_path)
    assert code == 0, printed
    assert "step 1\n" not in printed  # it went on, it did not begin again
    assert tensors(tmp_path) == untouched
    assert not list(tmp_path.rglob("*.tmp"))

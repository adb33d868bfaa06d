"""A process that is forked from a warm one is what one is that was started in the ordinary way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import warm_process
from patience import PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
WAYS = pytest.mark.parametrize("forked", [False, True], ids=["ordinary", "forked"])
ITSELF = """
import json, os, random, sys, tempfile
from pathlib import Path
own = {"argv": sys.argv[1:], "name": __name__, "file": __file__, "beside": sys.path[0], "at": os.getcwd()}
own |= {"parent": os.getppid(), "leads": os.getsid(0) == os.getpid(), "env": dict(os.environ)}
own |= {"nodes": "nodes" in sys.modules, "comfy": "comfy" in sys.modules, "pack": "pack" in sys.modules}
own |= {"open": len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 4}
own |= {"random": random.random(), "temporary": tempfile.mkdtemp(dir=".")}
if "numpy" in sys.modules:
    own["numpy"] = float(sys.modules["numpy"].random.rand())
print(json.dumps(own))
print("said", file=sys.stderr)
sys.exit(3)
"""
# A shell that starts tests in the background has them ignore SIGINT, and what they start in the ordinary way, too.
WAITS = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
print("here", flush=True)
while True:
    threading.Event().wait(0.01)
"""


@pytest.fixture
def way(monkeypatch, forked) -> None:
    """Processes are started in this way alone."""
    if not forked:
        monkeypatch.setattr(warm_process, "possible", lambda: False)
    elif not warm_process.possible():
        pytest.skip("no process can be forked here: it is not Linux, or torch has a GPU")


def start(tmp_path: Path, text: str, *arguments: str, **more: Any) -> warm_process.Process:
    script = tmp_path / "script.py"
    script.write_text(text)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return warm_process.Process([sys.executable, str(script), *arguments], text=True, **pipes, **more)


@WAYS
@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("session", [False, True])
def test_a_process_has_what_it_was_given_and_ends_as_it_likes(tmp_path, forked, session):
    given = {**os.environ, "OF_ITS_OWN": "é"}
    process = start(tmp_path, ITSELF, "a", "b c", env=given, cwd=tmp_path, start_new_session=session)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err, process.forked) == (3, "said\n", forked)
    own = json.loads(out)
    assert (own["argv"], own["name"], own["file"]) == (["a", "b c"], "__main__", str(tmp_path / "script.py"))
    assert own["beside"] == own["at"] == str(tmp_path)
    assert own["parent"] == os.getpid()
    assert own["leads"] is session
    assert own["env"] == given
    assert not any(own[module] for module in ("nodes", "comfy", "pack"))
    assert own["open"] == 4  # the three, and the one that lists them


@WAYS
@pytest.mark.usefixtures("way", "forked")
def test_two_processes_draw_other_numbers_and_names(tmp_path):
    owns = [json.loads(start(tmp_path, ITSELF, cwd=tmp_path).communicate(timeout=PATIENCE)[0]) for _ in range(2)]
    for name in ("random", "numpy", "temporary"):
        assert owns[0].get(name) is None or owns[0][name] != owns[1][name], name


@WAYS
@pytest.mark.usefixtures("way", "forked")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_can_be_killed(tmp_path, number):
    process = start(tmp_path, WAITS)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in err) is (number == signal.SIGINT)


@WAYS
@pytest.mark.usefixtures("way", "forked")
def test_an_error_is_told_and_the_code_is_1(tmp_path):
    process = start(tmp_path, "raise ValueError('on purpose')")
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert err.endswith("ValueError: on purpose\n")


def test_what_python_reads_once_is_never_the_warm_ones(tmp_path):
    process = start(tmp_path, "print(hash('a'))", env={**os.environ, "PYTHONHASHSEED": "5"})
    command = [sys.executable, str(tmp_path / "script.py")]
    alone = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": "5"}, capture_output=True, text=True, check=True
    )
    assert process.communicate(timeout=PATIENCE)[0] == alone.stdout
    assert not process.forked


def test_a_process_is_started_in_the_ordinary_way_where_the_warm_one_is_gone(tmp_path, monkeypatch):
    ours, theirs = socket.socketpair()
    theirs.close()
    monkeypatch.setattr(warm_process, "server", lambda: (ours, warm_process.read_at_import(dict(os.environ))))
    process = start(tmp_path, "print(1)")
    assert process.communicate(timeout=PATIENCE) == ("1\n", "")
    assert not process.forked
    ours.close()


def test_no_gpu_is_forked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not warm_process.possible.__wrapped__()

"""Every bench and stress test can be started: its imports are there, and it says how it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE

SCRIPTS = Path(__file__).parents[2] / "scripts"
FOLDERS = ("bench", "bench/distributed", "bench/tic_ft", "stress")
OTHERS = (
    "bench/long/long_video.py",
    "bench/long/memory.py",
    "bench/long/timing.py",
    "bench/musubi/speed.py",
    "clip_sheet.py",
)
FOUND = (path for folder in FOLDERS for path in (SCRIPTS / folder).glob("*.py"))
BENCHES = sorted([*FOUND, *(SCRIPTS / name for name in OTHERS)])
# All in one process, which imports torch once.
START = """
import contextlib, io, json, runpy, sys
ends = {}
for path in sys.argv[1:]:
    sys.argv, text = [path, "--help"], io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        ends[path] = "" if end.code == 0 and "usage:" in text.getvalue() else f"ended with {end.code}"
    except Exception as error:
        ends[path] = repr(error)
print(json.dumps(ends))
"""


def test_benches_start_and_say_how_they_are_used() -> None:
    command = [sys.executable, "-c", START, *map(str, BENCHES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(done.stdout) == {str(path): "" for path in BENCHES}

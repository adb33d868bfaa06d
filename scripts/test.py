"""Run every check of the project with one command; set-up included.

python scripts/test.py                 style, unit tests, then tests in every supported ComfyUI and in a browser
python scripts/test.py --host 0.30.0   in this ComfyUI only
python scripts/test.py --fast          the unit tests only
python scripts/test.py --front-end newest   the browser tests, on this front end: a version, or the index's newest
python scripts/test.py --av 17.0.0     the tests of reading clips, with this version of PyAV laid over the host's
python scripts/test.py --shuffle       files and the tests in them in another order; the seed that repeats it is printed
python scripts/test.py --busy          with every core kept at work by something else
python scripts/test.py -k release -x   further arguments go to pytest
python scripts/test.py --fast -n 0     everything in one process, as a debugger needs it
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # also when loaded by path

from chromium import ADVICE as CHROMIUM_ADVICE
from chromium import CHOSEN, provide_chromium
from conditions import DRAWN, LAID_OVER, busy, laid_over, shuffled
from failures import told_again
from host import find_existing, find_or_build
from host_setup import front_end
from host_setup.build import ensure_built
from host_setup.patience import HUNG, VARIABLE
from host_setup.pins import DEFAULT, PINS, ROOT, Host, HostError, version_tuple
from javascript import find_node, run_tests
from javascript import types_are_right as javascript_types_are_right

SLOWEST = ("--durations=15", "--durations-min=3")  # tests that a stage lists at its end
VERSIONS = ("--skip-version-free",)  # further ComfyUIs repeat only what depends on the version
FUZZED = ("--fuzz-examples", "300")  # random calls of a node in the first ComfyUI
NO_TESTS = 5  # pytest's exit code when the arguments select nothing
HOST_FOLDERS = ("tests/nodes", "tests/fuzz", "tests/js")
CLIP_TESTS = ("tests/training/data", "tests/training/storage/test_video_file.py")
CLASSIC, NODES2 = ("--drawn", "classic"), ("--drawn", "nodes2")  # each front end in one way, see tests/js/conftest.py
WORKERS = 4  # processes that share the tests of a stage, at most: each holds a ComfyUI, 2 to 3 GB
BY_FILE, BY_TEST = "loadfile", "worksteal"  # how they are shared: what a file prepares is prepared once, or evenly
TYPED_FOLDERS = ("methods", "training", "nodes")
FAILED: list[str] = []  # what the stages so far have to tell at the end
NEEDED = ("torch", "pytest", "diffusers", "safetensors", "einops", "numpy", "av")
ADVICE = "run `{python} -m pip install -r requirements.txt pytest`, or unset COMFYUI_PATH to build a host"


def announce(title: str) -> None:
    """Print the name of a stage."""
    print(f"\n=== {title}", flush=True)


def environment(host: Host | None) -> dict[str, str]:
    """Environment of a stage: with the host, or with nothing that leads to one."""
    hidden = {"COMFYUI_PATH", "COMFYUI_PYTHON", "PYTHONPATH"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # every process would compile the host and the tests anew, 10 s in all
    kept.setdefault("OMP_NUM_THREADS", "1")  # of each process: they are as many as the cores
    kept.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads that spin starve a busy machine
    if host:
        kept |= {"COMFYUI_PATH": str(host.path), "COMFYUI_PYTHON": str(host.python)}
    if LAID_OVER in kept:
        kept["PYTHONPATH"] = kept.pop(LAID_OVER)
    return kept


def missing_modules(python: Path, names: tuple[str, ...]) -> list[str]:
    """Those of ``names`` that the interpreter does not have."""
    code = f"import importlib.util as u; print(*[n for n in {names!r} if u.find_spec(n) is None])"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return result.stdout.split() if result.returncode == 0 else list(names)


def shared_out(python: Path, how: str) -> list[str]:
    """Arguments that have a process per core run the tests of a stage; none where pytest-xdist is not installed."""
    workers = min(os.cpu_count() or 1, WORKERS)
    if workers < 2 or missing_modules(python, ("xdist",)):
        return []
    return ["-n", str(workers), "--dist", how]


def run_pytest(title: str, python: Path, host: Host | None, arguments: list[str], how: str = BY_FILE) -> int:
    """Run one stage of tests and return pytest's exit code; what failed is kept for the end."""
    announce(title)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [str(python), "-m", "pytest", *SLOWEST, f"--junit-xml={report}", *shared_out(python, how), *arguments]
        code = subprocess.run(command, cwd=ROOT, env=environment(host), check=False).returncode
        if code not in (0, NO_TESTS):
            FAILED.extend(told_again(title, report, code))
    return code


def run_unit(python: Path, arguments: list[str]) -> int:
    """Tests that need no host, with no host in reach."""
    ignored = [f"--ignore={folder}" for folder in HOST_FOLDERS]
    return run_pytest("unit tests, without a host", python, None, ["-m", "not host", *ignored, *arguments])


def run_av(version: str, arguments: list[str]) -> int:
    """Tests of reading and writing clips with another PyAV, installed for the time of the tests."""
    host = find_or_build()
    with laid_over(host.python, f"av=={version}"):
        announce(f"clips, with PyAV {version}")
        command = [str(host.python), "-m", "pytest", "-n", "0", *CLIP_TESTS, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment(None), check=False).returncode


def run_host(host: Host, arguments: list[str]) -> int:
    """Tests inside the real ComfyUI."""
    title = f"tests in ComfyUI {host.version}"
    return run_pytest(title, host.python, host, ["-m", "host and not gpu", *arguments])


def run_browser(host: Host, arguments: list[str], version: str = "") -> int:
    """Tests in a browser on this ComfyUI's pages; what they need and cannot be had is said.

    Args:
        host: Whose pages they are.
        arguments: Further ones for pytest.
        version: Of another front end for that host; empty takes its own.
    """
    title = f"tests in the browser, ComfyUI {host.version}" + (f", front end {version}" if version else "")
    why, chromium = "", None
    if version_tuple(host.version) < version_tuple(DEFAULT):
        why = f"they are written for the front end of ComfyUI {DEFAULT}"
    elif missing_modules(host.python, ("playwright",)):
        why = "playwright is not installed in the host's Python"
    else:
        chromium = provide_chromium()
        why = "" if chromium else CHROMIUM_ADVICE
    if chromium is None:
        announce(title)
        print(f"skipped: {why}")
        return NO_TESTS
    os.environ[CHOSEN] = chromium
    os.environ[front_end.CHOSEN] = str(front_end.provide_front_end(host, version)) if version else ""
    return run_pytest(title, host.python, host, ["tests/js", "-m", "browser", *arguments], BY_TEST)


def run_javascript() -> int:
    """Tests and types of the pack's JavaScript, where there is a Node.js; the number of checks that fail."""
    announce("JavaScript")
    node = find_node()
    if node is None:
        print("there is no Node.js of version 18 or newer: skipped")
        return 0
    return (not run_tests(node)) + (not javascript_types_are_right(node))


def run_style(host: Host) -> int:
    """Run ruff where the interpreter has it; 1 when it complains, else 0."""
    announce("style")
    if missing_modules(host.python, ("ruff",)):
        print("ruff is not installed in the host's Python: skipped")
        return 0
    return int(subprocess.run([str(host.python), "-m", "ruff", "check", "."], cwd=ROOT, check=False).returncode != 0)


def find_types(host: Host) -> subprocess.CompletedProcess[str] | None:
    """Run pyright with the host's packages, and say nothing yet; None where the interpreter has none.

    It computes for a minute, in one process: beside the unit tests.
    """
    if missing_modules(host.python, ("pyright",)):
        return None
    settings = {**environment(host), "PYTHONPATH": str(host.path), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    # Folders by name: told nothing, pyright goes through all of the host in some checkouts.
    command = [str(host.python), "-m", "pyright", "--pythonpath", str(host.python), *TYPED_FOLDERS]
    try:
        return subprocess.run(
            command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False, timeout=HUNG
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(
            command, 1, f"pyright did not finish within {HUNG:.0f} s: 1 error, 0 warnings", ""
        )


def types_are_right(result: subprocess.CompletedProcess[str] | None) -> bool:
    """Say what pyright has found; True also when it cannot run here, which is said."""
    announce("types")
    if result is None:
        print("pyright is not installed in the host's Python: skipped")
        return True
    if not re.search(r"\d+ errors?, \d+ warnings?", result.stdout):
        # the package fetches Node.js at its first run, which a machine without a network cannot
        lines = (result.stdout + result.stderr).strip().splitlines() or ["no output"]
        print(f"pyright cannot run on this machine: skipped ({lines[-1][:200]})")
        return True
    print(result.stdout.strip())
    return result.returncode == 0


def combine(codes: list[int]) -> int:
    """Exit code of all stages: a stage that selected no test is fine as long as another ran some."""
    if codes and all(code == NO_TESTS for code in codes):
        return NO_TESTS
    return next((code for code in codes if code not in (0, NO_TESTS)), 0)


def find_hosts(version: str | None) -> list[Host]:
    """What to test in: the ComfyUI of ``version``, else the user's own, else every pinned one."""
    if version or find_existing():
        return [find_or_build(version)]
    return [ensure_built(pin) for pin in PINS.values()]


def check_packages(host: Host) -> None:
    """Raise HostError when the tests cannot run with the host's Python."""
    if absent := missing_modules(host.python, NEEDED):
        raise HostError(f"{host.python} lacks {', '.join(absent)}; {ADVICE.format(python=host.python)}")


def fast_python() -> Path:
    """This interpreter when it can run the unit tests, else the host's."""
    here = Path(sys.executable)
    return here if not missing_modules(here, NEEDED) else find_or_build().python


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run every check; further arguments go to pytest.")
    parser.add_argument("--fast", action="store_true", help="only the unit tests, without a host")
    parser.add_argument("--front-end", metavar="VERSION", help="only the browser tests, on this front end, or `newest`")
    parser.add_argument("--av", metavar="VERSION", help="only the tests of clips, with this version of PyAV")
    parser.add_argument("--host", choices=sorted(PINS), help="test in this ComfyUI only")
    parser.add_argument("--shuffle", nargs="?", type=int, const=DRAWN, metavar="SEED", help="in another order")
    parser.add_argument("--busy", action="store_true", help="with every core kept at work by something else")
    options, extra = parser.parse_known_args(arguments)
    os.environ.setdefault(VARIABLE, str(HUNG))
    try:
        with busy(options.busy):
            return run_stages(options, extra)
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def run_stages(options: argparse.Namespace, extra: list[str]) -> int:
    """Run what the options ask for; returns the exit code.

    Raises:
        HostError: a ComfyUI or a package is missing.
    """
    started = time.monotonic()
    if options.av:
        return run_av(options.av, extra)
    if options.fast:
        python = fast_python()
        with shuffled(python, options.shuffle) as order:
            return combine([run_unit(python, [*order, *extra])])
    if options.front_end:
        return run_browser(find_or_build(options.host), extra, options.front_end)
    hosts = find_hosts(options.host)
    for host in hosts:
        check_packages(host)
    with ThreadPoolExecutor(1) as beside, shuffled(hosts[0].python, options.shuffle) as order:
        types = beside.submit(find_types, hosts[0])
        style = run_style(hosts[0]) + run_javascript()
        arguments = [*order, *extra]
        stages = [run_unit(hosts[0].python, arguments)]
        style += not types_are_right(types.result())
        stages.append(run_host(hosts[0], [*FUZZED, *arguments]))
        stages.extend(run_host(host, [*VERSIONS, *arguments]) for host in hosts[1:])
        stages.append(run_browser(hosts[0], [*CLASSIC, *arguments]))
        stages.append(run_browser(hosts[0], [*NODES2, *arguments], front_end.NEWEST))
        tests = combine(stages)
    verdict = "passed" if not style and not tests else "FAILED"
    if style:
        FAILED.append(f"failed in style, types and JavaScript: {style} of the checks")
    print("\n".join(FAILED))
    announce(f"{verdict} after {time.monotonic() - started:.0f} s")
    return tests or int(style > 0)


if __name__ == "__main__":
    sys.exit(main())

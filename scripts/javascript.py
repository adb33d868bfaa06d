"""Checks of the pack's JavaScript with Node.js, where it is installed: tests of the pure modules, and types."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from host_setup.patience import HUNG
from host_setup.pins import ROOT, cache_directory

TESTS = ROOT / "tests" / "js" / "lib"
PROJECT = ROOT / "tests" / "js" / "tsconfig.json"
TYPESCRIPT = "5.9.3"
OLDEST = 18  # Node.js; older ones have no test runner
INSTALLED = 300  # seconds, within which npm has to have the compiler; without it its check is skipped


def find_node() -> str | None:
    """Path of a Node.js that can run the tests; None where there is none."""
    node = shutil.which("node")
    if node is None:
        return None
    try:
        result = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=HUNG, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)", result.stdout)
    return node if match and int(match[1]) >= OLDEST else None


def run_tests(node: str) -> bool:
    """Run the tests of ``js/lib``; whether they passed."""
    files = [str(path) for path in sorted(TESTS.glob("*.test.js"))]
    # Files by name: a folder means another thing to each version of Node.js. The report is for people.
    command = [node, "--test", "--test-reporter=dot", *files] if reports(node) else [node, "--test", *files]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HUNG, check=False)
    print((result.stdout + result.stderr).strip() if result.returncode else f"{len(files)} files of tests passed")
    return result.returncode == 0


def reports(node: str) -> bool:
    """Whether Node.js has a choice of reports."""
    result = subprocess.run([node, "--help"], capture_output=True, text=True, timeout=HUNG, check=False)
    return "--test-reporter" in result.stdout


def types_are_right(node: str) -> bool:
    """Run the TypeScript compiler over ``js``; True also when it cannot be had here, which is said."""
    compiler = provide_compiler()
    if compiler is None:
        print("the TypeScript compiler cannot be installed on this machine: skipped")
        return True
    command = [node, str(compiler), "-p", str(PROJECT)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HUNG, check=False)
    print((result.stdout + result.stderr).strip() or "types of js/: no errors")
    return result.returncode == 0


def provide_compiler() -> Path | None:
    """The TypeScript compiler in the cache directory; npm puts it there once. None where that fails."""
    folder = cache_directory() / "tools" / f"typescript-{TYPESCRIPT}"
    compiler = folder / "node_modules" / "typescript" / "bin" / "tsc"
    npm = shutil.which("npm")
    if compiler.is_file() or npm is None:
        return compiler if compiler.is_file() else None
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        options = ["--prefix", temporary, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        command = [npm, "install", *options, f"typescript@{TYPESCRIPT}"]
        try:
            subprocess.run(command, capture_output=True, timeout=INSTALLED, check=True, cwd=temporary)
            made = Path(temporary) / "whole"
            made.mkdir()
            (Path(temporary) / "node_modules").rename(made / "node_modules")
            os.replace(made, folder)  # noqa: PTH105  whole or not at all
        except (OSError, subprocess.SubprocessError):
            pass  # no network, or another one was faster
    return compiler if compiler.is_file() else None

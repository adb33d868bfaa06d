"""The suite under other conditions: with other packages, in another order, and beside other work."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from host_setup.pins import HostError

SHUFFLER = "pytest-random-order==1.2.0"
LAID_OVER = "FEWSHOT_TEST_PACKAGES"  # the folder that a stage's Python looks into first
DRAWN = -1  # in place of a seed: draw one
AT_WORK = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"  # none outlives the suite


@contextlib.contextmanager
def laid_over(python: Path, package: str) -> Iterator[None]:
    """Have the stages find a package, and only this version of it, while the body goes on; nothing stays installed.

    Raises:
        HostError: it cannot be installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--target", folder, package]
        if subprocess.run(wanted, check=False).returncode:
            raise HostError(f"{package} cannot be installed; give a released version, or look at the network")
        os.environ[LAID_OVER] = folder
        try:
            yield
        finally:
            del os.environ[LAID_OVER]


@contextlib.contextmanager
def shuffled(python: Path, seed: int | None) -> Iterator[list[str]]:
    """Arguments that have pytest go through files, and through the tests of each, in an order drawn by a seed.

    The plugin shuffles only when it is asked to, and leaves the random streams alone, which ``tests/conftest.py`` sets
    for each test. What a file prepares is still prepared once: its tests stay together.
    """
    if seed is None:
        yield []
        return
    chosen = random.SystemRandom().randrange(10**6) if seed == DRAWN else seed
    print(f"shuffled: repeat this order with --shuffle {chosen}", flush=True)
    with laid_over(python, SHUFFLER):
        yield ["--random-order-bucket=module", f"--random-order-seed={chosen}"]


@contextlib.contextmanager
def busy(wanted: bool) -> Iterator[None]:
    """Keep every core at work with something else while the body goes on, if that is wanted."""
    cores = (os.cpu_count() or 1) if wanted else 0
    others = [subprocess.Popen([sys.executable, "-c", AT_WORK, str(os.getpid())]) for _ in range(cores)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()

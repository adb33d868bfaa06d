"""Load the checkout as package ``pack``, as the host does, whatever its folder is called."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import garbage
import host_in_process
import longest
import numpy as np
import pytest
import version_free
from patience import PATIENCE

ROOT = Path(__file__).parents[1]
HOST_FOLDERS = ("nodes", "fuzz")  # tests below these run in a real ComfyUI

os.environ.setdefault("FEWSHOT_PATIENCE", str(PATIENCE))  # of the scripts that tests use

garbage.hold()

# The host's own `nodes` must not be hidden by our folder of that name.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]

_spec = importlib.util.spec_from_file_location("pack", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
assert _spec is not None
assert _spec.loader is not None
sys.modules["pack"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["pack"])


class SkippedModule(pytest.Module):
    """A test module that is not imported, because there is no host to import it with."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip(host_in_process.REASON, allow_module_level=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random calls a node gets in ``tests/fuzz``, and whether one version's tests are enough for all."""
    parser.addoption("--fuzz-examples", type=int, default=40, help="random calls of each node in tests/fuzz")
    parser.addoption("--drawn", choices=("classic", "nodes2"), help="only this way of drawing nodes, see tests/js")
    parser.addoption("--skip-version-free", action="store_true", help="without tests/support/version_free.py's")


def pytest_configure(config: pytest.Config) -> None:
    """Share out the files of tests in the order that ``tests/support/longest.py`` gives them."""
    longest.keep_order(config)


def needs_host(path: Path) -> bool:
    """Whether a test file lies below one of the folders whose tests need a host."""
    return path.is_relative_to(ROOT / "tests") and path.relative_to(ROOT / "tests").parts[0] in HOST_FOLDERS


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Start the host before the first module that needs it, or skip the module with the reason."""
    if not needs_host(module_path):
        return None
    if host_in_process.is_set():
        host_in_process.start()
        return None
    return SkippedModule.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported for the tests is no garbage."""
    try:
        return (yield)
    finally:
        garbage.let_go()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests below the host folders, so that ``-m host`` selects them, and leave out what is asked to be."""
    for item in items:
        if needs_host(item.path):
            item.add_marker(pytest.mark.host)
    if config.getoption("skip_version_free"):
        left_out = [item for item in items if version_free.is_version_free(item.nodeid)]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    longest.sort(config, items)


def seed_streams(words: str) -> None:
    """Start the global random streams anew, as a function of some words."""
    import torch

    seed = zlib.crc32(words.encode(errors="backslashreplace"))
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - a library may draw from it
    torch.manual_seed(seed)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a fixture draws depends on the fixture, and not on the tests before it or on their order."""
    seed_streams(f"{fixturedef.baseid} {fixturedef.argname} {getattr(request, 'param', '')}")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What a test draws depends on its name alone: no outcome is a matter of luck, or of what ran before."""
    seed_streams(item.nodeid)
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """What a file of tests leaves is collected; what is still there then, as modules that it has imported, stays."""
    result = yield
    if nextitem is None or nextitem.path != item.path:
        garbage.let_go()
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``host`` where there is none."""
    if item.get_closest_marker("host") and not host_in_process.is_set():
        pytest.skip(host_in_process.REASON)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT

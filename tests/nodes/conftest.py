"""Fixtures of the tests that run inside a real ComfyUI; `tests/conftest.py` starts it or skips them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import host_in_process
import pytest
from no_clock import stop_clocks

if host_in_process.is_set():
    host_in_process.start()


@pytest.fixture(autouse=True)
def _nothing_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run writes is a matter of its steps alone, however long a busy machine takes for them."""
    stop_clocks(put=monkeypatch.setattr)


@pytest.fixture(scope="module", autouse=True)
def _nothing_loaded() -> Iterator[None]:
    """No file of tests finds models of another one in the host's list, or leaves any, which would never be freed."""
    import comfy.model_management

    def unload() -> None:
        comfy.model_management.unload_all_models()
        comfy.model_management.current_loaded_models.clear()

    unload()
    yield
    unload()


@pytest.fixture(autouse=True)
def _nothing_dead() -> Iterator[None]:
    """No test leaves a model in the host's list whose MODEL is gone and whose network another test keeps.

    The host collects all garbage before each sampling as long as there is one, half a second that a user never meets.
    """
    import comfy.model_management

    yield
    loaded = comfy.model_management.current_loaded_models
    loaded[:] = [entry for entry in loaded if not entry.is_dead()]


@pytest.fixture(scope="session")
def host_base() -> Path:
    """Temporary folder that holds the host's models, input, output and temp folders."""
    return host_in_process.start()


@contextlib.contextmanager
def output_in(folder: Path) -> Iterator[Path]:
    """The host's output in a folder for a time; what is offered of it then is not offered afterwards."""
    import folder_paths

    before, folders = folder_paths.get_output_directory(), copy.deepcopy(folder_paths.folder_names_and_paths)
    folder_paths.set_output_directory(str(folder))
    yield folder
    folder_paths.set_output_directory(before)
    folder_paths.folder_names_and_paths.clear()
    folder_paths.folder_names_and_paths.update(folders)


@pytest.fixture(scope="module")
def own_output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An output folder for one file of tests, so that runs of one name do not meet; no model stays patched either."""
    import comfy.model_management

    with output_in(tmp_path_factory.mktemp("output")):
        yield
        comfy.model_management.unload_all_models()


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """An output folder of the test's own."""
    with output_in(tmp_path / "output") as folder:
        yield folder


@pytest.fixture
def model(tmp_path: Path) -> Any:
    """A tiny Wan 2.1 that no other test has seen."""
    import tiny_wan

    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan.safetensors"))

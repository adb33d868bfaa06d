"""The disk fails at each open, replace, link, fsync, mkdir and unlink of a run in turn: a sentence or a result.

After each fault the disk is well again, and the run goes on, or is finished already, with the bytes of one that never
met a fault; nothing is torn.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import tiny_wan
from disk_faults import ERRORS, Disk, failing
from tic_ft_runs import train

from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel, load_lora

STEPS = 3
SETTINGS = TrainConfig(save_every=1)
CREATING = ("open", "os.open", "replace", "rename", "link", "fsync", "mkdir", "unlink")
EACH = 2  # every so many-th call in the tests; scripts/stress/faults.py takes each


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path_factory.mktemp("wan") / "wan.safetensors"))


def output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(folder))
    return folder


def whole(model: Any) -> Any:
    return train(model, "run", steps=STEPS, settings=SETTINGS)


def check_files(folder: Path) -> None:
    """Whatever has a file's own name is whole."""
    for path in folder.rglob("*.safetensors"):
        load_lora(path)


def faulty(model: Any, disk: Disk) -> LoraModel:
    """Train on a failing disk, look at what is left, and train on on a well one."""
    with failing(disk):
        try:
            train(model, "run", steps=STEPS, settings=SETTINGS)
        except (ValueError, RuntimeError) as error:  # no bare OSError
            said = str(error)
        else:
            said = ""
    assert not said or len(said) > 20
    assert disk.failed
    check_files(Path(disk.folder))
    return whole(model)[0]


@pytest.mark.parametrize("point", CREATING)
def test_a_fault_ends_in_a_sentence_or_a_result_and_costs_no_bytes(model, tmp_path, monkeypatch, point):
    logging.disable(logging.WARNING)
    try:
        expected = whole_bytes(model, output(tmp_path / "well", monkeypatch))
        counted = Disk(output(tmp_path / "counted", monkeypatch))
        with failing(counted):
            whole(model)
        assert sum(counted.calls.values()) > 20
        for number in range(1, counted.calls[point] + 1, EACH if counted.calls[point] > 10 else 1):
            folder = output(tmp_path / f"{point} {number}", monkeypatch)
            disk = Disk(folder, point, number, ERRORS[number % len(ERRORS)])
            lora = faulty(model, disk)
            assert {key: value.numpy().tobytes() for key, value in lora.items()} == expected, (point, number)
    finally:
        logging.disable(logging.NOTSET)


def whole_bytes(model: Any, _folder: Path) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in whole(model)[0].items()}

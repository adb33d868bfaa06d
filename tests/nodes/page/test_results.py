"""Names of what has been trained: finished files of ours, the newest first, bounded, and no path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pack.nodes.host.page import results as module
from pack.nodes.host.page.results import results, trained_files
from pack.nodes.host.services.folders import aicl_output_folder, lora_output_folder
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.metadata import to_metadata

pytestmark = pytest.mark.usefixtures("output")


@pytest.fixture(autouse=True)
def _runs(monkeypatch):
    runs = [{"run": "1", "name": "done", "state": "finished"}, {"run": "2", "name": "halved", "state": "stopped"}]
    monkeypatch.setattr(module, "run_list", lambda: runs)


def save(path: Path, age: int = 0, **record: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_lora(LoraModel({"a": torch.zeros(1)}, to_metadata(record) if record else {}), path)
    os.utime(path, (1e9 - age, 1e9 - age))


def test_files_and_runs_are_listed_by_name_and_stopped_ones_are_marked():
    loras = lora_output_folder()
    save(loras / "cat" / "cat_00001_.safetensors", 50, method='"tic_ft"', finished="true")
    save(loras / "dog" / "dog_00001_.safetensors", 10, method='"tic_ft"', finished="true")
    save(loras / "cat" / "cat_00002_.safetensors", 5, method='"tic_ft"', finished="false")
    save(loras / "of another tool.safetensors")
    (loras / "broken.safetensors").write_bytes(b"no")
    save(aicl_output_folder() / "a" / "acts.safetensors", method='"aicl"')
    found = {group["title"]: group["names"] for group in results()}
    assert found == {
        "LoRAs": ["cat_00002_", "dog_00001_", "cat_00001_"], "AICL adapters": ["acts"], "Tune-A-Video": [],
        "Runs": ["done", "halved"],
    }  # fmt: skip
    assert [group["stopped"] for group in results()] == [["cat_00002_"], [], [], ["halved"]]
    assert results()[-1]["runs"] == ["1", "2"]


def test_a_long_list_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "SHOWN", 1)
    for name in "abc":
        save(lora_output_folder() / f"{name}.safetensors", ord(name), method='"tic_ft"', finished="true")
    assert results()[0] == {"title": "LoRAs", "names": ["a"], "stopped": [], "more": 2}


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert list(trained_files(tmp_path / "none")) == []

"""What becomes of a run when it is stopped late or the disk is full."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import comfy.model_management
import folder_paths
import pytest
import torch
from clip_pairs import encoded_pairs
from tic_ft_runs import STEPS, train

from pack.nodes import tic_ft_train
from pack.nodes.host.runs import job as run_job
from pack.nodes.host.runs import job as runs
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.runs.output import Trained
from pack.training.lora.file import LoraModel, load_lora
from pack.training.lora.metadata import from_metadata


@pytest.fixture
def temp(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path / "temp"))
    return tmp_path / "temp"


def fill_the_disk(monkeypatch, *below: Path, suffix: str = "") -> None:
    """Finishing a file below one of these folders fails, as on a full disk."""
    replace, link = Path.replace, os.link

    def check(target: Path) -> None:
        if target.name.endswith(suffix) and any(target.is_relative_to(folder) for folder in below):
            raise OSError(28, "No space left on device")

    def full(self: Path, target: Path) -> Path:
        check(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    monkeypatch.setattr(os, "link", lambda source, target: (check(target), link(source, target)))


def stop_the_last_validation(monkeypatch, stop: type[BaseException]) -> None:
    """The validation before training goes well, the one after it is interrupted."""
    validate, calls = run_job.validation_losses, []

    def interrupted(*arguments: Any) -> dict[str, float]:
        calls.append(arguments)
        if len(calls) > 1:
            raise stop
        return validate(*arguments)

    monkeypatch.setattr(run_job, "validation_losses", interrupted)


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("stop", [comfy.model_management.InterruptProcessingException, KeyboardInterrupt, RuntimeError])
def test_a_stop_in_the_validation_after_training_keeps_the_lora(model, monkeypatch, stop):
    stop_the_last_validation(monkeypatch, stop)
    name = f"stopped {stop.__name__}"
    with pytest.raises(stop):
        train(model, name, validation=encoded_pairs())
    (path,) = LORA.files(name).glob("*.safetensors")
    record = from_metadata(load_lora(path).metadata)
    assert (record["steps"], record["finished"]) == (str(STEPS), "false")
    assert comfy.model_management.in_training is False


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
def test_a_full_disk_sends_the_lora_to_the_runs_folder(model, monkeypatch, caplog, temp, suffix):
    name = f"full {suffix[1:]}"
    fill_the_disk(monkeypatch, LORA.files(name), suffix=suffix)
    with caplog.at_level("WARNING"):
        lora, _, _, path, _ = train(model, name)
    assert Path(path).parent == runs_folder() / name
    assert files(LORA.files(name)) + files(temp) == []
    assert all(torch.equal(value, lora[key]) for key, value in load_lora(Path(path)).items())
    assert path in caplog.text
    assert "No space left" in caplog.text


def test_a_lora_that_can_be_saved_nowhere_says_so_and_leaves_nothing(model, monkeypatch, temp):
    fill_the_disk(monkeypatch, Path(temp.anchor), suffix=".safetensors")
    with pytest.raises(RuntimeError, match=r"saved neither in .*nowhere \(.*No space.* nor in .*free some space"):
        train(model, "nowhere")
    assert files(LORA.files("nowhere")) + files(temp) == []


def test_a_cancelled_run_that_cannot_be_saved_is_still_a_cancelled_one(model, monkeypatch, caplog, temp):
    stop_the_last_validation(monkeypatch, comfy.model_management.InterruptProcessingException)
    fill_the_disk(monkeypatch, Path(temp.anchor), suffix=".safetensors")
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        train(model, "cancelled and full", validation=encoded_pairs())
    assert f"stopped after {STEPS} steps and the LoRA could be saved neither" in caplog.text
    assert files(LORA.files("cancelled and full")) + files(temp) == []


def test_a_run_tells_the_page_its_id_also_when_it_is_returned_and_not_trained_again(model, monkeypatch):
    shown = []
    node_output = tic_ft_train.io.NodeOutput
    monkeypatch.setattr(
        tic_ft_train.io, "NodeOutput", lambda *values, ui: shown.append(ui) or node_output(*values, ui=ui)
    )
    first, again = train(model, "told"), train(model, "told")
    assert again[3] == first[3]
    record = json.loads((runs_folder() / "told" / "run.json").read_text())
    assert [ui["fewshot_run"] for ui in shown] == [[record["id"]]] * 2


@pytest.mark.parametrize("run", [{}, {"run": ""}])
def test_a_run_whose_id_is_not_known_tells_the_page_nothing(tmp_path, run):
    assert Trained(LoraModel({}, {}), [], 0, tmp_path, **run).ui == {}


def test_a_run_of_an_earlier_way_of_training_is_not_taken_for_this_one(model, monkeypatch):
    first = train(model, "revision")[3]
    assert train(model, "revision")[3] == first
    monkeypatch.setattr(runs, "TRAINING_REVISION", runs.TRAINING_REVISION + 1)
    with pytest.raises(ValueError, match="training revision 2 → 3"):
        train(model, "revision")
    assert train(model, "revision", on_change="start over")[3] != first

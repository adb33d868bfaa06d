"""Between two parts of a run the clock is set back, the output folder moves, or the host becomes another."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import tiny_wan
import workflow_checks  # noqa: F401 - it makes scripts/ importable
from comfy.model_management import InterruptProcessingException
from host_setup.build import host_directory, read_marker
from host_setup.pins import PINS, Host, venv_python
from killed_training import NAME, run_through, tensors, trainer_of
from tic_ft_runs import interrupt_after, train

from pack.training.core.config import TrainConfig

SETTINGS = TrainConfig(save_every=1)
CLOSE = 1e-4  # relative; one ComfyUI may add up in another order than the other


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path_factory.mktemp("wan") / "wan.safetensors"))


def bytes_of(lora: dict[str, Any]) -> dict[str, bytes]:
    return {key: value.numpy().tobytes() for key, value in lora.items()}


def test_a_run_goes_on_after_its_surroundings_have_changed(model, tmp_path, monkeypatch):
    def output(name: str) -> Path:
        monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / name))
        return tmp_path / name

    output("whole")
    whole = bytes_of(train(model, "run", settings=SETTINGS)[0])
    first = output("first")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3)
        with pytest.raises(InterruptProcessingException):
            train(model, "run", settings=SETTINGS)
    shutil.move(first, tmp_path / "moved")
    output("moved")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 400 * 86400)
    lora, losses, steps, path, _ = train(model, "run", settings=SETTINGS)
    assert (steps, len(losses["loss"])) == (6, 6)
    assert Path(path).is_relative_to(tmp_path / "moved")
    assert bytes_of(lora) == whole


def built_hosts() -> list[Host]:
    """The ComfyUIs that are on this machine, the newest first."""
    found = [(pin, host_directory(pin)) for pin in PINS.values() if read_marker(pin) is not None]
    return [Host(folder / "ComfyUI", venv_python(folder / "venv"), pin.comfyui) for pin, folder in found]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.usefixtures("output")
def test_a_run_goes_on_in_a_newer_comfyui(tmp_path):
    hosts = built_hosts()
    if len(hosts) < 2:
        pytest.skip("needs two ComfyUIs: run `python scripts/test.py` once")
    newer, older = hosts[:2]
    folder, steps = tmp_path / "updated", 6
    folder.mkdir()
    code, printed = run_through(folder, steps, die="step:4", host=older)
    assert code == -signal.SIGKILL, printed
    code, printed = run_through(folder, steps, host=newer)
    assert code == 0, printed
    assert "step 3\n" not in printed
    run = folder / "output" / "fewshot_video" / "runs" / NAME
    assert json.loads((run / "run.json").read_text())["state"] == "finished"
    whole = trainer_of("tic_ft", folder / "wan.safetensors")(NAME, steps)
    losses = json.loads((run / "history.json").read_text())["loss"]
    assert losses == pytest.approx(whole[1]["loss"], rel=CLOSE)
    assert tensors(folder).keys() == tensors(tmp_path).keys()

"""Between two parts of a run the clock is set back, the output folder moves and the host is updated: same bytes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import tiny_wan
from comfy.model_management import InterruptProcessingException
from tic_ft_runs import interrupt_after, train

from pack.nodes.host.services import version
from pack.training.core.config import TrainConfig

SETTINGS = TrainConfig(save_every=1)


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
    monkeypatch.setattr(version, "host_version", lambda: "0.31.0")
    lora, losses, steps, path, _ = train(model, "run", settings=SETTINGS)
    assert (steps, len(losses["loss"])) == (6, 6)
    assert Path(path).is_relative_to(tmp_path / "moved")
    assert bytes_of(lora) == whole

"""A LoRA that cannot be saved where it belongs lies where it is not deleted, and that is said."""

from __future__ import annotations

import errno
import logging
import shutil
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import tiny_wan
from tic_ft_runs import train

from pack.nodes.host.runs import output as output_module
from pack.nodes.host.runs import saving
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.services import node_text
from pack.nodes.host.session.session import HostPredictor
from pack.nodes.training import FewShotSaveLoRA
from pack.training.lora.file import load_lora

pytestmark = pytest.mark.usefixtures("own_output")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path_factory.mktemp("wan") / "wan.safetensors"))


def full(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """These folders take no LoRA any more."""
    write = output_module.write_new

    def refuse(path: Path, data: bytes) -> None:
        if any(path.is_relative_to(folder) for folder in folders):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, data)

    monkeypatch.setattr(output_module, "write_new", refuse)


@pytest.fixture
def on_node(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(saving, "show_text", said.append)
    return said


def test_a_lora_that_its_folder_does_not_take_goes_into_the_run_and_that_is_said(model, monkeypatch, on_node, caplog):
    loras = Path(folder_paths.get_output_directory()) / "loras"
    full(monkeypatch, loras)
    with caplog.at_level(logging.WARNING):
        path = Path(train(model, "rescued", steps=2)[3])
    assert path.parent == runs_folder() / "rescued"
    assert load_lora(path)
    (said,) = on_node
    assert said.startswith(f"the LoRA could not be saved in {loras / 'rescued'} ([Errno 28] No space left on device)")
    assert said.endswith(f"it is in {path}")
    assert said in caplog.text
    assert f'"{said}"'.replace("\\", "\\\\") in (runs_folder() / "rescued" / "metrics.jsonl").read_text()


def test_with_the_whole_output_folder_full_it_goes_to_the_models(model, monkeypatch, on_node):
    full(monkeypatch, Path(folder_paths.get_output_directory()))
    path = Path(train(model, "elsewhere", steps=2)[3])
    assert not path.is_relative_to(folder_paths.get_temp_directory())
    assert path.parent in [Path(folder) for folder in folder_paths.get_folder_paths("loras")]
    assert len(on_node) == 1


def test_the_temp_folder_is_the_last_resort_and_its_emptying_is_said(model, monkeypatch, on_node):
    temp = Path(folder_paths.get_temp_directory())
    places = [Path(folder_paths.get_output_directory()), Path(folder_paths.get_user_directory())]
    full(monkeypatch, *places, *map(Path, folder_paths.get_folder_paths("loras")))
    path = Path(train(model, "last", steps=2)[3])
    assert path.is_relative_to(temp)
    assert on_node[0].endswith("move it before ComfyUI restarts and empties that folder")


def test_a_lora_that_no_folder_takes_names_them_all(model, monkeypatch, on_node):
    full(monkeypatch, Path("/"))
    with pytest.raises(RuntimeError, match=r"could be saved neither in .*loras.*, nor in .*No space left.*; free"):
        train(model, "nowhere", steps=2)
    assert not on_node


def test_a_renamed_or_moved_lora_still_counts_as_the_finished_run(model, monkeypatch):
    calls, predict = [], HostPredictor.__call__
    monkeypatch.setattr(HostPredictor, "__call__", lambda self, *a: (calls.append(1), predict(self, *a))[1])
    path = Path(train(model, "", steps=2, seed=7)[3])
    losses = train(model, "", steps=2, seed=7)[1]
    made = len(calls)
    hero = path.with_name("hero.safetensors")
    path.rename(hero)
    renamed = train(model, "", steps=2, seed=7)
    moved = Path(folder_paths.get_folder_paths("loras")[0]) / "hero2.safetensors"
    moved.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(hero, moved)
    found = train(model, "", steps=2, seed=7)
    assert len(calls) == made
    assert (Path(renamed[3]), Path(found[3])) == (hero, moved)
    assert renamed[1] == found[1] == losses
    moved.unlink()
    train(model, "", steps=2, seed=7)
    assert len(calls) > made  # it was thrown away


def test_a_name_that_no_disk_takes_is_refused_before_a_step(model):
    with pytest.raises(ValueError, match="has 300 bytes, disks take 180"):
        train(model, "a" * 300, steps=2)


@pytest.mark.parametrize("name", ["a" * 300, "a\0b", "a\ud800"])
def test_save_lora_refuses_names_that_no_disk_takes(model, name):
    lora = train(model, "source", steps=2)[0]
    with pytest.raises(ValueError, match=r"disks take 180|null character|half a character"):
        FewShotSaveLoRA.execute(lora=lora, filename=name)


def test_save_lora_says_where_it_cannot_write(model, tmp_path, monkeypatch):
    lora = train(model, "source", steps=2)[0]
    (tmp_path / "output").write_text("a file where a folder should be")
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    with pytest.raises(RuntimeError, match=r"the LoRA cannot be saved in .*output.* allow writing there"):
        FewShotSaveLoRA.execute(lora=lora, filename="hero")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "null"], ids=["cut off", "nested", "empty"])
def test_a_run_whose_record_is_damaged_starts_over_where_asked(model, text):
    name = f"damaged {len(text)}"
    train(model, name, steps=2)
    record = runs_folder() / name / "run.json"
    record.write_text(text)
    with pytest.raises(ValueError, match=r'cannot be used .* or set on_change to "start over"'):
        train(model, name, steps=3, seed=3)
    assert train(model, name, steps=3, seed=3, on_change="start over")[2] == 3
    assert list(runs_folder().glob(f"{name} (old *)"))


def test_text_is_drawn_on_the_node_that_runs_now_and_nowhere_else():
    node_text.show_text("no prompt is running here")

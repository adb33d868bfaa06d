"""A run's folder: what lies there is whole and this run's, or it is said what it is instead."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import torch
from regression import new_run, new_trainer

from pack.training.core.config import TrainConfig
from pack.training.runs.changes import changed_identity, changed_settings, refuse_changes
from pack.training.runs.folder import RunFolder, check_run_name, free_name
from pack.training.storage import opened as opening
from pack.training.storage.state_file import read_state, write_state

NESTED = {
    "tensors": [torch.arange(6).reshape(2, 3), torch.tensor(1.5), torch.zeros(0)],
    "half": {"bf16": torch.ones(3, dtype=torch.bfloat16), "codes": torch.tensor([1, 255], dtype=torch.uint8)},
    "plain": (1, 0.1, "text", None, True),
    "by number": {3: [float("inf")]},
}


def same(first, second) -> bool:
    if isinstance(first, torch.Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return type(first) is type(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
    return first == second


def saved_run(folder: Path, steps: int = 4) -> RunFolder:
    run, _ = new_run(folder, new_trainer(TrainConfig(steps=steps, save_every=1, keep=3)))
    run.go()
    return run.folder


def test_nested_values_come_back_as_they_were(tmp_path):
    assert same(read_state(write_state(tmp_path / "state.safetensors", NESTED)), NESTED)


def test_two_views_of_one_tensor_can_be_saved(tmp_path):
    whole = torch.arange(4.0)
    values = {"whole": whole, "part": whole[1:], "again": whole}
    assert same(read_state(write_state(tmp_path / "state.safetensors", values)), values)


def test_what_is_no_value_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"^a\.1 is a object, which a run's state cannot hold"):
        write_state(tmp_path / "state.safetensors", {"a": [1, object()]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-4] + b"\0\1\2\3", lambda _: b"", lambda b: b[:9]])
def test_a_damaged_state_is_noticed(tmp_path, damage):
    path = write_state(tmp_path / "state.safetensors", NESTED)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"state\.safetensors (cannot be read|is not what was written)"):
        read_state(path)


def test_a_state_that_is_held_is_no_damaged_one(tmp_path, monkeypatch):
    def held(*_args: object, **_options: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_state(tmp_path / "state.safetensors", NESTED)
    monkeypatch.setattr(opening, "safe_open", held)
    with pytest.raises(RuntimeError, match=r"^state.safetensors cannot be read now \(Permission denied\); close what"):
        read_state(path)


def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path, caplog):
    folder = saved_run(tmp_path / "run")
    newest = folder.state_path(4)
    newest.write_bytes(newest.read_bytes()[:-5])
    assert folder.load()["train"]["step"] == 3
    assert "state_00000004.safetensors cannot be read" in caplog.text
    folder.forget_after(3)
    assert [step for step, _ in folder.states()] == [3, 2]


def test_a_state_of_another_run_is_passed_over(tmp_path, caplog):
    folder, other = saved_run(tmp_path / "run"), saved_run(tmp_path / "other", steps=9)
    other.state_path(9).rename(folder.state_path(9))
    assert folder.load()["train"]["step"] == 4
    assert "state_00000009.safetensors belongs to another run" in caplog.text


@pytest.mark.parametrize(
    "files", [{"notes.txt": "mine"}, {"run.json": "{"}, {"run.json": "[]"}, {"run.json": '{"format": "other"}'}]
)
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path, files):
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(ValueError, match="give another run_name, or move that folder away"):
        RunFolder(folder).read()
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


def test_a_record_with_an_id_that_could_be_a_path_is_refused(tmp_path):
    folder = saved_run(tmp_path / "run")
    record = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps({**record, "id": "../../x"}))
    with pytest.raises(ValueError, match="it has no id"):
        RunFolder(folder.path).read()


def test_a_missing_or_empty_folder_is_no_run(tmp_path):
    assert not RunFolder(tmp_path / "none").read()
    (tmp_path / "empty").mkdir()
    assert not RunFolder(tmp_path / "empty").read()
    (tmp_path / "empty" / "run.json.0123.tmp").write_text("{")  # killed within the first write
    assert not RunFolder(tmp_path / "empty").read()


def test_a_save_that_fails_leaves_the_states_before(tmp_path, monkeypatch):
    folder = saved_run(tmp_path / "run")
    before = sorted(path.name for path in folder.path.rglob("*"))

    def full(*_):
        raise OSError(28, "No space left on device")

    for point in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(*((os, "fsync", full) if point == "fsync" else (Path, "replace", full)))
            with pytest.raises(OSError, match="No space left"):
                folder.save(5, {"train": {}, "trainer": {}}, keep=1)
        assert sorted(path.name for path in folder.path.rglob("*")) == before
    assert folder.load()["train"]["step"] == 4


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path):
    folder = saved_run(tmp_path / "run")
    for place in (folder.path, folder.path / "states"):
        (place / "state_00000005.safetensors.0123.tmp").write_bytes(b"half")
    again = RunFolder(folder.path)
    assert again.read()
    again.begin()
    assert not list(folder.path.rglob("*.tmp"))
    assert again.id == folder.id


def test_a_run_that_starts_over_keeps_the_old_one_under_another_name(tmp_path):
    names = []
    for _ in range(2):
        names.append(saved_run(tmp_path / "run").set_aside().name)
    assert names == ["run (old 1)", "run (old 2)"]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["CON", "nul", "Com1", "lpt¹", "aux.txt", "PRN .a.b", "com0.tar.gz"])
def test_a_name_that_is_a_device_on_windows_names_no_run(name):
    sentence = f"the run name {name!r} is a device on Windows and cannot name a folder there; give another"
    with pytest.raises(ValueError, match=rf"^{re.escape(sentence)}$"):
        check_run_name(name)


@pytest.mark.parametrize("name", ["", "ball.", "ball ", "../ball", "a/b", "a\\b", ".ball", "C:ball", "a\n"])
def test_a_name_that_leads_elsewhere_or_ends_in_a_dot_or_space_names_no_run(name):
    with pytest.raises(ValueError, match="cannot name a folder; use letters, digits, spaces, dots, _ and -"):
        check_run_name(name)


@pytest.mark.parametrize("name", ["ball", "Ball 2.1+a-b_c", "été", "console", "com10", "nul_1", "a.con", "COM"])
def test_other_names_are_taken(name, tmp_path):
    check_run_name(name)
    (tmp_path / name).mkdir()


def test_a_new_run_gets_the_next_free_number(tmp_path):
    assert free_name(tmp_path, "task") == "task_00001"
    for name in ("task_00001", "task_00007", "task_other", "task_12"):
        (tmp_path / name).mkdir()
    assert free_name(tmp_path, "task") == "task_00008"


def test_changed_settings_are_listed_with_both_values():
    before = TrainConfig(learning_rate=1e-4, steps=100).to_dict()
    after = TrainConfig(learning_rate=5e-5, steps=100, rank=8, save_every=7, checkpointing="blocks").to_dict()
    assert changed_settings(before, after, 0) == ["rank 16 → 8", "learning_rate 0.0001 → 5e-05"]


def test_more_steps_are_no_change_and_fewer_than_done_are():
    before = TrainConfig(steps=100).to_dict()
    assert changed_settings(before, TrainConfig(steps=200).to_dict(), 100) == []
    assert changed_settings(before, TrainConfig(steps=50).to_dict(), 40) == []
    assert changed_settings(before, TrainConfig(steps=50).to_dict(), 60) == ["steps 100 → 50"]


def test_settings_an_older_version_did_not_have_count_as_their_defaults():
    before = TrainConfig().to_dict()
    del before["ema_decay"]
    assert changed_settings(before, TrainConfig().to_dict(), 0) == []
    assert changed_settings(before, TrainConfig(ema_decay=0.9).to_dict(), 0) == ["ema_decay 0 → 0.9"]


def test_of_data_only_its_name_is_told_and_of_plain_values_both():
    before = {"task": "keyframes", "clips": "a" * 64, "gone": 1}
    after = {"task": "custom", "clips": "b" * 64}
    assert changed_identity(before, after) == ["task keyframes → custom", "clips", "gone 1 → (none)"]


@pytest.mark.parametrize(
    ("changes", "offered"),
    [
        (["learning_rate 0.0001 → 5e-05"], True),
        (["rank 16 → 8"], False),
        (["seed 0 → 1", "size small → tiny"], False),
        (["query_rank 0 → 4"], False),
    ],
)
def test_accept_is_offered_only_where_the_weights_keep_their_shapes(changes, offered):
    with pytest.raises(ValueError, match="set them as they were") as refused:
        refuse_changes("run", 3, changes)
    assert ('"accept"' in str(refused.value)) == offered
    assert '"start over"' in str(refused.value)


def test_the_shape_of_a_schedule_counts_where_it_is_used():
    def changes(before: TrainConfig | dict, **after) -> list[str]:
        before = before if isinstance(before, dict) else before.to_dict()
        return changed_settings(before, TrainConfig(**after).to_dict(), 0)

    assert not changes(TrainConfig(lr_cycles=2), lr_cycles=4, lr_power=1.5)
    restarts = TrainConfig(lr_schedule="cosine_with_restarts", lr_cycles=2)
    assert changes(restarts, lr_schedule="cosine_with_restarts", lr_cycles=4) == ["lr_cycles 2 → 4"]
    old = {k: v for k, v in restarts.to_dict().items() if k not in ("lr_cycles", "lr_power")}  # it fell once
    assert changes(old, lr_schedule="cosine_with_restarts") == ["lr_cycles 1 → 3"]
    assert not changes(old, lr_schedule="cosine_with_restarts", lr_cycles=1)


def test_a_state_that_is_written_counts_where_its_record_cannot_be_changed(tmp_path, monkeypatch, caplog):
    run = saved_run(tmp_path / "run")
    monkeypatch.setattr(
        type(run), "note", lambda *_args, **_values: (_ for _ in ()).throw(PermissionError("it is held"))
    )
    values = run.load()
    assert values is not None
    path = run.save(9, {key: value for key, value in values.items() if key != "run"}, 3)
    assert path.exists()
    assert "state_00000009.safetensors is saved; its record or an older state could not be changed" in caplog.text
    assert run.states()[0][0] == 9
    assert run.load() is not None

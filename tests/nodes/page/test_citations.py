"""How a file, a run and a method are cited: looked up among what the host offers, never as a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pack.nodes.host.page import citations
from pack.nodes.host.page.citations import cite
from pack.nodes.host.runs import live_runs
from pack.nodes.host.services.folders import lora_output_folder
from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.metadata import to_metadata
from pack.training.runs.folder import RunFolder

RECORD = {
    "method": '"tic_ft"', "base_family": "Wan 2.1", "base_model": "a model", "clips": "12", "steps": "30",
    "finished": "true", "config": json.dumps(TrainConfig(steps=30).to_dict()),
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("output")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch, tmp_path):
    monkeypatch.setattr(live_runs, "runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(live_runs, "RUNS", {})


def save(name: str, metadata: dict[str, str]) -> Path:
    path = lora_output_folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_lora(LoraModel({"a.lora_up.weight": torch.zeros(2, 2)}, metadata), path)


def test_a_file_is_cited_with_the_papers_of_its_own_method():
    save("cat/cat_00001_.safetensors", to_metadata({**RECORD, "method": '"motion"'}))
    found = cite(method="tic_ft", folder="loras", name="cat/cat_00001_.safetensors")
    assert found["title"] == "one-shot motion"
    assert "zhao2023motiondirector" in found["bibtex"]
    assert "kim2025temporal" not in found["bibtex"]
    assert "@misc{cat_00001,\n" in found["bibtex"]
    assert found["line"].startswith("cat_00001_: one-shot motion LoRA")


def test_a_file_that_says_nothing_is_cited_by_the_method_of_its_node_or_refused():
    save("plain.safetensors", {})
    found = cite(method="tic_ft", folder="loras", name="plain.safetensors")
    assert found["bibtex"].count("@") == 1
    assert found["line"] == ""
    with pytest.raises(ValueError, match=r"plain.safetensors does not say how it was trained; choose a file"):
        cite(folder="loras", name="plain.safetensors")


def test_a_record_without_the_rest_still_names_its_method():
    save("part.safetensors", to_metadata({"method": '"tic_ft"'}))
    found = cite(folder="loras", name="part.safetensors")
    assert (found["title"], found["line"]) == ("TIC-FT", "")


@pytest.mark.parametrize("method", ["", "odd", "../tic_ft", '{"a": 1}'])
def test_an_unknown_method_is_refused(method):
    with pytest.raises(ValueError, match="nothing is known of the method"):
        cite(method=method)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("loras", "../secret.safetensors"), ("loras", "/etc/passwd"), ("loras", "none.safetensors"), ("checkpoints", "a"),
     ("", "x"), ("loras", "a\x00b")],
)  # fmt: skip
def test_what_is_not_offered_is_not_read(folder, name, monkeypatch):
    monkeypatch.setattr(citations, "read_metadata", lambda _path: pytest.fail("a file was read"))
    with pytest.raises(ValueError, match="there is no file"):
        cite(method="tic_ft", folder=folder, name=name)


def test_a_run_is_cited_by_the_file_it_has_made(tmp_path):
    save("cat/cat_00001_.safetensors", to_metadata(RECORD))
    run = RunFolder(tmp_path / "runs" / "cat")
    run.path.mkdir(parents=True)
    run.begin(name="cat", config={}, identity={})
    (run.path / "metrics.jsonl").write_text(json.dumps({"kind": "started", "step": 0, "run": run.id}) + "\n")
    assert "@misc" not in cite(method="tic_ft", run=run.id)["bibtex"]  # nothing is saved yet
    run.note(lora="cat/cat_00001_.safetensors")
    assert "@misc{cat_00001," in cite(method="tic_ft", run=run.id)["bibtex"]
    run.note(lora="../../secret.safetensors")
    assert "@misc" not in cite(method="tic_ft", run=run.id)["bibtex"]
    (run.path / "run.json").write_text("[]")
    assert "@misc" not in cite(method="tic_ft", run=run.id)["bibtex"]
    assert "@misc" not in cite(method="tic_ft", run="unknown")["bibtex"]

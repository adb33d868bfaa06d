"""Checkpoints of a run as LoRAs: which there are, which are taken, and what they hold."""

from __future__ import annotations

import json

import pytest
import torch

from pack.training.core.config import TrainConfig
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.layers import LoraAdapters
from pack.training.runs.checkpoints import checkpoints_of, evenly, lora_of_state
from pack.training.runs.folder import BEST, RunFolder

CONFIG = TrainConfig(rank=2, alpha=3.0)


def adapters(seed: int) -> LoraAdapters:
    made = LoraAdapters({"blocks.0.q": torch.nn.Linear(4, 6), "blocks.1.q": torch.nn.Linear(4, 5)}, 2, 3.0, seed)
    for adapter in made.by_name.values():
        torch.nn.init.normal_(adapter.lora_up, generator=torch.Generator().manual_seed(seed))
    return made


def state(seed: int, average: bool = False) -> dict:
    weights = [weight.detach() for weight in adapters(seed).parameters()]
    other = [weight.detach() for weight in adapters(seed + 100).parameters()]
    values = {"names": adapters(seed).names, "weights": other if average else weights, "average": None}
    return {"trainer": {**values, "average": {"steps": 1, "weights": weights}} if average else values}


@pytest.fixture
def run(tmp_path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.begin(name="run", config=CONFIG.to_dict(), identity={"method": "tic_ft"})
    for steps in (10, 20, 30):
        run.save(steps, state(steps), keep=9)
    return run


@pytest.mark.parametrize("average", [False, True])
def test_a_state_holds_the_lora_that_its_adapters_would_be_saved_as(average):
    expected = adapters(5).tensors()
    found = lora_of_state(state(5, average), CONFIG)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_states_best_and_files_are_listed_once_by_their_steps(run, tmp_path):
    marked = LoraModel(adapters(1).tensors(), {"fewshot_video.steps": "20"})
    save_lora(marked, run.path / BEST)
    for name, owner in (("own", run.id), ("another", "0" * 32)):
        steps = {"own": "40", "another": "50"}[name]
        save_lora(LoraModel(adapters(2).tensors(), {"fewshot_video.steps": steps}), tmp_path / f"{name}.safetensors")
        (tmp_path / f"{name}.json").write_text(json.dumps({"run": owner}))
    found = checkpoints_of(run, sorted(tmp_path.glob("*.safetensors")))
    assert [checkpoint.steps for checkpoint in found] == [10, 20, 30, 40]
    assert torch.equal(
        found[1].load()["diffusion_model.blocks.0.q.lora_up.weight"], adapters(1).by_name["blocks.0.q"].up
    )
    assert torch.equal(
        found[2].load()["diffusion_model.blocks.0.q.lora_up.weight"], adapters(30).by_name["blocks.0.q"].up
    )


@pytest.mark.parametrize("method", ["aicl", "tune_a_video", None])
def test_a_run_of_another_method_is_refused(tmp_path, method):
    run = RunFolder(tmp_path / "other")
    run.begin(name="other", config=CONFIG.to_dict(), identity={"method": method} if method else {})
    with pytest.raises(ValueError, match=r"the run other is of .* and makes no LoRA; name a run of one"):
        checkpoints_of(run)


@pytest.mark.parametrize(("count", "most", "kept"), [
    (5, 0, [0, 1, 2, 3, 4]), (5, 9, [0, 1, 2, 3, 4]), (5, 1, [4]), (9, 3, [2, 5, 8]), (10, 2, [4, 9]),
])  # fmt: skip
def test_those_taken_are_spread_and_the_last_is_among_them(count, most, kept):
    assert evenly(range(count), most) == kept

"""A base split over two processes computes what a whole one does, and each holds half of its blocks; gloo, no host."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import shared_runs
import split_engine
import torch

from pack.training.storage.state_file import read_state

pytestmark = pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")
MODES = ("plain", "checkpointed")
SCALARS = 4 * split_engine.DEPTH  # bytes of numbers that stand alone, which every process has


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> list[dict[str, Any]]:
    """What each of two processes says."""
    folder: Path = tmp_path_factory.mktemp("split")
    script = Path(split_engine.__file__)
    ends = shared_runs.finish(shared_runs.launch(folder, 2, run=str(folder), script=script))
    assert [code for code, _ in ends] == [0, 0], ends
    return [read_state(folder / f"{rank}.safetensors") for rank in range(2)]


@pytest.mark.parametrize("mode", MODES)
def test_output_and_gradient_are_those_of_a_whole_network(processes, mode):
    for process in processes:
        for name in ("out", "gradient"):
            assert torch.equal(process[mode]["split"][name], process[mode]["alone"][name])


@pytest.mark.parametrize("mode", MODES)
def test_each_process_holds_half_of_the_blocks_and_all_of_one_while_it_computes(processes, mode):
    for process in processes:
        half = (process["whole"] - SCALARS) / 2 + SCALARS
        split = process[mode]["split"]
        assert split["held"] == split["held after"] == half
        passes = 1 + (mode == "checkpointed")
        assert [len(seen) for seen in split["seen"]] == [passes] * split_engine.DEPTH
        one = (process["whole"] - SCALARS) / split_engine.DEPTH
        # The other half of it, and of the next one, which may be gathered already.
        assert all(half < seen <= half + one for block in split["seen"] for seen in block)


@pytest.mark.parametrize("mode", MODES)
def test_the_network_is_what_it_was_afterwards(processes, mode):
    for process in processes:
        assert process[mode]["same"]
        assert process[mode]["keys"]
        assert not any(kind.startswith("FSDP") for kind in process[mode]["kinds"])
        assert torch.equal(process[mode]["out again"], processes[0]["plain"]["out again"])

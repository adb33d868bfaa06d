"""Several processes share a run's steps and learn what one learns; torch and gloo, no host."""

from __future__ import annotations

import importlib.util
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import shared_engine
import shared_runs
import torch

from pack.training.storage.state_file import read_state

pytestmark = pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")
CLOSE = 1e-5  # relative; the order of a sum is all that differs
COUNT = 4  # processes, more than a step has batches; two share those of test_command.py


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    """What one process learns."""
    return shared_engine.trained()


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> list[dict[str, Any]]:
    """What each of several processes says came of all scenarios."""
    folder: Path = tmp_path_factory.mktemp("engine")
    script = Path(shared_engine.__file__)
    ends = shared_runs.finish(shared_runs.launch(folder, COUNT, run=str(folder), script=script))
    assert [code for code, _ in ends] == [0] * COUNT, ends
    return [read_state(folder / f"{COUNT}_{rank}.safetensors") for rank in range(COUNT)]


def relative(one: list[Any], other: list[Any]) -> float:
    """``|a - b| / |b|`` over all tensors."""
    pairs = [(torch.as_tensor(a).double(), torch.as_tensor(b).double()) for a, b in zip(one, other, strict=True)]
    apart = sum(float((a - b).square().sum()) for a, b in pairs)
    return (apart / sum(float(b.square().sum()) for _, b in pairs)) ** 0.5


def test_losses_weights_and_average_are_those_of_one_process(alone, shared):
    for process in shared:
        whole = process["whole"]
        assert relative([whole["losses"]], [alone["losses"]]) < CLOSE
        assert relative(whole["weights"], alone["weights"]) < CLOSE
        assert relative(whole["average"], alone["average"]) < CLOSE
        assert relative(whole["per_sample"], alone["per_sample"]) < CLOSE
        assert (whole["clips"], whole["sigmas"]) == (alone["clips"], alone["sigmas"])


def test_every_clip_of_a_step_is_seen_by_one_process_alone(alone, shared):
    seen = [process["whole"]["calls"] for process in shared]
    assert sum(seen) == alone["calls"] == shared_engine.STEPS * shared_engine.BATCH * shared_engine.ACCUMULATION
    assert max(seen) - min(seen) <= shared_engine.STEPS  # shares differ by one clip a step at most


def test_all_processes_hold_the_same_bytes_and_a_second_run_gives_them_again(shared):
    first = shared[0]["whole"]
    for process in shared:
        for run in (process["whole"], process["again"]):
            assert run["losses"] == first["losses"]
            assert all(torch.equal(a, b) for a, b in zip(run["weights"], first["weights"], strict=True))


def test_a_batch_smaller_than_the_group_leaves_some_idle_and_the_result_as_it_is(shared):
    one = shared_engine.trained(batch=1, steps=3)
    for process in shared:
        assert relative(process["idle"]["weights"], one["weights"]) < CLOSE
    assert sum(process["idle"]["calls"] for process in shared) == 3 * shared_engine.ACCUMULATION


def test_a_process_that_fails_ends_the_others_at_the_same_step(shared):
    raised = [process["failed"]["raised"] for process in shared]
    assert raised == ["ValueError" if rank == 1 else "PeerFailedError" for rank in range(len(shared))]
    assert {process["failed"]["steps"] for process in shared} == {3}


def test_a_process_out_of_memory_is_the_same_to_all(shared):
    raised = [process["memory"]["raised"] for process in shared]
    assert raised == ["RuntimeError" if rank == 1 else "MemoryError" for rank in range(len(shared))]


def test_an_update_that_one_process_lacks_memory_for_ends_all_at_the_same_step(shared):
    first, *others = (process["torn"] for process in shared)
    assert first == {"raised": "the moments find no room", "steps": 3, "noted": [1, 2, 3], "torn": True, "apart": True}
    whole = {"steps": 4, "noted": [1, 2, 3, 4], "torn": False, "apart": True}
    assert others == [{"raised": "another process of the run is out of memory", **whole}] * (COUNT - 1)


def test_an_end_asked_of_one_process_is_everybodys_after_the_same_step(shared):
    assert [process["stopped"] for process in shared] == [{"steps": 5, "ended": True}] * len(shared)


def test_what_process_0_tells_is_heard_as_it_was(shared):
    for process in shared:
        told = process["told"]
        assert told["plain"] == [1, None, "two", 0.5]
        assert torch.equal(told["tensors"]["a"], torch.arange(6.0).view(2, 3))
        assert isinstance(told["tensors"]["b"], tuple)


def test_a_copy_of_runs_shares_no_file_that_is_written_into(tmp_path):
    names = ("output/runs/state_1.safetensors", "output/runs/metrics.jsonl", "models/tiny.safetensors")
    for name in names:
        (tmp_path / "base" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "base" / name).write_text(name)
    copied = shared_runs.copy(tmp_path / "base", tmp_path / "copy")
    assert [(copied / name).read_text() for name in names] == list(names)
    assert [(copied / name).samefile(tmp_path / "base" / name) for name in names] == [True, False, False]


def test_a_port_that_a_group_was_given_goes_to_nobody_else():
    port = shared_runs.free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    with socket.socket() as store:
        store.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch's does
        store.bind(("", port))
        store.listen()


@pytest.mark.parametrize(
    ("cpu", "cards", "nccl", "asked"),
    [
        (False, True, False, {"backend": "gloo"}),
        (False, True, True, {}),
        (False, False, False, {}),
        (True, True, False, {}),
    ],
    ids=["Windows", "Linux", "no card", "--cpu"],
)
def test_cards_exchange_with_gloo_where_there_is_no_nccl(monkeypatch, cpu, cards, nccl, asked):
    from pack.training.distributed import group

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)
    assert group.backend(cpu) == asked


def test_this_process_is_alone():
    from pack.training.distributed.processes import processes

    assert (processes().rank, processes().count) == (0, 1)
    assert "torch.distributed.run" not in sys.modules

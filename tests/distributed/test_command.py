"""``train.py``: a run leaves the graph, is trained in several processes, and comes back. Real host, tiny networks."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import threading
from pathlib import Path

import pytest
import shared_runs
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pack.training.runs.portable import FILE

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed"),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]
CLOSE = 1e-5  # relative
GOAL = 6


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """A run of each trainer of which the graph has done 2 of 6 steps."""
    base = tmp_path_factory.mktemp("begun") / "base"
    shared_runs.begin(base, 2, *shared_runs.TRAINERS, goal=GOAL)
    return base


@pytest.fixture
def base(begun, tmp_path) -> Path:
    """A copy of it, of the test's own."""
    return shared_runs.copy(begun, tmp_path / "base")


@pytest.fixture(scope="module")
def in_graph(begun, tmp_path_factory) -> Path:
    """What the graph makes of it."""
    folder = shared_runs.copy(begun, tmp_path_factory.mktemp("graph") / "base")
    shared_runs.begin(folder, GOAL, *shared_runs.TRAINERS, goal=GOAL)
    return folder


SPLIT = ("--shard-base",)
WAYS = pytest.mark.parametrize("way", [(), SPLIT], ids=["each with the base", "the base split"])


@WAYS
def test_every_trainer_learns_in_two_processes_what_it_learns_in_the_graph(base, in_graph, way):
    shared_runs.go_on(base, 2, *shared_runs.TRAINERS, arguments=way)
    one, two = shared_runs.trained(in_graph), shared_runs.trained(base)
    runs = {name.split()[0] for name in one}
    assert runs == {"tic_ft", "aicl", "motion_appearance", "motion_motion", "tune_a_video"}
    for run in runs:
        own = {name for name in one if name.split()[0] == run}
        apart = shared_runs.distance({name: two[name] for name in own}, {name: one[name] for name in own})
        assert apart < CLOSE, run
        assert shared_runs.losses(base, run) == pytest.approx(shared_runs.losses(in_graph, run), rel=CLOSE)
        assert shared_runs.record(base, run)["processes"][-1]["count"] == 2
    assert shared_runs.validated(base) == pytest.approx(shared_runs.validated(in_graph), rel=CLOSE)
    assert set(shared_runs.validated(base)) == {0, 2, 4, GOAL}  # the graph was left before that of step 2
    assert any((one[name] != two[name]).any() for name in one)  # the sums were taken in another order, so it was shared


def test_a_run_goes_on_in_two_processes_and_in_the_graph_again(base, in_graph):
    group = shared_runs.launch(base, 2, hold="1:3")
    shared_runs.wait_held(group, base)
    group[1].send_signal(signal.SIGINT)
    shared_runs.held_file(base).unlink()
    ends = shared_runs.finish(group)
    assert [code for code, _ in ends] == [130, 130], ends
    assert shared_runs.record(base)["state"] == "stopped"  # by Ctrl-C
    assert shared_runs.record(base)["step"] == 4  # the step under way
    shared_runs.begin(base, GOAL, goal=GOAL)
    assert tic_ft_apart(base, in_graph) < CLOSE
    assert shared_runs.losses(base) == pytest.approx(shared_runs.losses(in_graph), rel=CLOSE)
    counts = [{"step": 0, "count": 1}, {"step": 2, "count": 2}, {"step": 4, "count": 1}]
    assert shared_runs.record(base)["processes"] == counts
    assert shared_runs.record(base)["state"] == "finished"


def test_ctrl_c_again_ends_a_process_at_once_and_the_last_checkpoint_counts(base, in_graph):
    group = shared_runs.launch(base, 2, hold="0:3")
    shared_runs.wait_held(group, base)
    pause = threading.Event()
    for _ in range(int(shared_runs.WAIT / 0.05)):  # pressed until it ends; the first presses count as one
        group[0].send_signal(signal.SIGINT)
        if group[0].poll() is not None:
            break
        pause.wait(0.05)
    assert shared_runs.held_file(base).exists()  # it never came out of its step
    (code, said), (other, heard) = shared_runs.finish(group)
    assert (code, other) == (130, 1), (said, heard)
    assert "Traceback" not in said
    assert "another process of the run was lost" in heard
    assert shared_runs.record(base)["state"] == "running"  # nothing was saved or noted
    shared_runs.go_on(base, 1)
    assert tic_ft_apart(base, in_graph) < CLOSE


@pytest.mark.parametrize(("victim", "way"), [(0, ()), (1, SPLIT)])
def test_a_killed_process_ends_the_other_with_a_sentence_and_the_run_resumes(base, in_graph, victim, way):
    group = shared_runs.launch(base, 2, *way, hold=f"{victim}:3")
    shared_runs.wait_held(group, base)
    group[victim].kill()
    ends = shared_runs.finish(group)
    assert ends[victim][0] == -signal.SIGKILL
    code, said = ends[1 - victim]
    assert code == 1, said
    assert "another process of the run was lost" in said
    assert "Traceback" not in said
    if victim == 0:
        shared_runs.go_on(base, 1)
        assert tic_ft_apart(base, in_graph) < CLOSE


@pytest.mark.parametrize(
    ("short", "done"),
    [("1:part", 3), ("1:exchange", 3), ("0:clipping", 3), ("1:update", 4), ("1:opening", 2), ("1:validation", 2)],
)
def test_a_process_short_of_memory_makes_all_go_on_with_less(base, in_graph, short, done):
    ends = shared_runs.finish(shared_runs.launch(base, 2, short=short))
    assert [code for code, _ in ends] == [0, 0], ends
    assert f"ran out of memory after {done} steps; it goes on from there with checkpointing blocks" in ends[0][1]
    assert "out of memory" in ends[1][1]  # a process says so itself
    assert "Traceback" not in ends[1][1]
    assert tic_ft_apart(base, in_graph) < CLOSE
    assert shared_runs.losses(base) == pytest.approx(shared_runs.losses(in_graph), rel=CLOSE)  # of every step
    validated = {run: shared_runs.validated(run) for run in (base, in_graph)}
    assert validated[base] == pytest.approx(validated[in_graph], rel=CLOSE)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("0:best file", "the disk is full"),  # between two steps, while process 1 waits for the next one
        ("0:record", "the disk is full"),  # before the first
        ("1:reading", "the clip cannot be read"),  # within a step
        ("1:cache", "the disk cannot be read"),  # before process 1 hears of a run
    ],
)
def test_every_process_ends_with_the_sentence_of_the_one_that_failed(base, in_graph, place, said):
    failed = int(place[0])
    ends = shared_runs.finish(shared_runs.launch(base, 2, fail=f"{place}:{said}"))
    assert [code for code, _ in ends] == [1, 1], ends
    assert said in ends[failed][1]
    assert f"process {failed} has ended the run: {said}" in ends[1 - failed][1]
    assert not any("lost" in text for _, text in ends), ends
    shared_runs.go_on(base, 2)
    assert tic_ft_apart(base, in_graph) < CLOSE


def test_a_base_is_split_by_several_processes_alone(base):
    ((code, said),) = shared_runs.finish(shared_runs.launch(base, 1, *SPLIT))
    assert code == 1
    assert "--shard-base splits the base over several processes, and this is one; use a launcher" in said


def test_a_split_base_that_is_short_of_memory_ends_the_run_with_a_sentence(base, in_graph):
    ends = shared_runs.finish(shared_runs.launch(base, 2, *SPLIT, short="1:part"))
    assert [code for code, _ in ends] == [1, 1], ends
    assert "out of memory" in ends[1][1].lower()
    assert "process 1 has ended the run: " in ends[0][1]
    shared_runs.go_on(base, 2, arguments=SPLIT)
    assert tic_ft_apart(base, in_graph) < CLOSE


def test_a_process_with_another_base_is_refused_and_the_run_ends_in_all(base, tmp_path):
    other = shared_runs.copy(base, tmp_path / "other")
    weights = other / "models" / "diffusion_models" / "tiny.safetensors"
    with safe_open(weights, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: tensor + 0.5 for name, tensor in load_file(weights).items()}, weights, metadata)
    ends = shared_runs.finish(shared_runs.launch(base, 2, others=other))
    assert [code for code, _ in ends] == [1, 1], ends
    assert "process 1 differs from process 0 in model; put the same model files" in ends[1][1]
    assert "process 1 has ended the run: process 1 differs from process 0 in model; put the same" in ends[0][1]


def tic_ft_apart(one: Path, other: Path) -> float:
    """How far the TIC-FT LoRA of one folder is from that of another."""
    first, second = (
        {name: value for name, value in shared_runs.trained(base).items() if name.startswith("tic_ft ")}
        for base in (one, other)
    )
    return shared_runs.distance(first, second)


def without_cache(base: Path, run: str) -> None:
    """Have a run's record say that its graph encoded without a cache."""
    path = shared_runs.run_path(base, run) / FILE
    record = json.loads(path.read_text())
    (encode,) = (node for node in record["graph"].values() if node["class_type"] == "FewShotEncodeDataset")
    encode["inputs"]["cache"] = False
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("kept", [True, False], ids=["begun with a cache", "begun without"])
def test_what_the_cache_lacks_is_said_in_a_sentence_and_encoded_by_the_command(base, kept):
    if not kept:
        without_cache(base, "tune_a_video")
    for path in (base / "output" / "fewshot_video" / "cache").glob("*"):
        path.unlink()
    ((code, said),) = shared_runs.finish(shared_runs.launch(base, 1))
    assert code == 1
    assert "the cache of encoded clips does not hold" in said
    assert "--encode-only" in said
    assert "Traceback" not in said
    ((code, said),) = shared_runs.finish(shared_runs.launch(base, 1, "--encode-only", run="tune_a_video"))
    assert code == 0, said
    assert not (shared_runs.run_path(base, "tune_a_video") / "states").joinpath("state_00000003.safetensors").exists()
    graph = json.loads((shared_runs.run_path(base, "tune_a_video") / FILE).read_text())["graph"]
    assert {node["inputs"]["cache"] for node in graph.values() if "cache" in node["inputs"]} == {
        kept
    }  # as it was begun
    shared_runs.go_on(base, 1, "tune_a_video")
    assert shared_runs.record(base, "tune_a_video")["state"] == "finished"


def test_a_run_that_is_not_there_is_named_with_those_that_are(base):
    ends = shared_runs.finish(shared_runs.launch(base, 2, run="other"))
    assert [code for code, _ in ends] == [1, 1]
    assert "there is no run 'other'; those that can be trained here are aicl" in ends[0][1]
    assert "process 0 has ended the run: there is no run 'other'" in ends[1][1]

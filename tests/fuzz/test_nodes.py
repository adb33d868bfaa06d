"""Any input to any node ends in a result or in one sentence of ours, in time and within memory.

40 calls a node, a tenth of them for nodes that train, sample, draw clips or load the toy model; 300 in the newest
ComfyUI of `scripts/test.py`, and `--fuzz-examples 5000` by hand.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import folder_paths
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from node_calls import calls, complaint

from pack.nodes import node_list
from pack.nodes.host.services import templates

NODES = {node.define_schema().node_id: node for node in node_list()}
HEAVY = ("TICFTTrain", "AICLTrain", "FewShotMotionTrain", "TuneAVideoTrain", "FewShotTrainingPlan", "FewShotInversion",
         "AICLEncodeAction", "TICFTLongVideo", "FewShotToyClips", "FewShotToyVideoModel",
         "FewShotTemplateClips")  # fmt: skip
SECONDS, BYTES = 20.0, 2e9


@pytest.fixture(autouse=True)
def _own_output(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_paths, "get_output_directory", lambda: str(tmp_path / "output"))
    pairs = templates.template_pairs  # to look at all of them takes a while
    monkeypatch.setattr(templates, "template_pairs", lambda count=None: pairs(min(count or 1, 1)))


def memory() -> float:
    """The most bytes this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def call(node: Any, values: dict[str, Any]) -> None:
    """Run a node as the executor does; time is measured of the process, not of a busy machine."""
    begun, before, wrong = time.process_time(), memory(), ""
    try:
        with torch.inference_mode():
            node.execute(**values)
    except Exception as error:
        wrong = complaint(error)
    assert not wrong
    assert time.process_time() - begun < SECONDS
    assert memory() - before < BYTES


@pytest.mark.parametrize("name", NODES)
def test_every_call_of_a_node_is_fine_or_one_sentence(name, fuzz_examples):
    node = NODES[name]
    count = max(1, fuzz_examples // 10) if name in HEAVY else fuzz_examples
    if not node.define_schema().inputs:
        count = 1

    arguments = calls(node)  # once: a call may change which files there are to choose from

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        call(node, data.draw(arguments))

    run()

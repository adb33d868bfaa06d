"""Any input to any node ends in a result of numbers or in one sentence of ours, in time and within memory.

40 calls a node, a tenth of them for nodes that train, sample or draw clips and less for the slowest; 300 in the
newest ComfyUI of `scripts/test.py`, and `--fuzz-examples 5000` by hand.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
import torch
from call_limits import BYTES, Memory, bounded_memory, seconds_allowed
from fair_answers import complaint, damage
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from node_calls import calls

from pack.nodes import node_list

NODES = {node.define_schema().node_id: node for node in node_list()}
HEAVY = ("TICFTTrain", "TuneAVideoTrain", "FewShotInversion", "AICLEncodeAction", "TICFTLongVideo", "FewShotToyClips",
         "FewShotVideoScore")  # fmt: skip
TRAINED = ("AICLTrain", "FewShotMotionTrain")
SLOW = ("FewShotTemplateClips", "FewShotToyVideoModel", "FewShotGrid")
SHARES = {  # a node gets one of so many calls
    **dict.fromkeys(HEAVY, 10), **dict.fromkeys(TRAINED, 20), **dict.fromkeys(SLOW, 50), "FewShotTrainingPlan": 100,
}  # fmt: skip


def call(node: Any, values: dict[str, Any]) -> str:
    """Run a node as the executor does, and say what came: "fine" or "refused".

    Time is measured of the process, not of a busy machine.
    """
    memory, begun, outcome = Memory(), time.process_time(), "fine"
    try:
        with torch.inference_mode(), bounded_memory():
            wrong = damage(node.execute(**values))
    except Exception as error:
        outcome, wrong = "refused", complaint(error)
    took, used = time.process_time() - begun, memory.used()
    assert not wrong
    assert took < seconds_allowed()
    assert used < BYTES
    return outcome


@pytest.mark.parametrize("name", NODES)
def test_every_call_of_a_node_is_fine_or_one_sentence(name, fuzz_examples, record_property):
    node = NODES[name]
    count = max(1, fuzz_examples // SHARES.get(name, 1))
    if not node.define_schema().inputs:
        count = 1

    arguments = calls(node)
    came: Counter[str] = Counter()
    seconds_allowed()  # measured before the calls, which may leave the processor busy or hot

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def run(data: st.DataObject) -> None:
        came.update(["calls", call(node, data.draw(arguments))])

    try:
        run()
    finally:
        for outcome, number in came.items():
            record_property(outcome, number)

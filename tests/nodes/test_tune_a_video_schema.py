"""The public face of the Tune-A-Video nodes: ids, inputs, order and sockets are fixed."""

from __future__ import annotations

import pytest

from pack.nodes import inversion, tune_a_video

# id -> required inputs, optional inputs that are fixed (more may follow), outputs
PUBLIC = {
    "TuneAVideoApply": (
        [("model", "MODEL"), ("tuned", "TUNE_A_VIDEO"), ("strength", "FLOAT")],
        [("group_norms", "COMBO")],
        ["MODEL"],
    ),
    "FewShotInversion": (
        [("model", "MODEL"), ("conditioning", "CONDITIONING"), ("latent", "LATENT"), ("steps", "INT")],
        [
            ("scheduler", "COMBO"), ("method", "COMBO"), ("iterations", "INT"), ("negative", "CONDITIONING"),
            ("cfg", "FLOAT"), ("inverted", "FLOAT"), ("seed", "INT"),
        ],
        ["LATENT", "NOISE"],
    ),
}  # fmt: skip
SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in [*tune_a_video.NODES, *inversion.NODES]}


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_inputs_and_outputs_are_those_of_the_contract_in_order(node_id):
    required, optional, outputs = PUBLIC[node_id]
    inputs = SCHEMAS[node_id].inputs
    assert [(entry.id, entry.get_io_type()) for entry in inputs if not entry.optional] == required
    assert [entry.optional for entry in inputs] == sorted(entry.optional for entry in inputs)
    assert [(entry.id, entry.get_io_type()) for entry in inputs if entry.optional][: len(optional)] == optional
    assert [entry.get_io_type() for entry in SCHEMAS[node_id].outputs][: len(outputs)] == outputs


def test_choices_and_defaults_are_those_of_the_paper():
    inputs = {(node_id, entry.id): entry for node_id in PUBLIC for entry in SCHEMAS[node_id].inputs}
    assert inputs["FewShotInversion", "steps"].default == 50
    assert inputs["FewShotInversion", "cfg"].default == 1.0
    assert inputs["FewShotInversion", "inverted"].default == 1.0
    assert inputs["FewShotInversion", "method"].options == ["automatic", "ddim", "fixed-point", "mid-point"]
    assert inputs["TuneAVideoApply", "group_norms"].options == ["as tuned", "per frame", "pooled over frames"]
    assert inputs["TuneAVideoApply", "strength"].default == 1.0


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_every_socket_is_explained_and_the_node_is_in_its_group(node_id):
    schema = SCHEMAS[node_id]
    assert schema.category == "FewShot Video/Tune-A-Video"
    assert schema.description
    assert all(entry.tooltip for entry in [*schema.inputs, *schema.outputs])

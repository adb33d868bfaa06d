"""The public face of the TIC-FT nodes: ids, inputs, order and sockets are fixed."""

from __future__ import annotations

import pytest

from pack.nodes.tic_ft import NODES

TASKS = ["image to video", "video to video", "keyframes", "multiple images", "action transfer", "custom"]
IMAGE_OR_VIDEO = {"IMAGE", "VIDEO"}

# id -> required inputs, optional inputs that are fixed (more may follow), outputs
PUBLIC = {
    "TICFTContext": (
        [
            ("model", "MODEL"), ("vae", "VAE"), ("task", "COMBO"), ("width", "INT"), ("height", "INT"),
            ("target_frames", "INT"),
        ],
        [
            ("condition", IMAGE_OR_VIDEO), ("condition_2", IMAGE_OR_VIDEO), ("condition_3", IMAGE_OR_VIDEO),
            ("condition_4", IMAGE_OR_VIDEO), ("condition_latents", "INT"), ("buffer_latents", "INT"),
            ("buffer_levels", "STRING"), ("batch_size", "INT"), ("model_2", "MODEL"),
            ("settings", "TICFT_SETTINGS"),
        ],
        ["MODEL", "LATENT", "MODEL"],
    ),
    "TICFTCrop": ([("images", "IMAGE"), ("latent", "LATENT"), ("keep", "COMBO")], [], ["IMAGE"]),
    "TICFTPrompt": (
        [("task", "COMBO"), ("condition_text", "STRING"), ("target_text", "STRING")],
        [("settings", "TICFT_SETTINGS")],
        ["STRING"],
    ),
}  # fmt: skip
SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in NODES}


def socket(entry: object) -> str | set[str]:
    kinds = entry.get_io_type().split(",")
    return kinds[0] if len(kinds) == 1 else set(kinds)


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_inputs_and_outputs_are_those_of_the_contract_in_order(node_id):
    required, optional, outputs = PUBLIC[node_id]
    inputs = SCHEMAS[node_id].inputs
    assert [(entry.id, socket(entry)) for entry in inputs if not entry.optional] == required
    assert [entry.optional for entry in inputs] == sorted(entry.optional for entry in inputs)
    assert [(entry.id, socket(entry)) for entry in inputs if entry.optional][: len(optional)] == optional
    assert [socket(entry) for entry in SCHEMAS[node_id].outputs][: len(outputs)] == outputs


def test_choices_and_defaults_are_those_of_the_contract():
    inputs = {(node_id, entry.id): entry for node_id in PUBLIC for entry in SCHEMAS[node_id].inputs}
    assert inputs["TICFTContext", "task"].options == TASKS
    assert inputs["TICFTPrompt", "task"].options == TASKS
    assert inputs["TICFTCrop", "keep"].options == ["target", "condition and buffer", "everything"]
    assert inputs["TICFTContext", "condition_latents"].default == -1
    assert inputs["TICFTContext", "buffer_latents"].default == -1
    assert inputs["TICFTContext", "buffer_levels"].default == ""


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_every_socket_is_explained_and_the_node_is_in_its_group(node_id):
    schema = SCHEMAS[node_id]
    assert schema.category == "FewShot Video/TIC-FT"
    assert schema.description
    assert all(entry.tooltip for entry in [*schema.inputs, *schema.outputs])

"""The public face of the Tune-A-Video nodes: ids, inputs, order and sockets are fixed."""

from __future__ import annotations

import help_pages
import pytest

from pack.nodes import inversion, tune_a_video, tune_a_video_train

# id -> required inputs, optional inputs that are fixed (more may follow), outputs
PUBLIC = {
    "TuneAVideoTrain": (
        [
            ("model", "MODEL"), ("encoded", "FEWSHOT_ENCODED"), ("learning_rate", "FLOAT"), ("steps", "INT"),
            ("seed", "INT"),
        ],
        [
            ("settings", "FEWSHOT_TRAIN_SETTINGS"), ("rank", "INT"), ("frames", "INT"), ("stride", "INT"),
            ("start", "INT"), ("window", "COMBO"), ("group_norms", "COMBO"), ("sparse_causal", "BOOLEAN"),
            ("prior", "FEWSHOT_ENCODED"), ("prior_weight", "FLOAT"), ("run_name", "STRING"), ("on_change", "COMBO"),
            ("vae", "VAE"),
        ],
        ["TUNE_A_VIDEO", "LOSS_MAP", "INT", "STRING"],
    ),
    "TuneAVideoLoad": ([("name", "COMBO")], [], ["TUNE_A_VIDEO"]),
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
NODES = [*tune_a_video_train.NODES, *tune_a_video.NODES, *inversion.NODES]
SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in NODES}


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
    assert inputs["TuneAVideoTrain", "learning_rate"].default == 3e-5
    assert inputs["TuneAVideoTrain", "steps"].default == 500
    assert inputs["TuneAVideoTrain", "rank"].default == 0
    assert inputs["TuneAVideoTrain", "window"].options == ["fixed", "random start", "random start and stride"]
    assert inputs["TuneAVideoTrain", "window"].default == "fixed"
    assert inputs["TuneAVideoTrain", "seed"].as_dict()["control_after_generate"] == "fixed"
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


@pytest.mark.parametrize("node_id", ["TuneAVideoTrain", "TuneAVideoLoad"])
def test_help_pages_say_what_the_schemas_say(node_id):
    schema, text = SCHEMAS[node_id], help_pages.page(node_id)
    assert text.splitlines()[0] == f"# {schema.display_name}"
    rows = help_pages.table(text, "input")
    assert [row[0] for row in rows] == [entry.id for entry in schema.inputs]
    for row, entry in zip(rows, schema.inputs, strict=True):
        default = getattr(entry, "default", None)
        assert row[1] == ("" if default is None else str(default).lower())
        assert entry.id == "name" or all(f"{option}" in text for option in getattr(entry, "options", None) or ())
    outputs = [row[0] for row in help_pages.table(text, "output")]
    assert outputs == [output.display_name or output.id for output in schema.outputs]

"""The public face of the motion nodes: ids, inputs, order and sockets are fixed, and their help pages tell them."""

from __future__ import annotations

from pathlib import Path

import help_pages
import pytest
import torch

from pack.nodes import motion
from pack.nodes.host.services.folders import lora_output_folder
from pack.training.lora.file import LoraModel, save_lora
from pack.training.lora.metadata import to_metadata

# id -> required inputs, optional inputs that are fixed (more may follow), outputs
PUBLIC = {
    "FewShotMotionTrain": (
        [
            ("model", "MODEL"), ("encoded", "FEWSHOT_ENCODED"), ("rank", "INT"), ("learning_rate", "FLOAT"),
            ("steps", "INT"), ("seed", "INT"),
        ],
        [
            ("settings", "FEWSHOT_TRAIN_SETTINGS"), ("batch_size", "INT"), ("appearance_steps", "INT"),
            ("still_caption", "STRING"), ("debiased_weight", "FLOAT"), ("direction_weight", "FLOAT"),
            ("sparse_latents", "INT"), ("classic", "BOOLEAN"), ("run_name", "STRING"), ("on_change", "COMBO"),
            ("vae", "VAE"),
        ],
        ["LORA_MODEL", "LORA_MODEL", "LOSS_MAP", "INT", "STRING"],
    ),
    "FewShotMotionLoad": ([("lora_name", "COMBO")], [], ["LORA_MODEL"]),
    "FewShotMotionApply": (
        [
            ("model", "MODEL"), ("lora", "LORA_MODEL"), ("strength", "FLOAT"), ("start_percent", "FLOAT"),
            ("end_percent", "FLOAT"),
        ],
        [],
        ["MODEL"],
    ),
}  # fmt: skip
SCHEMAS = {node.GET_SCHEMA().node_id: node.GET_SCHEMA() for node in motion.NODES}


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_inputs_and_outputs_are_those_of_the_contract_in_order(node_id):
    required, optional, outputs = PUBLIC[node_id]
    inputs = SCHEMAS[node_id].inputs
    assert [(entry.id, entry.get_io_type()) for entry in inputs if not entry.optional] == required
    assert [entry.optional for entry in inputs] == sorted(entry.optional for entry in inputs)
    assert [(entry.id, entry.get_io_type()) for entry in inputs if entry.optional][: len(optional)] == optional
    assert [entry.get_io_type() for entry in SCHEMAS[node_id].outputs][: len(outputs)] == outputs
    assert all(entry.tooltip for entry in (*inputs, *SCHEMAS[node_id].outputs))


def as_text(default: object) -> str:
    """A default as the pages write it."""
    return "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)


@pytest.mark.parametrize("node_id", list(PUBLIC))
def test_the_help_page_tells_the_schema(node_id):
    schema, text = SCHEMAS[node_id], help_pages.page(node_id)
    defaults = ("" if (d := getattr(entry, "default", None)) is None else str(d) for entry in schema.inputs)
    wanted = [
        (entry.id, d.lower() if d in ("True", "False") else d) for entry, d in zip(schema.inputs, defaults, strict=True)
    ]
    rows = help_pages.table(text, "input")
    assert text.splitlines()[0] == f"# {schema.display_name}"
    assert [(row[0], row[1]) for row in rows] == wanted
    assert [row[0] for row in help_pages.table(text, "output")] == [o.display_name or o.id for o in schema.outputs]
    options = [o for entry in schema.inputs if entry.id != "lora_name" for o in getattr(entry, "options", None) or ()]
    assert [option for option in options if option not in text] == []


def test_a_seed_stays_until_the_user_changes_it_and_training_is_an_output():
    schema = SCHEMAS["FewShotMotionTrain"]
    (seed,) = (entry for entry in schema.inputs if entry.id == "seed")
    assert str(seed.control_after_generate).endswith("fixed")
    assert schema.is_output_node


def test_a_file_is_read_with_what_it_says_of_itself():
    lora = LoraModel({"diffusion_model.blocks.0.q.lora_up.weight": torch.ones(2, 2)}, to_metadata({"method": "motion"}))
    path = lora_output_folder() / "motion schema" / "read_00001_.safetensors"
    if not path.exists():
        save_lora(lora, path)
    motion.lora_names()  # registers the folder with the host
    name = f"motion schema/{path.name}"
    read = motion.FewShotMotionLoad.execute(str(Path(name))).result[0]
    assert read.metadata == lora.metadata
    assert read.keys() == lora.keys()
    assert motion.FewShotMotionLoad.fingerprint_inputs(lora_name=str(Path(name)))
    with pytest.raises(ValueError, match=r"there is no LoRA 'nothing\.safetensors'"):
        motion.FewShotMotionLoad.execute("nothing.safetensors")

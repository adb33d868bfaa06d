"""The workflow that writes a LoRA for other tools and says how it was made."""

from __future__ import annotations

from workflow_files.bases.wan import SAMPLE, TRAIN
from workflow_files.graph import Graph
from workflow_files.steps import WIDE

NAME = "tic_ft_lora_files_wan21_1_3b"
SUMMARY = f"""
Writes a LoRA in the names that diffusers and PEFT read, and shows how it was made: as a JSON with the graph that
trains it again, and as one line to cite.

**Load** a LoRA in both nodes; the one named here is what the workflow [{TRAIN}] saves. Press R when it is not in the
list.

**Change** the format: ComfyUI, diffusers, or kohya, which musubi-tuner reads too.

**Out comes** a second file in `output/loras`. The first one stays as it is.
"""


def lora_files() -> Graph:
    """Convert a LoRA, and read its record."""
    graph = Graph(NAME, SUMMARY)
    lora = f"{SAMPLE}_00001_.safetensors"
    with graph.group("Convert"):
        converted = graph.add("FewShotConvertLoRA", lora_name=lora, format="diffusers", size=WIDE)
        graph.add("PreviewAny", source=converted["path"], title="Where it was saved")
    with graph.group("Record"):
        record = graph.add("FewShotRunRecord", lora_name=lora, size=WIDE)
        graph.column()
        graph.add("PreviewAny", source=record["json"], title="Settings and graph")
        graph.add("PreviewAny", source=record["citation"], title="To cite")
    return graph


def lora_file_workflows() -> list[Graph]:
    """All of them."""
    return [lora_files()]

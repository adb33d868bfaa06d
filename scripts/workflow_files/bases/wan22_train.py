"""TIC-FT on Wan 2.2 14B: a LoRA for each of its two experts, on the public fp8 files."""

from __future__ import annotations

from dataclasses import replace

from workflow_files.bases.wan22 import HIGH, HIGH_LORA, LARGE, LOW, LOW_LORA, MODEL_14B, TRAIN_14B
from workflow_files.graph import Graph
from workflow_files.models import RUN_NOTE, add_encoders, add_network, add_pairs, add_trainer, save_trained

SUMMARY = f"""
Teaches both experts of Wan 2.2 T2V 14B to make a video from an image, in the way your pairs do it. Each gets a LoRA of
its own: the high-noise expert decides layout and motion, the low-noise expert detail.

**Load** the four files of step 1 and a folder of pairs in step 2, then press **Run**. The clips are encoded once for
both, then one expert is trained after the other.

**Change** steps and learning rate in steps 3 and 4. For another task choose it in both **Training Plan** and **TIC-FT
Train** nodes, and set the frames of step 2 to 24. For other clips or another task write another `run_name` in both.

**Out come** two LoRAs in `output/loras`. Open the workflow [{LARGE}] to use them.
"""
HIGH_NOTE = """
The fp8 file is trained on as it is. `expert` of **Run Settings** says which noise levels are trained: those that this
expert is asked at in sampling.

Rank 32 is a start; the authors' scripts take 128 on smaller models. **Training Plan** measures small steps first, says
whether the run fits into memory, and hands on the first settings that do. Its `task`, `rank` and `batch_size` must be
those of **TIC-FT Train**: change them in both. When the memory is short, lower the size of the clips, their frames (a
multiple of 4), or the rank.

A finished run is kept and not trained again. **Cancel** keeps what was learned so far.
"""
LOW_NOTE = """
The same for the other expert, on the same clips. To train only one of them, bypass the nodes of the other one's step
(Ctrl+B).
"""
NUMBERS = {"rank": 32, "batch_size": 1, "learning_rate": 5e-5, "steps": 1000, "seed": 0}


def train() -> Graph:
    """A trainer for each expert on the same clips."""
    graph, model = Graph(TRAIN_14B, SUMMARY), MODEL_14B
    with graph.group("Load"):
        high = add_network(graph, HIGH, "High-noise expert")
        low = add_network(graph, LOW, "Low-noise expert")
        base = add_encoders(graph, model, high)
    with graph.group("Data"):
        encoded = add_pairs(graph, base, model.sampling)
    experts = (("high", high, HIGH_LORA, HIGH_NOTE), ("low", low, LOW_LORA, LOW_NOTE))
    for name, network, lora, text in experts:
        with graph.group(f"Train the {name}-noise expert"):
            settings = {"density": "logit_normal", "expert": f"{name} noise"}
            notes = (text, RUN_NOTE.format(name=lora))
            trained = add_trainer(graph, replace(base, model=network), encoded, lora, settings, NUMBERS, notes)
            save_trained(graph, trained, lora, lora)
    return graph


def wan22_train_workflows() -> list[Graph]:
    """All of them."""
    return [train()]

"""The demo's prompts: the shipped workflow, with the inputs that tell the arms apart changed."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from host_setup.pins import ROOT
from workflow_files.names import title_of

WORKFLOW = ROOT / "workflows" / f"{title_of('tic_ft_train_toy')}.json"
KIND = "image to video"  # of FewShotToyClips, and the task
BUFFERS = 3  # latent frames; the task's own number
TARGET_FRAMES = 36  # pixel frames of a clip: 9 latents
GROUND_TRUTH = "ground_truth"  # folder of the true clips, saved as the generated ones are

Prompt = dict[str, Any]  # node id -> {"class_type", "inputs"}


@dataclass(frozen=True)
class Plan:
    """What one run of the demo does."""

    pairs: int  # clip pairs to train on
    steps: int  # optimiser steps
    test: int  # held-out samples, of every arm
    seed: int  # of the data, the training and the noise
    cfg: float  # guidance scale; 1 is none
    sampling_steps: int

    def as_dict(self) -> dict[str, Any]:
        """For the run's own record."""
        return asdict(self)


@dataclass(frozen=True)
class Arm:
    """One row of the table."""

    name: str  # folder below the results
    title: str
    lora: bool
    buffers: int  # latent frames

    @property
    def run_name(self) -> str:
        """Name of its LoRA."""
        return f"demo_{self.name}"


ARMS = (
    Arm("lora_with_buffers", "LoRA, with buffers", True, BUFFERS),
    Arm("lora_without_buffers", "LoRA, without buffers", True, 0),
    Arm("zero_shot_with_buffers", "zero-shot, with buffers", False, BUFFERS),
    Arm("zero_shot_without_buffers", "zero-shot, without buffers", False, 0),
)


def clip_name(index: int) -> str:
    """Name of a clip's file, without its ending."""
    return f"clip_{index:02d}"


def training_prompt(workflow: Prompt, plan: Plan, arm: Arm) -> Prompt:
    """Train an arm's LoRA; the clips' prompts then find it in the host's cache."""
    prompt = _for_arm(workflow, plan, arm)
    return only(prompt, find(prompt, "TICFTTrain"))


def clip_prompt(workflow: Prompt, plan: Plan, arm: Arm, index: int) -> Prompt:
    """Sample one held-out condition with an arm and save it."""
    prompt = _for_arm(workflow, plan, arm)
    item = _held_out(prompt, plan, index)
    inputs(prompt, "TICFTContext")["condition"] = [item, 1]
    inputs(prompt, "TICFTPrompt").update(condition_text="", target_text=[item, 3])
    inputs(prompt, "KSampler").update(seed=1000 * plan.seed + index)
    return _saved_as(prompt, saver(prompt), arm.name, index)


def truth_prompt(workflow: Prompt, plan: Plan, index: int) -> Prompt:
    """Save the true target of a held-out sample the way generated clips are saved."""
    prompt = copy.deepcopy(workflow)
    item = _held_out(prompt, plan, index)
    save = saver(prompt)
    prompt[prompt[save]["inputs"]["video"][0]]["inputs"]["images"] = [item, 0]
    return _saved_as(prompt, save, GROUND_TRUTH, index)


def _for_arm(workflow: Prompt, plan: Plan, arm: Arm) -> Prompt:
    """A copy of the workflow with the plan's and an arm's settings."""
    prompt = copy.deepcopy(workflow)
    trainer = find(prompt, "TICFTTrain")
    settings = prompt[trainer]["inputs"]
    settings.update(task=KIND, steps=plan.steps, seed=plan.seed)
    settings.pop("validation", None)  # the judge tells more, and it takes time
    settings.update(condition_latents=1, buffer_latents=arm.buffers, run_name=arm.run_name, on_change="start over")
    encoder = prompt[settings["encoded"][0]]["inputs"]
    prompt[encoder["dataset"][0]]["inputs"].update(kind=KIND, count=plan.pairs, seed=plan.seed, split="training")
    inputs(prompt, "TICFTContext").update(
        task=KIND, target_frames=TARGET_FRAMES, condition_latents=1, buffer_latents=arm.buffers
    )
    inputs(prompt, "TICFTPrompt").update(task=KIND)
    inputs(prompt, "KSampler").update(
        steps=plan.sampling_steps, cfg=plan.cfg, sampler_name="euler", scheduler="simple", denoise=1.0
    )
    if not arm.lora:
        _without_lora(prompt, trainer)
    return prompt


def _without_lora(prompt: Prompt, trainer: str) -> None:
    """Hand on the base model where the LoRA's was, and forget what the trainer told others."""
    loader = find(prompt, "LoraModelLoader")
    base = prompt[loader]["inputs"]["model"]
    for node_id, node in prompt.items():
        for name, value in list(node["inputs"].items()):
            if value == [loader, 0]:
                node["inputs"][name] = base
            elif is_link(value) and value[0] == trainer and node_id != loader:
                del node["inputs"][name]


def _held_out(prompt: Prompt, plan: Plan, index: int) -> str:
    """Add one held-out sample; the id of the node that gives it."""
    clips = {"kind": KIND, "count": plan.test, "seed": plan.seed, "split": "held out", "objects": "large"}
    prompt["held_out_clips"] = {"class_type": "FewShotToyClips", "inputs": clips}
    item = {"dataset": ["held_out_clips", 0], "index": index}
    prompt["held_out_item"] = {"class_type": "FewShotDatasetItem", "inputs": item}
    return "held_out_item"


def _saved_as(prompt: Prompt, save: str, folder: str, index: int) -> Prompt:
    """The part of a prompt that saves one video, under a name of the demo's."""
    prompt[save]["inputs"]["filename_prefix"] = f"{folder}/{clip_name(index)}"
    return only(prompt, save)


def saver(prompt: Prompt) -> str:
    """Id of the node that saves the generated video; the workflow may save others beside it."""
    crop = find(prompt, "TICFTCrop")
    videos = {node_id: node for node_id, node in prompt.items() if node["class_type"] == "SaveVideo"}
    return find({node_id: node for node_id, node in videos.items() if crop in only(prompt, node_id)}, "SaveVideo")


def find(prompt: Prompt, class_type: str) -> str:
    """Id of the one node of a class.

    Raises:
        ValueError: There is none, or more than one.
    """
    found = [node_id for node_id, node in prompt.items() if node["class_type"] == class_type]
    if len(found) != 1:
        raise ValueError(
            f"the demo needs exactly one {class_type} node in its workflow, which has {len(found)}; "
            f"restore workflows/{WORKFLOW.name}"
        )
    return found[0]


def inputs(prompt: Prompt, class_type: str) -> dict[str, Any]:
    """Inputs of the one node of a class, to be changed."""
    return prompt[find(prompt, class_type)]["inputs"]


def is_link(value: Any) -> bool:
    """Whether an input's value names another node's output."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def only(prompt: Prompt, output: str) -> Prompt:
    """A node and everything it needs, nothing else."""
    needed, waiting = set(), [output]
    while waiting:
        node_id = waiting.pop()
        if node_id not in needed:
            needed.add(node_id)
            waiting += [value[0] for value in prompt[node_id]["inputs"].values() if is_link(value)]
    return {node_id: node for node_id, node in prompt.items() if node_id in needed}


def describe(workflow: Path = WORKFLOW) -> str:
    """Name of the workflow for messages."""
    return f"{workflow.parent.name}/{workflow.name}"

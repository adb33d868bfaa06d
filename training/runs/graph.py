"""The graph that trains a LoRA again, in the form that the host's ``/prompt`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.config import BOTH_EXPERTS
from ..lora.metadata import plain_value
from ..storage.json_text import parse_json

Graph = dict[str, dict[str, Any]]
TRAINERS = {"tic_ft": "TICFTTrain", "motion": "FewShotMotionTrain", "appearance": "FewShotMotionTrain"}
# `type` of the host's CLIPLoader, by the family's first word, or of the loader of two; LTX-2's has a loader of its own.
TEXT_ENCODERS = {
    "Wan": "wan", "CogVideoX": "cogvideox", "LTXV": "ltxv", "LTX-2": "", "LTX-2.3": "", "HunyuanVideo": "hunyuan_video",
    "Kandinsky": "kandinsky5",
}  # fmt: skip
# By the family.
TWO_ENCODERS = {"HunyuanVideo": "hunyuan_video", "HunyuanVideo 1.5": "hunyuan_video_15", "Kandinsky 5": "kandinsky5"}
# Settings that are inputs of the Train node, and of Run Settings; Train Settings has all others.
OF_TRAINER = ("rank", "learning_rate", "steps", "batch_size", "seed")
OF_RUN = ("save_every", "keep", "validate_every", "sample_every", "checkpointing", "lora_dtype", "expert",
          "compile_blocks")  # fmt: skip
OF_PLAN = ("kept_blocks",)  # which no node asks for: Training Plan finds it
# Multiple of the sides of buckets where it is not known, and pixel frames a latent after the first stands for.
FORM, LTX_FORM = (16, 4), (32, 8)


def training_graph(record: Mapping[str, str], metadata: Mapping[str, str]) -> tuple[Graph, list[str]]:
    """The nodes that made a LoRA, and the inputs (``node.input``) that only its maker can fill in.

    From the workflow in the file where there is one: the Train node and all that leads to it. Else from the
    record, which knows neither the files of the base model nor the folder of the clips.

    Raises:
        KeyError: the record lacks what a Train node needs.
    """
    kind = TRAINERS[plain_value(record, "method")]
    prompt = _prompt(metadata)
    trainer = _trainer(prompt, kind, record)
    if trainer is not None:
        return upstream(prompt, trainer), []
    return _rebuilt(record, kind)


def asked_config(record: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a Train node was given: those of the run, but where a node's run makes its own of them."""
    return plain_value(record, "asked") or plain_value(record, "config")


def settings_inputs(config: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of Train Settings that give a configuration."""
    elsewhere = (*OF_TRAINER, *OF_RUN, *OF_PLAN, "betas", "alpha")
    beta_1, beta_2 = config["betas"]
    own = {"alpha": float(config.get("alpha") or 0.0), "beta_1": beta_1, "beta_2": beta_2}
    return own | {name: value for name, value in config.items() if name not in elsewhere}


def _prompt(metadata: Mapping[str, str]) -> Graph:
    """The graph in a file's metadata, or nothing."""
    try:
        found = parse_json(metadata.get("prompt") or "{}")
    except ValueError:
        return {}
    return graph_of(found) if isinstance(found, dict) else {}


def graph_of(prompt: Mapping[str, Any]) -> Graph:
    """The nodes of a prompt of the host: classes and inputs alone."""
    return {
        str(key): {"class_type": node["class_type"], "inputs": dict(node["inputs"])}
        for key, node in prompt.items()
        if isinstance(node, dict) and "class_type" in node and isinstance(node.get("inputs"), dict)
    }


def _trainer(prompt: Graph, kind: str, record: Mapping[str, str]) -> str | None:
    """The one Train node of a graph that has the record's settings; None where there is none, or cannot be told."""
    config, task = asked_config(record), plain_value(record, "task")
    wanted = {**{name: config[name] for name in OF_TRAINER}, "task": task}
    found = []
    for key, node in prompt.items():
        given = {name: node["inputs"].get(name, value) for name, value in wanted.items()}
        # A wired value is known only when the graph runs.
        if node["class_type"] == kind and all(isinstance(v, list) or v == wanted[name] for name, v in given.items()):
            found.append(key)
    if len(found) > 1:
        found = [key for key in found if _expert_of(prompt, key) == config.get("expert", BOTH_EXPERTS)]
    return found[0] if len(found) == 1 else None


def _expert_of(prompt: Graph, trainer: str) -> str:
    """What the nearest Run Settings says, which is put over earlier ones."""
    link = prompt[trainer]["inputs"].get("settings")
    while isinstance(link, list) and (node := prompt.get(str(link[0]))) is not None:
        if node["class_type"] == "FewShotRunSettings":
            return node["inputs"].get("expert", BOTH_EXPERTS)
        link = node["inputs"].get("settings")
    return BOTH_EXPERTS


def upstream(prompt: Graph, last: str) -> Graph:
    """A node and all that leads to it."""
    found: list[str] = []
    waiting = [last]
    while waiting:
        key = waiting.pop()
        if key in found or key not in prompt:
            continue
        found.append(key)
        links = (value for value in prompt[key]["inputs"].values() if isinstance(value, list) and len(value) == 2)
        waiting += [str(source) for source, _ in links]
    return {key: prompt[key] for key in prompt if key in found}


def _rebuilt(record: Mapping[str, str], kind: str) -> tuple[Graph, list[str]]:
    config = asked_config(record)
    loaders, vae, files = _loaders(record["base_family"])
    run = {name: config[name] for name in OF_RUN if name in config}
    trainer = {"model": ["1", 0], "encoded": ["5", 0], "settings": ["7", 0], **_trainer_inputs(record, config)}
    nodes = {
        **loaders,
        "4": ("FewShotDatasetFolder", {"folder": "", **_dataset_inputs(record)}),
        "5": ("FewShotEncodeDataset", {"dataset": ["4", 0], "vae": vae, "clip": ["2", 0], "cache": True}),
        "6": ("FewShotTrainSettings", settings_inputs(config)),
        "7": ("FewShotRunSettings", {"settings": ["6", 0], **run}),
        "8": (kind, trainer),
    }
    graph: Graph = {key: {"class_type": name, "inputs": inputs} for key, (name, inputs) in nodes.items()}
    return graph, [*files, "4.folder", *(f"4.{name}" for name in _unknown(record))]


def _loaders(family: str) -> tuple[dict[str, tuple[str, dict[str, Any]]], list[Any], list[str]]:
    """Nodes that load a base, the link of its VAE, and the names of files that they lack."""
    encoder, both = TEXT_ENCODERS[family.split()[0]], TWO_ENCODERS.get(family)
    if not encoder:
        texts = {"text_encoder": "", "ckpt_name": "", "device": "default"}
        nodes = {"1": ("CheckpointLoaderSimple", {"ckpt_name": ""}), "2": ("LTXAVTextEncoderLoader", texts)}
        return nodes, ["1", 2], ["1.ckpt_name", "2.text_encoder", "2.ckpt_name"]
    nodes = {
        "1": ("UNETLoader", {"unet_name": "", "weight_dtype": "default"}),
        "2": ("CLIPLoader", {"clip_name": "", "type": encoder}),
        "3": ("VAELoader", {"vae_name": ""}),
    }
    texts = ["2.clip_name"]
    if both is not None:
        nodes["2"] = ("DualCLIPLoader", {"clip_name1": "", "clip_name2": "", "type": both})
        texts = ["2.clip_name1", "2.clip_name2"]
    return nodes, ["3", 0], ["1.unet_name", *texts, "3.vae_name"]


def _trainer_inputs(record: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, Any]:
    inputs = {name: config[name] for name in OF_TRAINER} | (plain_value(record, "inputs") or {})
    if "task" not in record:
        return inputs
    return {
        "task": plain_value(record, "task"),
        **inputs,
        "condition_latents": plain_value(record, "condition_latents"),
        "buffer_latents": plain_value(record, "buffer_latents"),
        "buffer_levels": ", ".join(repr(level) for level in plain_value(record, "buffer_levels")),
        "encoding": "joint" if plain_value(record, "joint_encoding") else "separate",
    }


def _dataset_inputs(record: Mapping[str, str]) -> dict[str, Any]:
    """Size, length and rate of the clips; without a condition a clip of K latents has ``1 + 4 (K - 1)`` frames.

    LTX has 8 frames a latent in place of 4.
    """
    multiple, compression = LTX_FORM if record.get("base_family", "").startswith("LTX") else FORM
    size = {name: plain_value(record, name) for name in ("width", "height", "fps")}
    target = plain_value(record, "target_latents")
    if "buckets" in record:
        lengths = {bucket["target_latents"] for bucket in plain_value(record, "buckets")}
        size["buckets"] = "by aspect and length" if len(lengths) > 1 else "by aspect"
        size["multiple"] = multiple
        target = max(lengths)
    if target is None:
        return size
    behind = int(plain_value(record, "condition_latents")) + int(plain_value(record, "buffer_latents"))
    return {**size, "frames": compression * int(target) if behind else 1 + compression * (int(target) - 1)}


def _unknown(record: Mapping[str, str]) -> tuple[str, ...]:
    """Inputs of the folder that the record does not tell: it has the buckets' sizes, not the one they were made near.

    In buckets of several lengths the longest clip may also be shorter than what was asked for.
    """
    if "buckets" not in record:
        return ()
    several = len({bucket["target_latents"] for bucket in plain_value(record, "buckets")}) > 1
    return ("width", "height", "multiple", "frames") if several else ("width", "height", "multiple")

"""How a LoRA was made: a record without private paths that rebuilds the training graph, and a line to cite."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import torch
from torch import Tensor

from ..core.methods import TITLES
from ..lora.file import LoraModel
from ..lora.keys import DOWN, split_key
from ..lora.metadata import from_metadata, plain_value
from ..storage.private_paths import without_paths
from .graph import training_graph

FORMAT = "fewshot_video.run_record 1"
PAPERS = {
    "tic_ft": "arXiv 2506.00996", "motion": "arXiv 2212.11565", "appearance": "arXiv 2310.08465",
    "aicl": "arXiv 2403.11535", "tune_a_video": "arXiv 2212.11565",
}  # fmt: skip
NOUNS = {"aicl": "adapter", "tune_a_video": "weights"}  # of what is no LoRA and has no rank of its own


def run_record(lora: LoraModel, name: str) -> dict[str, Any]:
    """All that a LoRA file says of its training, as JSON values; names of files stay, paths do not.

    ``graph`` is what the host's ``/prompt`` takes; ``fill_in`` are its inputs that the file does not tell.

    Raises:
        ValueError: the file does not say how it was made, or its record is damaged.
    """
    record = from_metadata(lora.metadata)
    if "method" not in record or "config" not in record:
        raise ValueError(
            f"{name} does not say how it was trained; choose a LoRA that a Train node of FewShot Video has saved"
        )
    try:
        graph, fill_in = training_graph(record, lora.metadata)
        values = {
            "format": FORMAT,
            "lora": _file_name(name),
            "citation": citation(record, name),
            "made": {key: plain_value(record, key) for key in sorted(record)},
            "tensors": tensor_summary(lora),
            "graph": graph,
            "fill_in": [*fill_in, *_without_their_paths(graph)],
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"the record in {name} is damaged ({error!r}); train or copy it again") from error
    return without_paths(values)


def _without_their_paths(graph: Mapping[str, Any]) -> list[str]:
    """Inputs of a graph that lose a part which was a path."""
    return [
        f"{key}.{name}"
        for key, node in graph.items()
        for name, value in node["inputs"].items()
        if without_paths(value) != value
    ]


def citation(record: Mapping[str, str], name: str) -> str:
    """One line on how a LoRA was made: method and paper, base, rank, steps, clips, seed, version."""
    config = plain_value(record, "config")
    method = plain_value(record, "method")
    source = f" ({PAPERS[method]})" if method in PAPERS else ""
    rank = f", rank {config['rank']}, alpha {config.get('alpha') or config['rank']:g}"
    noun, size = (NOUNS[method], "") if method in NOUNS else ("LoRA", rank)
    expert = f", {record['expert']} expert" if "expert" in record else ""
    parts = [
        f"{PurePosixPath(_file_name(name)).stem}: {TITLES.get(method, method)} {noun}{source}{size}, "
        f"on {record['base_family']} ({record['base_model']}{expert})",
        *_task(record),
        _counted(record["clips"], "clip"),
        _steps(record, config),
        f"batch size {config['batch_size']}",
        f"learning rate {config['learning_rate']:g} ({config.get('optimizer', 'adamw')}, {config['lr_schedule']})",
        f"seed {config['seed']}",
        f"FewShot Video {record['pack_version']}",
    ]
    return without_paths(" ".join(", ".join(parts).split()) + ".")


def tensor_summary(lora: Mapping[str, Tensor]) -> dict[str, Any]:
    """Counts and types of the tensors, and the digest of their names and bytes, which metadata does not change."""
    digest = hashlib.sha256()
    for key in sorted(lora):
        value = lora[key].detach().to("cpu").contiguous()
        digest.update(f"{key} {value.dtype} {list(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    ranks = Counter(value.shape[0] for key, value in lora.items() if split_key(key)[1] == DOWN)
    return {
        "layers": sum(ranks.values()),
        "ranks": {str(rank): count for rank, count in sorted(ranks.items())},
        "types": sorted({str(value.dtype).removeprefix("torch.") for value in lora.values()}),
        "sha256": digest.hexdigest(),
    }


def _task(record: Mapping[str, str]) -> list[str]:
    if "task" not in record:
        return []
    counts = (plain_value(record, f"{part}_latents") for part in ("condition", "buffer", "target"))
    return [f"{plain_value(record, 'task')} in {'+'.join(map(str, counts))} latents"]


def _steps(record: Mapping[str, str], config: Mapping[str, Any]) -> str:
    done = record["steps"]
    of = "" if record.get("finished") == "true" else f"{done} of "
    return of + _counted(config["steps"] if of else done, "step")


def _counted(number: object, noun: str) -> str:
    return f"{number} {noun}{'s' * (str(number) != '1')}"


def _file_name(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name

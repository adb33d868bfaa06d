"""A network that the authors' code of Tune-A-Video has saved is what it was: a whole UNet, in diffusers' names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.utils
import pytest
import tiny_unet
import torch
from diffusers_tune_a_video import Oracle
from safetensors.torch import save_file
from tiny_unet import CONFIG, answer, clip, text
from tuned_models import tuned_of

from pack.methods.tune_a_video import POOLED
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.training.tune_a_video.file import load_tuned

THEIRS = {"to_q": "to_q.weight", "to_k": "to_k.weight", "to_v": "to_v.weight", "to_out": "to_out.0.weight",
          "to_out_bias": "to_out.0.bias"}  # fmt: skip
TEXTS = {0: text(1), 1: text(2)}


def published(folder: Path, **more: torch.Tensor) -> tuple[Any, Path, Oracle]:
    """The base, the file, and the network that the file is."""
    model = tiny_unet.fresh_unet()
    made = tuned_of(model, POOLED)
    weights = {name: value.clone() for name, value in model.model.diffusion_model.state_dict().items()}
    for name, delta in made.queries.items():
        weights[f"{name}.weight"] += delta
    names = comfy.utils.unet_to_diffusers(CONFIG)  # diffusers' -> the host's
    tensors = {theirs: weights[ours] for theirs, ours in names.items() if ours in weights}
    blocks = {ours.removesuffix(".norm1.weight"): theirs.removesuffix(".norm1.weight")
              for theirs, ours in names.items() if ours.endswith("transformer_blocks.0.norm1.weight")}  # fmt: skip
    for name, value in made.temporal.items():
        block, _, part = name.rpartition(".")
        tensors[f"{blocks[block]}.attn_temp.{THEIRS[part]}"] = value
        tensors[f"{blocks[block]}.norm_temp.weight"] = torch.ones(len(made.temporal[f"{block}.to_q"]))
        tensors[f"{blocks[block]}.norm_temp.bias"] = torch.zeros(len(made.temporal[f"{block}.to_q"]))
    path = folder / "published.safetensors"
    save_file({key: value.clone().contiguous() for key, value in {**tensors, **more}.items()}, path)
    return model, path, Oracle(weights, names, made.temporal, True)


def test_it_answers_as_the_network_that_was_saved(tmp_path):
    model, path, oracle = published(tmp_path)
    tuned, x = load_tuned(path), clip(8, 4, 2)
    assert tuned.group_norms == POOLED
    for _ in range(2):  # also while a tuned clone is loaded, whose queries are patched in
        ours = answer(apply_tuned(model, tuned, 1.0), x, 41, [1, 0], TEXTS)
        torch.testing.assert_close(ours, oracle(x, 41, [TEXTS[1], TEXTS[0]]), rtol=0, atol=1e-4)
    plain = answer(apply_tuned(model, tuned, 0.0), x, 41, [1, 0], TEXTS)
    assert (plain - ours).abs().max() > 0.01


def test_a_norm_that_was_trained_is_refused(tmp_path):
    key = "down_blocks.0.attentions.0.transformer_blocks.0.norm_temp.weight"
    _, path, _ = published(tmp_path, **{key: torch.full((32,), 2.0)})
    with pytest.raises(ValueError, match=rf"has a trained {key}"):
        load_tuned(path)

"""A network that the authors' code of Tune-A-Video has saved is what it was: a whole UNet, in diffusers' names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.utils
import pytest
import tiny_unet
import torch
from diffusers_tune_a_video import Oracle
from safetensors.torch import load_file, save_file
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


@pytest.mark.parametrize("prefix", ["module.", "unet."])
def test_names_of_a_wrapped_network_are_read(tmp_path, prefix):
    _, path, _ = published(tmp_path)
    wrapped = tmp_path / "wrapped.safetensors"
    save_file({f"{prefix}{key}": value for key, value in load_file(path).items()}, wrapped)
    plain, found = load_tuned(path), load_tuned(wrapped)
    assert plain.temporal.keys() == found.temporal.keys()
    assert all(torch.equal(value, found.queries[name]) for name, value in plain.queries.items())


def test_a_part_of_a_network_is_refused(tmp_path):
    _, path, _ = published(tmp_path)
    part = tmp_path / "part.safetensors"
    save_file({key: value for key, value in load_file(path).items() if key.startswith("mid_block")}, part)
    with pytest.raises(ValueError, match=r"part\.safetensors holds a part of a tuned network; choose the file with"):
        load_tuned(part)


def test_a_network_for_other_texts_is_refused(tmp_path):
    model, path, _ = published(tmp_path)
    tuned = load_tuned(path)
    assert tuned.text_width == CONFIG["context_dim"]
    with pytest.raises(ValueError, match=r"reads texts of 1024 channels, the Stable Diffusion 1\.x, .* that is loaded"):
        apply_tuned(model, replace(tuned, text_width=1024), 1.0)

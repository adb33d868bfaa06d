"""CogVideoX 2B answers as diffusers' network at every size, with or without a table in its file."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import comfy.model_management
import diffusers_networks
import pytest
import tiny_cogvideox
import tiny_families
import tiny_wan
import torch
from diffusers.models.embeddings import CogVideoXPatchEmbed
from torch import Tensor

from pack.nodes.host.model import position_table
from pack.nodes.host.model.families import find_family
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import trainable_video_model

SIZES = [(13, 16, 18), (3, 60, 90), (14, 8, 6), (1, 2, 2), (2, 7, 5)]  # latent frames, rows, columns; odd is padded
ROUNDING = 1e-5  # L2 of the difference over that of the answer


def scene(size: tuple[int, int, int]) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    video = torch.randn(1, 16, *size, generator=generator)
    text = torch.randn(1, diffusers_networks.TOKENS, tiny_families.TEXT_DIM, generator=generator)
    return video, torch.tensor([500.0]), text


def answer(model: Any, given: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model])
        return model.model.diffusion_model(given[0], given[1], given[2], transformer_options={})


def apart(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("size", [size for size in SIZES if not (size[1] % 2 or size[2] % 2)])
def test_the_network_answers_as_that_of_diffusers(size):
    base = tiny_families.model_of("CogVideoX 2B")
    model, given = repaired(base), scene(size)
    theirs = diffusers_networks.cogvideox(tiny_wan.weights_of(base), base.model.diffusion_model)
    expected = theirs(*given)
    assert apart(answer(model, given), expected) <= ROUNDING
    if size[1:] not in ((60, 90), (2, 2)):
        assert apart(answer(base, given), expected) > 0.01


@pytest.mark.parametrize("size", SIZES)
def test_the_embeddings_are_those_of_diffusers(size):
    frames, height, width = size[0], -(-size[1] // 2), -(-size[2] // 2)
    layer = CogVideoXPatchEmbed(embed_dim=192, text_embed_dim=1)
    expected = layer._get_positional_embeddings(2 * height, 2 * width, 4 * (frames - 1) + 1)[0, 226:].float()
    assert torch.equal(position_table.position_embeddings(192, frames, height, width), expected)


def test_an_odd_size_is_padded_to_whole_tokens():
    model = repaired(tiny_families.model_of("CogVideoX 2B"))
    assert answer(model, scene((2, 7, 5))).shape == (1, 16, 2, 7, 5)


def test_a_repaired_model_says_so_once_and_its_base_stays(caplog):
    base = tiny_families.model_of("CogVideoX 2B")
    given = scene((2, 4, 4))
    before = answer(base, given)
    with caplog.at_level(logging.INFO):
        model = repaired(base)
        assert repaired(model) is model
    assert caplog.text.count("gives the tokens of CogVideoX 2B the position embeddings of 720 x 480") == 1
    assert not torch.equal(answer(model, given), before)
    assert torch.equal(answer(base, given), before)
    assert find_family(model).name == find_family(base).name == "CogVideoX 2B"


def test_a_run_counts_the_embeddings_by_name_whether_the_model_was_repaired_before_or_not():
    found = trainable_video_model(tiny_families.model_of("CogVideoX 2B"))
    assert list(found.changes) == ["position embeddings"]
    assert trainable_video_model(found.model).changes == found.changes
    assert trainable_video_model(tiny_families.model_of("CogVideoX 5B")).changes == {}
    other = found.model.clone()
    other.add_object_patch(position_table.FORWARD, torch.nn.Identity().forward)  # another pack's
    assert list(trainable_video_model(other).changes) != ["position embeddings"]


def test_a_file_of_its_size_without_a_table_is_no_5b(tmp_path):
    """The published file has no table, and the host gives such a network rotary positions."""
    config = {"num_attention_heads": position_table.HEADS, "num_layers": 1}
    base = tiny_cogvideox.load_tiny_cogvideox(tiny_cogvideox.save_tiny_cogvideox(tmp_path / "2b.safetensors", **config))
    assert base.model.diffusion_model.use_rotary_positional_embeddings
    model, given = repaired(base), scene((2, 4, 6))
    assert find_family(base).name == find_family(model).name == "CogVideoX 2B"
    expected = diffusers_networks.cogvideox(tiny_wan.weights_of(base), base.model.diffusion_model)(*given)
    assert apart(answer(model, given), expected) <= ROUNDING
    assert apart(answer(base, given), expected) > 0.01
    assert base.model.diffusion_model.use_rotary_positional_embeddings


def test_a_table_that_was_learned_is_of_no_known_family(tmp_path):
    path = tiny_cogvideox.save_tiny_cogvideox(tmp_path / "model.safetensors", **tiny_cogvideox.POSITION_TABLE)
    learned = tiny_cogvideox.load_tiny_cogvideox(Path(path))
    learned.model.diffusion_model.patch_embed.pos_embedding = torch.randn(1, 226 + 17550, 192)
    assert find_family(learned) is None
    rounded = tiny_cogvideox.published_table(192).bfloat16()
    learned.model.diffusion_model.patch_embed.pos_embedding = rounded
    assert find_family(learned).name == "CogVideoX 2B"

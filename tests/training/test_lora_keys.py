"""LoRA keys: diffusers' and PEFT's to the host's and back, and what a file is."""

from __future__ import annotations

import pytest

from pack.training.lora_keys import (
    ALPHA,
    COGVIDEOX,
    DOWN,
    TABLES,
    UP,
    WAN,
    KeyTable,
    describe_layers,
    diffusers_keys,
    host_keys,
    split_key,
    table_of_network,
)

PREFIXES = ("", "transformer.", "base_model.model.", "diffusion_model.", "base_model.model.transformer.")


def layers(table: KeyTable, column: int, block: int = 12) -> list[str]:
    """Names of all layers in the host's (0) or diffusers' (1) words."""
    return [pair[column].format(block) for pair in table.layers]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_every_layer_goes_over_and_back(table):
    ours, theirs = layers(table, 0), layers(table, 1)
    assert [table.to_host(name) for name in theirs] == ours
    assert [table.to_diffusers(name) for name in ours] == theirs
    assert len(set(ours)) == len(set(theirs)) == len(table.layers)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_a_name_never_means_two_layers(table):
    for ours, theirs in zip(layers(table, 0), layers(table, 1), strict=True):
        assert table.to_host(ours) == ours
        assert table.to_diffusers(theirs) == theirs


@pytest.mark.parametrize(("table", "theirs", "ours"), [
    (WAN, "blocks.39.attn1.to_q", "blocks.39.self_attn.q"),
    (WAN, "blocks.0.attn1.to_out.0", "blocks.0.self_attn.o"),
    (WAN, "blocks.7.attn2.to_v", "blocks.7.cross_attn.v"),
    (WAN, "blocks.7.attn2.add_k_proj", "blocks.7.cross_attn.k_img"),
    (WAN, "blocks.10.ffn.net.0.proj", "blocks.10.ffn.0"),
    (WAN, "blocks.10.ffn.net.2", "blocks.10.ffn.2"),
    (COGVIDEOX, "transformer_blocks.41.attn1.to_k", "blocks.41.k"),
    (COGVIDEOX, "transformer_blocks.0.attn1.to_out.0", "blocks.0.attn_out"),
    (COGVIDEOX, "transformer_blocks.3.ff.net.0.proj", "blocks.3.ff_proj"),
    (COGVIDEOX, "transformer_blocks.3.ff.net.2", "blocks.3.ff_out"),
    (COGVIDEOX, "transformer_blocks.3.norm2.linear", "blocks.3.norm2.linear"),
    (COGVIDEOX, "time_embedding.linear_2", "time_embedding_linear_2"),
])  # fmt: skip
@pytest.mark.parametrize("prefix", PREFIXES)
def test_prefixes_are_taken_off_and_the_block_is_kept(table, theirs, ours, prefix):
    assert table.to_host(prefix + theirs) == ours
    assert table.to_diffusers(prefix + ours) == theirs


@pytest.mark.parametrize(
    "ending", ["lora_A.weight", "lora_A.default.weight", "lora_A.mine.weight", "lora_A", "lora_down.weight"]
)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_down_matrix_is_known_by_all_its_names(prefix, ending):
    key = f"{prefix}blocks.0.attn1.to_q.{ending}"
    assert host_keys([key], WAN) == {key: "diffusion_model.blocks.0.self_attn.q.lora_down.weight"}


@pytest.mark.parametrize(("key", "parts"), [
    ("a.to_out.0.lora_B.weight", ("a.to_out.0", UP)),
    ("a.q.lora_up.weight", ("a.q", UP)),
    ("a.q.lora_A.default.weight", ("a.q", DOWN)),
    ("a.q.alpha", ("a.q", ALPHA)),
    ("a.q.lora_B.bias", ("a.q", "lora_B.bias")),
    ("a.q.lora_B.default.bias", ("a.q", "lora_B.default.bias")),
    ("a.q.lora_magnitude_vector", ("a.q", "lora_magnitude_vector")),
    ("a.q.diff_b", ("a.q", "diff_b")),
    ("lora_unet_blocks_0_ffn_0.lora_down.weight", ("lora_unet_blocks_0_ffn_0", DOWN)),
    ("alone", ("alone", "")),
])  # fmt: skip
def test_a_key_is_a_layer_and_what_the_tensor_is(key, parts):
    assert split_key(key) == parts


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_the_keys_of_a_file_survive_the_way_there_and_back(table):
    theirs = [f"transformer.{layer}.{end}" for layer in layers(table, 1)
              for end in ("lora_A.weight", "lora_B.weight", "alpha")]  # fmt: skip
    ours = list(host_keys(theirs, table).values())
    assert list(diffusers_keys(ours, table).values()) == theirs
    assert list(host_keys(ours, table).values()) == ours
    assert len(set(ours)) == len(theirs)


def test_what_the_table_does_not_know_keeps_its_name():
    keys = ["transformer.blocks.0.attn3.to_q.lora_A.weight", "text_encoder.x.lora_A.weight",
            "transformer.blocks.0.attn1.to_q.lora_magnitude_vector", "lora_unet_blocks_0_ffn_0.alpha"]  # fmt: skip
    assert host_keys(keys, WAN) == {key: key for key in keys}
    assert diffusers_keys(keys, WAN) == {key: key for key in keys}


def test_two_adapters_in_one_file_are_refused():
    keys = [f"blocks.0.attn1.to_q.lora_A.{name}.weight" for name in ("first", "second")]
    with pytest.raises(ValueError, match=r"one tensor twice, as .*first\.weight and as .*second\.weight; keep one"):
        host_keys(keys, WAN)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_a_network_is_known_by_its_attention(table):
    assert table_of_network(layers(table, 0)) is table
    assert table_of_network(layers(table, 0)[:4]) is table
    assert table_of_network(layers(table, 1)) is None
    assert table_of_network(["double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn1.to_q"]) is None


def test_a_file_is_described_by_family_and_owner_of_the_names():
    attention = [name for name in layers(COGVIDEOX, 1) if "attn1" in name]
    assert describe_layers(f"transformer.{name}" for name in attention) == "a CogVideoX LoRA in the names of diffusers"
    assert describe_layers(layers(WAN, 1)) == "a Wan LoRA in the names of diffusers"
    assert describe_layers(f"diffusion_model.{name}" for name in layers(WAN, 0)) == "a Wan LoRA in the names of ComfyUI"
    ltxv = [f"transformer_blocks.0.{name}" for name in ("attn1.to_q", "attn1.to_k", "attn2.to_q", "attn2.to_k")]
    assert describe_layers(ltxv) == "a LoRA of an unknown family"
    assert describe_layers([]) == "a LoRA of an unknown family"

"""LoRA keys: diffusers' and PEFT's to the host's and back, and what a file is."""

from __future__ import annotations

import pytest

from pack.training.lora.keys import (
    ALPHA,
    COGVIDEOX,
    DOWN,
    HUNYUAN,
    HUNYUAN_15,
    KANDINSKY,
    LTXV,
    TABLES,
    UP,
    WAN,
    KeyTable,
    describe_layers,
    host_keys,
    kohya_key,
    some,
    split_key,
    table_of_network,
    tables_of_file,
)

PREFIXES = ("", "transformer.", "base_model.model.", "diffusion_model.", "base_model.model.transformer.")


def layers(table: KeyTable, column: int, block: int = 12) -> list[str]:
    """Names of all layers in the host's (0) or diffusers' (1) words."""
    return [pair[column].format(block) for pair in table.layers]


def fused(table: KeyTable, block: int = 12) -> dict[str, list[str]]:
    """Parts, in diffusers' words, of every layer that is one in the host."""
    return {host.format(block): [name.format(block) for name, _ in parts] for host, parts in table.fused}


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
def test_parts_of_a_layer_know_it_and_their_place(table):
    for host, parts in fused(table).items():
        assert [name for name, _ in table.parts(host)] == parts
        assert [table.part_of(name) for name in (f"transformer.{part}" for part in parts)] == list(range(len(parts)))
        assert {table.to_host(name) for name in parts} == {host}
        assert table.to_diffusers(host) is None
    assert len(fused(table)) == {HUNYUAN: 4, HUNYUAN_15: 3}.get(table, 0)
    assert all(table.part_of(name) is None and table.parts(name) == () for name in layers(table, 0))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_kohyas_names_mean_one_layer_each(table):
    hosts = [name.format(7) for name in sorted(table.names(0))]
    keys = [kohya_key(name, UP) for name in hosts]
    assert [table.to_host(split_key(key)[0]) for key in keys] == hosts
    assert len(set(keys)) == len(hosts)
    assert all(key.startswith("lora_unet_") and key.count(".") == 2 for key in keys)


@pytest.mark.parametrize(("ours", "theirs"), HUNYUAN.others)
def test_the_authors_names_of_hunyuan_are_known_with_dots_and_without(ours, theirs):
    flat = f"lora_unet_{theirs.replace('.', '_')}"
    assert [HUNYUAN.to_host(name.format(3)) for name in (f"transformer.{theirs}", flat)] == [ours.format(3)] * 2


def test_the_three_projections_of_the_authors_of_hunyuan_1_5_are_parts_of_one():
    for side in ("img", "txt"):
        for i, part in enumerate("qkv"):
            for name in (f"double_blocks.3.{side}_attn_{part}", f"lora_unet_double_blocks_3_{side}_attn_{part}"):
                assert HUNYUAN_15.to_host(name) == f"double_blocks.3.{side}_attn.qkv"
                assert HUNYUAN_15.part_of(name) == i


def test_a_network_of_hunyuan_1_5_is_told_from_one_of_1_0():
    names = [f"double_blocks.0.{part}" for part in ("img_attn.qkv", "txt_attn.qkv")]
    assert table_of_network(names) is None
    names.append("txt_in.individual_token_refiner.blocks.0.self_attn.qkv")
    assert table_of_network(names) is HUNYUAN
    assert table_of_network([*names, "byt5_in.fc1"]) is HUNYUAN_15


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_diffusers_keys_become_the_hosts_each_one_of_its_own(table):
    endings = {"lora_A.weight": "lora_down.weight", "lora_B.weight": "lora_up.weight", "alpha": "alpha"}
    theirs = [f"transformer.{layer}.{end}" for layer in layers(table, 1) for end in endings]
    ours = list(host_keys(theirs, table).values())
    assert ours == [f"diffusion_model.{layer}.{end}" for layer in layers(table, 0) for end in endings.values()]
    assert list(host_keys(ours, table).values()) == ours
    assert len(set(ours)) == len(theirs)


def test_what_the_table_does_not_know_keeps_its_name():
    keys = ["transformer.blocks.0.attn3.to_q.lora_A.weight", "text_encoder.x.lora_A.weight",
            "lora_unet_blocks_0_extra_0.alpha"]  # fmt: skip
    assert host_keys(keys, WAN) == {key: key for key in keys}
    part = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"  # its tensor is only a part of the host's
    assert host_keys([part], HUNYUAN) == {part: part}


@pytest.mark.parametrize("role", ["alpha", "hada_w1_a", "lokr_w2_b", "dora_scale", "a1.weight", "diff_b"])
@pytest.mark.parametrize(
    "flat", ["lora_unet_blocks_0_ffn_0", "lycoris_blocks_0_ffn_net_0_proj", "lora_transformer_blocks_0_ffn_net_0_proj"]
)
def test_flat_keys_become_the_hosts_all_of_a_layer_together(flat, role):
    assert host_keys([f"{flat}.{role}"], WAN) == {f"{flat}.{role}": f"diffusion_model.blocks.0.ffn.0.{role}"}


def test_two_adapters_in_one_file_are_refused():
    keys = [f"blocks.0.attn1.to_q.lora_A.{name}.weight" for name in ("first", "second")]
    with pytest.raises(ValueError, match=r"one tensor twice, as .*first\.weight and as .*second\.weight; keep one"):
        host_keys(keys, WAN)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)
def test_a_network_is_known_by_its_layers(table):
    hosts = [name.format(0) for name in table.names(0)]
    assert table_of_network(hosts) is table
    assert table_of_network(mark.format(3) for mark in table.marks) is table
    assert table_of_network(layers(table, 1)) is (table if table is KANDINSKY else None)  # which has the host's names
    without = [table_of_network(name for name in hosts if name != mark.format(0)) for mark in table.marks]
    assert without == [None, None, HUNYUAN] if table is HUNYUAN_15 else not any(without)
    assert table_of_network(["double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn1.to_q"]) is None


def test_a_file_is_described_by_family_and_owner_of_the_names():
    attention = [name for name in layers(COGVIDEOX, 1) if "attn1" in name]
    assert describe_layers(f"transformer.{name}" for name in attention) == "a CogVideoX LoRA in the names of diffusers"
    assert describe_layers(layers(WAN, 1)) == "a Wan LoRA in the names of diffusers"
    assert describe_layers(f"diffusion_model.{name}" for name in layers(WAN, 0)) == "a Wan LoRA in the names of ComfyUI"
    ltxv = [f"transformer_blocks.0.{name}" for name in ("attn1.to_q", "attn1.to_k", "attn2.to_q", "attn2.to_k")]
    assert describe_layers(ltxv) == "a LTXV LoRA in the names of ComfyUI"
    parts = [part for names in fused(HUNYUAN).values() for part in names]
    assert describe_layers(parts) == "a HunyuanVideo LoRA in the names of diffusers"
    flat = [split_key(kohya_key(name.format(0), UP))[0] for name in WAN.names(0)]
    assert describe_layers(flat) == "a Wan LoRA in the names of kohya"
    assert describe_layers(["blocks.0.mixer"]) == describe_layers([]) == "a LoRA of an unknown family"


def test_a_file_may_be_of_several_families():
    attention = [f"transformer_blocks.0.attn1.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")]
    assert tables_of_file([f"transformer.{name}" for name in attention]) == [COGVIDEOX, LTXV]
    assert tables_of_file([f"diffusion_model.{name}" for name in attention]) == [LTXV]
    assert tables_of_file([f"transformer.{name}" for name in layers(COGVIDEOX, 1)]) == [COGVIDEOX]
    assert tables_of_file(["text.model"]) == tables_of_file([]) == []


def test_a_sentence_names_three_and_counts_the_others():
    assert some(list("abc")) == "a, b, c"
    assert some(list("abcde")) == "a, b, c and 2 more"

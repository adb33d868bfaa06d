"""LoRA files in the names of other tools and back, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from pack.training.lora.convert import FAMILIES, ORIGIN, convert_lora, format_of, table_of, with_joined_layers
from pack.training.lora.file import LoraModel, same_lora
from pack.training.lora.foreign import COMFYUI, DIFFUSERS, FORMATS, HINTS, KOHYA
from pack.training.lora.keys import COGVIDEOX, HUNYUAN, HUNYUAN_15, LTXV, TABLES, WAN, KeyTable

IN, BLOCK = 8, 11
RECORD = {"fewshot_video.method": '"tic_ft"', "ss_network_dim": "3"}
FAMILY = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.family)


def tensors_of(name: str, rows: int, rank: int, seed: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tail = [1, 2, 2] if name.startswith("patch_embedding") else []
    up, down = torch.randn(rows, rank, *[1] * len(tail), generator=generator), torch.randn(
        rank, IN, *tail, generator=generator
    )  # fmt: skip
    return up.to(dtype), down.to(dtype)


def of_comfyui(table: KeyTable, alpha: float | None = 2.0, rank: int = 3, dtype=torch.float32) -> LoraModel:
    """A LoRA on every layer, as the pack saves it."""
    found: dict[str, Tensor] = {}
    for seed, name in enumerate(sorted(table.names(0))):
        host = name.format(BLOCK)
        rows = sum(width for _, width in table.parts(host)) * IN or 12
        up, down = tensors_of(name, rows, rank, seed, dtype)
        found |= {f"diffusion_model.{host}.lora_up.weight": up, f"diffusion_model.{host}.lora_down.weight": down}
        if alpha is not None:
            found[f"diffusion_model.{host}.alpha"] = torch.tensor(alpha, dtype=dtype)
    return LoraModel(found, RECORD)


def of_diffusers(table: KeyTable, settings: dict[str, object] | None = None, rank: int = 3, only="") -> LoraModel:
    """A LoRA on every layer, or those whose name ends so, as the authors save it."""
    found: dict[str, Tensor] = {}
    widths = {part: width for _, parts in table.fused for part, width in parts}
    for seed, name in enumerate(sorted(table.names(1))):
        if name.endswith(only or ""):
            up, down = tensors_of(name, widths[name] * IN if name in widths else 12, rank, seed, torch.float32)
            found |= {
                f"transformer.{name.format(BLOCK)}.lora_{matrix}.weight": value
                for matrix, value in (("A", down), ("B", up))
            }
    return LoraModel(found, RECORD | ({"lora_config": json.dumps(settings)} if settings else {}))


def tensors_equal(first: LoraModel, second: LoraModel) -> bool:
    return same_lora(LoraModel(first), LoraModel(second))


def there_and_back(lora: LoraModel, *way: str, family: str = "") -> LoraModel:
    for target in way:
        lora = convert_lora(lora, target, "a.safetensors", family)
    return lora


@FAMILY
@pytest.mark.parametrize("way", [(DIFFUSERS,), (KOHYA,), (KOHYA, DIFFUSERS), (DIFFUSERS, KOHYA)], ids="-".join)
@pytest.mark.parametrize("alpha", [2.0, None])
def test_a_lora_of_comfyui_comes_back_bit_for_bit(table, way, alpha):
    lora = of_comfyui(table, alpha)
    back = there_and_back(lora, *way, COMFYUI)
    assert tensors_equal(back, lora)
    assert {key: back.metadata[key] for key in RECORD} == RECORD


@FAMILY
@pytest.mark.parametrize("way", [(COMFYUI,), (KOHYA,), (COMFYUI, KOHYA)], ids="-".join)
@pytest.mark.parametrize("settings", [None, {"r": 3, "lora_alpha": 6}, {"r": 3, "lora_alpha": 5, "use_rslora": True}])
def test_a_lora_of_diffusers_comes_back_bit_for_bit_with_its_own_settings(table, way, settings):
    lora = of_diffusers(table, settings)
    back = there_and_back(lora, *way, DIFFUSERS, family=table.family)
    assert tensors_equal(back, lora)
    added = {"format", ORIGIN} | ({"lora_adapter_metadata"} if settings else set())  # diffusers reads no lora_config
    assert back.metadata.keys() == lora.metadata.keys() | added
    assert {key: back.metadata[key] for key in lora.metadata} == lora.metadata


def test_diffusers_own_settings_come_back_as_they_were_and_wrong_ones_do_not():
    lora = of_diffusers(WAN)
    lora.metadata["lora_adapter_metadata"] = json.dumps({"transformer.r": 3, "transformer.lora_alpha": 6, "x": [1]})
    ours = there_and_back(lora, COMFYUI)
    assert there_and_back(ours, DIFFUSERS).metadata["lora_adapter_metadata"] == lora.metadata["lora_adapter_metadata"]
    ours.metadata["lora_config"] = json.dumps({"r": 3, "lora_alpha": 5})
    assert "lora_config" not in there_and_back(ours, DIFFUSERS).metadata
    ours.update({key: torch.tensor(9.0) for key in ours if key.endswith(".alpha")})
    settings = json.loads(there_and_back(ours, DIFFUSERS).metadata["lora_adapter_metadata"])
    assert settings["transformer.lora_alpha"] == 9


@pytest.mark.parametrize("only", ["to_q", "to_v", "add_k_proj", "proj_mlp"])
def test_a_lora_on_some_parts_of_a_fused_layer_comes_back_on_those(only):
    lora = of_diffusers(HUNYUAN, {"r": 3, "lora_alpha": 6}, only=only)
    ours = there_and_back(lora, COMFYUI)
    assert all(ours[key].shape[0] in (3 * IN, 7 * IN) for key in ours if key.endswith("lora_up.weight"))
    assert tensors_equal(there_and_back(ours, DIFFUSERS), lora)


@pytest.mark.parametrize("way", [(COMFYUI,), (KOHYA,), (COMFYUI, KOHYA), (KOHYA, COMFYUI)], ids="-".join)
def test_untrained_parts_whose_zeros_hide_the_blocks_come_back_too(way):
    lora = of_diffusers(HUNYUAN)
    for key in lora:
        if "lora_B" in key:
            lora[key].zero_()
    assert tensors_equal(there_and_back(lora, *way, DIFFUSERS), lora)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_types_are_kept_those_of_alphas_too(dtype):
    lora = of_comfyui(HUNYUAN, 1.5, dtype=dtype)
    lora["diffusion_model.img_in.proj.alpha"] = torch.full((1,), 0.5, dtype=torch.float64)
    del lora["diffusion_model.double_blocks.11.img_attn.qkv.alpha"]
    theirs = there_and_back(lora, DIFFUSERS)
    assert {value.dtype for value in theirs.values()} == {dtype}
    back = there_and_back(theirs, KOHYA, COMFYUI)
    assert tensors_equal(back, lora)
    assert not any(key in back.metadata for key in HINTS)


@FAMILY
def test_settings_give_diffusers_the_alpha_of_each_layer(table):
    lora = of_comfyui(table, 2.0)
    name = sorted(name for name, _ in table.layers)[0]
    first = f"diffusion_model.{name.format(BLOCK)}"
    lora[f"{first}.alpha"] = torch.tensor(7.25)
    settings = json.loads(there_and_back(lora, DIFFUSERS).metadata["lora_adapter_metadata"])
    assert (settings["transformer.r"], settings["transformer.lora_alpha"]) == (3, 2)
    assert list(settings["transformer.alpha_pattern"].values()) == [7.25]
    assert tensors_equal(there_and_back(lora, DIFFUSERS, COMFYUI), lora)


def test_layers_of_several_ranks_have_patterns():
    lora = of_comfyui(WAN)
    wide, narrow = of_comfyui(WAN, rank=5), "diffusion_model.head.head."
    lora.update({key: wide[key] for key in lora if key.startswith(narrow)})
    settings = json.loads(there_and_back(lora, DIFFUSERS).metadata["lora_adapter_metadata"])
    assert settings["transformer.rank_pattern"] == {"^proj_out": 5}
    assert tensors_equal(there_and_back(lora, DIFFUSERS, COMFYUI), lora)


def test_the_line_of_origin_grows_with_each_conversion():
    lora = there_and_back(of_comfyui(WAN), DIFFUSERS)
    assert lora.metadata[ORIGIN] == "a.safetensors, in the names of ComfyUI"
    lora = convert_lora(lora, KOHYA, "b.safetensors")
    assert lora.metadata[ORIGIN].splitlines() == [
        "a.safetensors, in the names of ComfyUI", "b.safetensors, in the names of diffusers",
    ]  # fmt: skip


def test_peft_and_trainers_names_are_read():
    lora = of_diffusers(WAN)
    peft = {
        key.replace("transformer.", "base_model.model.").replace("weight", "default.weight"): value
        for key, value in lora.items()
    }
    assert tensors_equal(there_and_back(LoraModel(peft), COMFYUI), there_and_back(lora, COMFYUI))
    host = of_comfyui(HUNYUAN)
    musubi = {key.replace("diffusion_model.", ""): value for key, value in host.items()}
    renamed = "mod.lin. mod.linear. _attn.qkv _attn_qkv mlp.0 mlp.fc1 _attn.proj _attn_proj mlp.2 mlp.fc2 "
    renamed = (renamed + "modulation.lin. modulation.linear.").split()
    for ours, theirs in zip(renamed[::2], renamed[1::2], strict=True):
        musubi = {key.replace(ours, theirs): value for key, value in musubi.items()}
    flat = {}
    for key, value in musubi.items():
        layer, _, end = key.partition(".lora_") if ".lora_" in key else key.rpartition(".")
        flat[f"lora_unet_{layer.replace('.', '_')}.{'lora_' if 'lora_' in key else ''}{end}"] = value
    assert any("img_mlp_fc1" in key for key in flat)
    assert tensors_equal(there_and_back(LoraModel(flat), COMFYUI), host)


@pytest.mark.parametrize("prefix", ["diffusion_model.", "transformer.", ""])
@pytest.mark.parametrize("target", FORMATS)
def test_hunyuan_in_the_names_of_its_authors_is_what_it_is_in_the_hosts(prefix, target):
    """As diffusion-pipe writes it: PEFT's endings, no alpha."""
    names, host, theirs = dict(HUNYUAN.others), of_comfyui(HUNYUAN, None), LoraModel({}, RECORD)
    for name in HUNYUAN.names(0):
        own, its = f"diffusion_model.{name.format(BLOCK)}", f"{prefix}{names.get(name, name).format(BLOCK)}"
        theirs |= {f"{its}.lora_A.weight": host[f"{own}.lora_down.weight"],
                   f"{its}.lora_B.weight": host[f"{own}.lora_up.weight"]}  # fmt: skip
    assert any("img_attn_qkv" in key for key in theirs)
    converted = convert_lora(theirs, target, "pipe.safetensors")
    assert tensors_equal(converted, host if target == COMFYUI else there_and_back(host, target))
    assert converted.metadata[ORIGIN] == "pipe.safetensors, in the names of the model's authors"
    if target != COMFYUI:
        assert tensors_equal(there_and_back(converted, COMFYUI), host)


@FAMILY
def test_whose_names_a_file_has_is_told(table):
    lora = of_comfyui(table)
    assert format_of(lora, table) == COMFYUI
    for target in FORMATS[1:]:
        converted = there_and_back(lora, target)
        assert format_of(converted, table) == target
        assert table_of(converted, "") is table
        with pytest.raises(ValueError, match=rf"a\.safetensors cannot be converted: it is in the names of {target}"):
            there_and_back(converted, target)


def test_names_of_two_families_are_not_guessed():
    names = ("to_q", "to_k", "to_v", "to_out.0")
    lora = LoraModel({f"transformer.transformer_blocks.0.attn1.{name}.lora_{m}.weight": torch.ones(2, 2)
                      for name in names for m in "AB"})  # fmt: skip
    with pytest.raises(ValueError, match=r"may be those of CogVideoX or LTXV; choose `family`"):
        convert_lora(lora, COMFYUI, "a.safetensors")
    assert "diffusion_model.blocks.0.q.lora_up.weight" in convert_lora(lora, COMFYUI, "a.safetensors", "CogVideoX")
    ltxv = convert_lora(lora, KOHYA, "a.safetensors", "LTXV")
    assert "lora_unet_transformer_blocks_0_attn1_to_q.lora_up.weight" in ltxv
    hosts = {key.replace("transformer.", "diffusion_model.", 1): value for key, value in lora.items()}
    assert table_of(LoraModel(hosts)) is LTXV
    assert table_of(lora, "CogVideoX") is COGVIDEOX
    assert FAMILIES == ("Wan", "CogVideoX", "LTXV", "HunyuanVideo", "HunyuanVideo 1.5", "Kandinsky 5")


def test_the_versions_of_hunyuan_are_told_by_their_own_layers_and_asked_for_where_it_matters():
    def lora(*names: str) -> LoraModel:
        return LoraModel({f"{name}.lora_{m}.weight": torch.ones(6, 6) for name in names for m in ("up", "down")})

    shared = "diffusion_model.double_blocks.0.img_attn.proj"
    times = "diffusion_model.time_in.in_layer"  # which diffusers calls otherwise in each
    assert table_of(lora(shared)) is HUNYUAN
    assert table_of(lora(shared, times, "diffusion_model.vector_in.in_layer")) is HUNYUAN
    assert table_of(lora(shared, times, "diffusion_model.byt5_in.fc1")) is HUNYUAN_15
    with pytest.raises(ValueError, match=r"may be those of HunyuanVideo or HunyuanVideo 1\.5; choose `family`"):
        table_of(lora(shared, times))
    found = convert_lora(lora(shared, times), DIFFUSERS, "a.safetensors", "HunyuanVideo 1.5")
    assert "transformer.time_embed.timestep_embedder.linear_1.lora_A.weight" in found
    first = convert_lora(lora(shared, times), DIFFUSERS, "a.safetensors", "HunyuanVideo")
    assert "transformer.time_text_embed.timestep_embedder.linear_1.lora_A.weight" in first


@pytest.mark.parametrize(
    ("width", "family"), [(1920, "CogVideoX"), (3072, "CogVideoX"), (2048, "LTXV"), (4096, "LTXV")]
)
def test_the_width_tells_a_file_of_the_authors_of_cogvideox_from_one_of_ltxv(width, family):
    """Both have the same names in diffusers where only self-attention is trained."""
    layers = [f"transformer.transformer_blocks.{i}.attn1.{name}" for i in (0, 1) for name in ("to_q", "to_out.0")]
    sizes = {"A": (1, width), "B": (width, 1)}
    lora = LoraModel({f"{x}.lora_{m}.weight": torch.ones(size) for x in layers for m, size in sizes.items()})
    assert table_of(lora).family == family
    with pytest.raises(ValueError, match="choose `family`"):
        table_of(LoraModel({**lora, f"{layers[0]}.lora_B.weight": torch.ones(1000, 1)}))


def with_more(**more: int) -> LoraModel:
    """Two tensors of ``size`` numbers a layer of Wan, and others."""
    tensors = {f"diffusion_model.blocks.0.self_attn.q.lora_{end}.weight": torch.ones(2, 2) for end in ("up", "down")}
    return LoraModel(tensors | {key: torch.ones(size) for key, size in more.items()})


@pytest.mark.parametrize(("lora", "sentence"), [
    (with_more(**{"diffusion_model.blocks.0.extra.q.lora_up.weight": 2}),
     r"Wan has no layers diffusion_model\.blocks\.0\.extra\.q; remove them"),
    (with_more(**{"diffusion_model.blocks.0.self_attn.q.dora_scale": 2}),
     r"LoHa, LoKr or DoRA, or has biases or norms \(.*q\.dora_scale\), and only a plain LoRA can be converted; export"),
    (with_more(**{"diffusion_model.blocks.0.self_attn.q.hada_w1_a": 2}), r"it is a LoHa, .*q\.hada_w1_a\), and only"),
    (with_more(**{"diffusion_model.blocks.0.self_attn.q.lokr_w1": 2}), r"it is a LoHa, LoKr .*q\.lokr_w1\), and only"),
    (with_more(**{"diffusion_model.blocks.0.self_attn.k.lora_up.weight": 2}),
     r"only a part of blocks\.0\.self_attn\.k is there; copy"),
    (with_more(**{"blocks.0.self_attn.q.lora_up.weight": 2}), r"holds the lora_up of blocks\.0\.self_attn\.q twice"),
    (LoraModel({"text.lora_up.weight": torch.ones(1)}), r"none of its layers is known \(text\); LoRAs of Wan, CogV"),
    (LoraModel({}), "it holds no tensors; choose another file"),
])  # fmt: skip
def test_what_cannot_be_converted_is_named(lora, sentence):
    with pytest.raises(ValueError, match=rf"^a\.safetensors cannot be converted: .*{sentence}"):
        convert_lora(lora, DIFFUSERS, "a.safetensors")


def test_a_format_that_is_none_is_refused():
    with pytest.raises(ValueError, match="no LoRA format 'onnx'; choose one of ComfyUI, diffusers, kohya"):
        convert_lora(of_comfyui(WAN), "onnx", "a.safetensors")


def test_parts_that_cannot_be_joined_are_named_with_their_layer():
    settings = {"r": 3, "lora_alpha": 6, "alpha_pattern": {"attn.to_q": 3}}
    with pytest.raises(ValueError, match=r"blocks\.11\.self_attn\.qkv: parts of one layer have different alpha"):
        there_and_back(of_diffusers(HUNYUAN, settings), COMFYUI)


def test_what_would_not_come_back_is_refused(monkeypatch):
    from pack.training.lora import convert as lora_convert

    layers_in = lora_convert.layers_in

    def damaged(target, layers, ranks, table):
        found = layers_in(target, layers, ranks, table)
        return {name: layer for name, layer in found.items() if name != "proj_out"} if target == DIFFUSERS else found

    monkeypatch.setattr(lora_convert, "layers_in", damaged)
    with pytest.raises(ValueError, match=r"head\.head would not come back the same; keep the file as it is"):
        there_and_back(of_comfyui(WAN), DIFFUSERS)


@pytest.mark.parametrize("note", ['{"int3 []": 4', '{"layer": [Infinity]}'])
@pytest.mark.parametrize("key", HINTS)
def test_damaged_notes_are_refused(key, note):
    lora = there_and_back(of_comfyui(HUNYUAN), DIFFUSERS)
    lora.metadata[key] = note
    with pytest.raises(ValueError, match=rf"{key} is damaged"):
        there_and_back(lora, COMFYUI)


def test_for_loading_only_what_diffusers_has_otherwise_is_joined():
    lora = of_diffusers(HUNYUAN)
    lora["other.thing"] = torch.ones(1)
    joined = with_joined_layers(lora, HUNYUAN)
    assert "diffusion_model.double_blocks.11.img_attn.qkv.lora_up.weight" in joined
    assert not any("to_q" in key for key in joined)
    assert "transformer.proj_out.lora_A.weight" in joined
    assert "other.thing" in joined
    swapped = joined["diffusion_model.final_layer.adaLN_modulation.1.lora_up.weight"]
    assert torch.equal(torch.cat(swapped.chunk(2)[::-1]), lora["transformer.norm_out.linear.lora_B.weight"])
    assert with_joined_layers(of_diffusers(WAN), WAN).keys() == of_diffusers(WAN).keys()

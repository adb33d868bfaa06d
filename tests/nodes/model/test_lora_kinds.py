"""LoHa, LoKr, DoRA and the files of PEFT and LyCORIS: each weight moves by what the file means, or it is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import folder_paths
import lora_files as files
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pack.nodes.host.model import loras

HOST, THEIRS = "blocks.0.self_attn.q", "blocks.0.attn1.to_q"
KEY = f"{HOST}.weight"
N, RANK, ALPHA = 48, 4, 1.0
FLAT = {
    "lora_unet_blocks_0_self_attn_q": "musubi-tuner",
    "lycoris_blocks_0_attn1_to_q": "LyCORIS",
    "lora_transformer_blocks_0_attn1_to_q": "OneTrainer",
    f"diffusion_model.{HOST}": "ComfyUI",
    f"base_model.model.{THEIRS}": "PEFT",
}
names = pytest.mark.parametrize("layer", FLAT, ids=FLAT.get)


def rnd(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def base() -> Tensor:
    return files.weights_of(files.shared_model("Wan 2.1"))[KEY].clone()


def put(tensors: dict[str, Tensor], name: str = "kind.safetensors", config: dict | None = None) -> str:
    path = Path(folder_paths.get_folder_paths("loras")[0]) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    if config is not None:
        path.with_name("adapter_config.json").write_text(json.dumps(config))
    folder_paths.filename_list_cache.clear()
    return name


def check(file: str, wanted: Tensor, strength: float = 1.0) -> None:
    """The weight is what is wanted, and no other has changed."""
    weights = files.weights_of(files.shared_model("Wan 2.1"))
    model, _ = files.load("Wan 2.1", file, strength)
    found = files.weights_of(model)
    assert float((found[KEY] - wanted).norm() / (wanted - weights[KEY]).norm()) <= 1e-5
    assert all(torch.equal(found[name], value) for name, value in weights.items() if name != KEY)


def loha(layer: str) -> tuple[dict[str, Tensor], Tensor]:
    w1a, w1b, w2a, w2b = rnd(N, RANK), rnd(RANK, N, seed=1), rnd(N, RANK, seed=2), rnd(RANK, N, seed=3)
    parts = {"hada_w1_a": w1a, "hada_w1_b": w1b, "hada_w2_a": w2a, "hada_w2_b": w2b}
    return {f"{layer}.{name}": value for name, value in parts.items()}, (w1a @ w1b) * (w2a @ w2b)


def lokr(layer: str, whole: bool = False) -> tuple[dict[str, Tensor], Tensor]:
    w1, w2a, w2b = rnd(4, 4), rnd(N // 4, RANK, seed=1), rnd(RANK, N // 4, seed=2)
    parts = {"lokr_w1": w1} | ({"lokr_w2": w2a @ w2b} if whole else {"lokr_w2_a": w2a, "lokr_w2_b": w2b})
    return {f"{layer}.{name}": value for name, value in parts.items()}, torch.kron(w1, w2a @ w2b)


def lora(layer: str) -> tuple[dict[str, Tensor], Tensor]:
    up, down = rnd(N, RANK), rnd(RANK, N, seed=1)
    return {f"{layer}.lora_up.weight": up, f"{layer}.lora_down.weight": down}, up @ down


@names
@pytest.mark.parametrize("kind", [lora, loha, lokr])
def test_alpha_over_rank_is_the_scale_of_every_kind_in_every_name(kind, layer):
    tensors, product = kind(layer)
    check(put({**tensors, f"{layer}.alpha": torch.tensor(ALPHA)}), base() + ALPHA / RANK * product)


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("kind", [lora, loha, lokr])
@pytest.mark.parametrize("shape", [(N, 1), (1, N), (N,)])
def test_a_magnitude_is_that_of_the_sum(shape, kind, strength):
    layer = "lora_unet_blocks_0_self_attn_q"
    tensors, product = kind(layer)
    magnitude = rnd(*shape, seed=9).abs() + 1.0
    file = put({**tensors, f"{layer}.alpha": torch.tensor(ALPHA), f"{layer}.dora_scale": magnitude})
    merged = base() + ALPHA / RANK * product
    by_output = shape[0] == N
    norm = merged.norm(dim=1, keepdim=True) if by_output else merged.norm(dim=0, keepdim=True)
    wanted = (magnitude.view(-1, 1) if by_output else magnitude) * merged / norm
    check(file, base() + strength * (wanted - base()), strength)


@pytest.mark.parametrize("ending", ["lora_magnitude_vector", "lora_magnitude_vector.weight"])
def test_pefts_magnitudes_are_read(ending):
    layer = f"base_model.model.{THEIRS}"
    b, a = rnd(N, RANK), rnd(RANK, N, seed=1)
    magnitude = rnd(N, seed=9).abs() + 1.0
    tensors = {f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b, f"{layer}.{ending}": magnitude}
    merged = base() + b @ a
    check(put(tensors), magnitude[:, None] * merged / merged.norm(dim=1, keepdim=True))


def test_a_magnitude_of_another_size_or_of_nothing_is_refused():
    layer = "lora_unet_blocks_0_self_attn_q"
    with pytest.raises(ValueError, match=r"only the magnitude of diffusion_model\.blocks\.0\.self_attn\.q; copy"):
        files.load("Wan 2.1", put({f"{layer}.dora_scale": torch.ones(N, 1)}))
    with pytest.raises(ValueError, match=r"another size, the model is WAN21 .* is \[48, 48\], the LoRA's \[47, 1\]"):
        files.load("Wan 2.1", put({**lora(layer)[0], f"{layer}.dora_scale": torch.ones(47, 1)}))


SETTINGS = {"peft_type": "LORA", "r": RANK, "lora_alpha": 8, "rank_pattern": {}, "alpha_pattern": {}, "bias": "none"}


@pytest.mark.parametrize(("more", "scale"), [({}, 2.0), ({"use_rslora": True}, 4.0), ({"lora_alpha": RANK}, 1.0)])
def test_the_settings_in_the_folder_of_peft_are_read(more, scale, caplog):
    layer = f"base_model.model.{THEIRS}"
    b, a = rnd(N, RANK), rnd(RANK, N, seed=1)
    tensors = {f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b}
    name = "peft/adapter_model.safetensors"
    stamp = loras.lora_stamp(put(tensors, name, {**SETTINGS, **more}))
    check(name, base() + scale * b @ a)
    assert "hold no alpha" not in caplog.text
    put(tensors, name, {**SETTINGS, "lora_alpha": 1})
    assert loras.lora_stamp(name) != stamp  # the host loads it again when the settings alone have changed


@pytest.mark.parametrize(
    ("kind", "name"), [(loha, "LOHA"), (lokr, "LOKR"), (lambda layer: lokr(layer, whole=True), "LOKR")]
)
def test_pefts_own_loha_and_lokr_have_the_scale_of_the_settings(kind, name):
    tensors, product = kind(f"base_model.model.{THEIRS}")
    settings = {"peft_type": name, "r": RANK, "alpha": 12, "alpha_pattern": {"to_k": 1}}
    check(put(tensors, "peft/adapter_model.safetensors", settings), base() + 3.0 * product)


def test_without_an_alpha_the_node_says_so(monkeypatch):
    said = []
    monkeypatch.setattr(loras, "show_text", said.append)
    layer = f"base_model.model.{THEIRS}"
    b, a = rnd(N, RANK), rnd(RANK, N, seed=1)
    check(put({f"{layer}.lora_A.weight": a, f"{layer}.lora_B.weight": b}), base() + b @ a)
    assert said
    assert all(text.startswith("1 layers of the file hold no alpha") for text in said)


@pytest.mark.parametrize("config", ['{"r": 4', '["r"]', '{"peft_type": "OFT"}'])
def test_settings_that_cannot_be_used_are_refused(config):
    name = put(lora(f"base_model.model.{THEIRS}")[0], "peft/adapter_model.safetensors", {})
    path = Path(folder_paths.get_full_path("loras", name))
    path.with_name("adapter_config.json").write_text(config)
    with pytest.raises(ValueError, match=r"adapter settings are|a OFT of PEFT; LORA, LOHA, LOKR can be read"):
        files.load("Wan 2.1", name)


def test_parameters_that_the_host_does_not_patch_are_not_counted(caplog):
    caplog.set_level("INFO")
    layer = f"diffusion_model.{HOST}"
    tensors, product = lora(layer)
    tensors["diffusion_model.blocks.0.modulation.diff"] = torch.ones(1, 6, N)
    check(put(tensors), base() + product)
    assert "1 of 2 layers applied" in caplog.text
    sentence = "ComfyUI does not patch 1 of its parameters, they are left out: diffusion_model.blocks.0.modulation"
    assert sentence in caplog.text
    assert "lacks" not in caplog.text
    alone = put({"diffusion_model.blocks.0.modulation.diff": torch.ones(1, 6, N)})
    with pytest.raises(ValueError, match=r"changes parameters alone that ComfyUI does not patch: .*modulation$"):
        files.load("Wan 2.1", alone)


@pytest.mark.parametrize(("ending", "said"), [
    ("on_input", "tensors of a kind that cannot be read"), ("base_layer.bias", "cannot be read"),
])  # fmt: skip
def test_what_nobody_reads_is_refused(ending, said):
    layer = f"base_model.model.{THEIRS}"
    tensors = {f"{layer}.{ending}": torch.ones(N)} | (lora(layer)[0] if "base" in ending else {})
    with pytest.raises(ValueError, match=rf"{said}: {re.escape(layer)}\.{re.escape(ending)}; save it as a plain LoRA"):
        files.load("Wan 2.1", put(tensors))

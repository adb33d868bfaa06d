"""Converted LoRA files in the programs they are for: the host's own loader, and diffusers' with PEFT."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import comfy.sd
import lora_files as files
import pytest
import tiny_families
import torch
from converted_loras import RANK, TWINS, Twin
from torch import Tensor

from pack.nodes.host.model.loras import apply_lora
from pack.nodes.host.model.noise import repaired
from pack.training.lora.convert import convert_lora
from pack.training.lora.file import LoraModel, load_lora, save_lora
from pack.training.lora.foreign import COMFYUI, DIFFUSERS, KOHYA

EVERY = pytest.mark.parametrize("family", list(TWINS))
CLOSE: dict[str, Any] = {"rtol": 2e-3, "atol": 2e-3}


def of_host(twin: Twin, alpha: float | None = 6.0) -> LoraModel:
    return LoraModel(twin.lora(alpha))


def converted(twin: Twin, target: str, tmp_path: Path, alpha: float | None = 6.0) -> Path:
    """A file of the pack's own keys, converted and saved."""
    return save_lora(convert_lora(of_host(twin, alpha), target, "a.safetensors"), tmp_path / f"{target}.safetensors")


def with_core(twin: Twin, tensors: dict[str, Tensor], model: Any = None) -> Tensor:
    """What the host answers with a LoRA from its own loader."""
    model = tiny_families.model_of(twin.model) if model is None else model
    patched, _ = comfy.sd.load_lora_for_models(model, None, dict(tensors), 1.0, 0.0)
    return twin.host_answer(patched)


@EVERY
def test_both_networks_answer_the_same_with_the_same_weights(family):
    twin = TWINS[family]
    ours, theirs = twin.host_answer(tiny_families.model_of(twin.model)), twin.diffusers_answer(twin.diffusers_network())
    assert ours.abs().mean() > 1e-3
    torch.testing.assert_close(ours, theirs, **CLOSE)


@EVERY
def test_the_table_has_every_layer_of_the_network_and_of_diffusers(family):
    twin = TWINS[family]
    table = twin.table()
    ours = twin.layers()
    theirs = files.layers_of(twin.diffusers())
    assert {table.to_host(name) for name in theirs} == ours.keys()
    parts = {part for name in ours for part, _ in table.parts(name)}
    single = {table.to_diffusers(name): shape for name, shape in ours.items() if not table.parts(name)}
    assert single == {name: shape for name, shape in theirs.items() if name not in parts}
    assert parts | single.keys() == theirs.keys()


@EVERY
@pytest.mark.parametrize("target", [COMFYUI, KOHYA])
def test_the_hosts_own_loader_matches_every_key_and_the_output_moves_as_it_should(family, target, tmp_path, caplog):
    twin = TWINS[family]
    first = converted(twin, DIFFUSERS, tmp_path)
    lora = convert_lora(load_lora(first), target, first.name)
    base, wanted = with_core(twin, {}), with_core(twin, of_host(twin))
    with caplog.at_level(logging.WARNING):
        found = with_core(twin, lora)
    assert "not loaded" not in caplog.text
    assert (wanted - base).abs().mean() > 0.05 * base.abs().mean()
    assert torch.equal(found, wanted)


@EVERY
@pytest.mark.parametrize("alpha", [6.0, None])
def test_b_times_a_of_the_file_on_diffusers_own_layers_is_what_the_host_adds(family, alpha, tmp_path):
    twin = TWINS[family]
    lora = load_lora(converted(twin, DIFFUSERS, tmp_path, alpha))
    network = twin.diffusers_network()
    settings = json.loads(lora.metadata.get("lora_adapter_metadata", "{}"))
    assert set(lora.metadata) >= ({"lora_adapter_metadata"} if alpha else {"format"})
    for name, layer in network.named_modules():
        if f"transformer.{name}.lora_A.weight" in lora:
            a, b = (lora[f"transformer.{name}.lora_{matrix}.weight"] for matrix in "AB")
            scale = settings.get("transformer.lora_alpha", len(a)) / len(a)
            layer.weight.data += scale * files.product(a, b)
    assert not settings.get("transformer.alpha_pattern")  # one alpha for all layers
    torch.testing.assert_close(with_core(twin, of_host(twin, alpha)), twin.diffusers_answer(network), **CLOSE)


@EVERY
@pytest.mark.parametrize("alpha", [6.0, None])
def test_diffusers_loads_the_file_and_answers_as_the_host(family, alpha, tmp_path, caplog):
    pytest.importorskip("peft", reason="diffusers loads LoRAs with PEFT, which ComfyUI does not bring")
    twin = TWINS[family]
    path = converted(twin, DIFFUSERS, tmp_path, alpha)
    network = twin.diffusers_network()
    base = twin.diffusers_answer(network)
    with caplog.at_level(logging.WARNING):
        network.load_lora_adapter(str(path.parent), weight_name=path.name)
    assert "keys" not in caplog.text
    layers = [layer for layer in network.modules() if hasattr(layer, "lora_A")]
    assert len(layers) == len(files.layers_of(twin.diffusers()))
    wanted = twin.diffusers_answer(network)
    found = with_core(twin, of_host(twin, alpha))
    assert (wanted - base).abs().mean() > 0.05 * base.abs().mean()
    torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize("family", ["Wan", "CogVideoX"])
def test_the_keys_are_those_of_the_authors(family, tmp_path):
    twin = TWINS[family]
    lora = load_lora(converted(twin, DIFFUSERS, tmp_path))
    shapes = files.layers_of(twin.diffusers())
    assert lora.keys() == files.file_tensors(files.matrices(shapes, RANK)).keys()
    assert all(lora[key].shape == value.shape for key, value in files.file_tensors(files.matrices(shapes)).items())


@EVERY
@pytest.mark.parametrize("target", [DIFFUSERS, KOHYA])
def test_our_loader_reads_every_form(family, target, tmp_path):
    twin = TWINS[family]
    lora, model = load_lora(converted(twin, target, tmp_path)), tiny_families.model_of(twin.model)
    found = twin.host_answer(apply_lora(model, lora, 1.0, "a.safetensors"))
    torch.testing.assert_close(found, with_core(twin, of_host(twin), repaired(model)))

"""The two toy bases have the same layers and widths: what was trained on one must not be taken for the other's."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_families
import torch

from pack.nodes.aicl import AICLLoad
from pack.nodes.host.model import loras, toy
from pack.nodes.host.model.fingerprint import patch_of, patch_text
from pack.nodes.host.sampling.motion import apply_motion
from pack.training.lora.file import LoraModel
from pack.training.lora.metadata import to_metadata

PATCHES = {toy.COARSE: "1 x 2 x 2", toy.FINE: "1 x 1 x 1"}


@pytest.fixture(scope="module")
def model():
    with torch.inference_mode():
        return {detail: toy.load_model(detail) for detail in toy.DETAILS}


def lora(base: Any) -> LoraModel:
    """One of a single layer, as a run on that base saves it."""
    key = "diffusion_model.blocks.0.self_attn.q"
    tensors = {f"{key}.lora_up.weight": torch.ones(256, 2), f"{key}.lora_down.weight": torch.ones(2, 256)}
    record = {"base_family": "Wan 2.1", "base_model": loras.describe_base(base), "base_patch": patch_text(base)}
    return LoraModel(tensors, to_metadata(record))


def apply_lora(base: Any, what: LoraModel) -> Any:
    return loras.apply_lora(base, what, 1.0, "mine.safetensors")


def apply_motion_lora(base: Any, what: LoraModel) -> Any:
    return apply_motion(base, what, 1.0, 0.0, 1.0)


@pytest.mark.parametrize("apply", [apply_lora, apply_motion_lora], ids=["TIC-FT", "motion"])
@pytest.mark.parametrize(("trained", "loaded"), [(toy.COARSE, toy.FINE), (toy.FINE, toy.COARSE)], ids=toy.DETAILS)
def test_a_lora_of_the_other_toy_base_is_refused_and_both_are_named(model, apply, trained, loaded):
    apply(model[trained], lora(model[trained]))
    names = (
        rf"was trained on WAN21 with 5\.\d+ M parameters with tokens of {PATCHES[trained]} latents, the model is "
        rf"WAN21 with 5\.\d+ M parameters with tokens of {PATCHES[loaded]}; load the base it was trained on$"
    )
    with pytest.raises(ValueError, match=names):
        apply(model[loaded], lora(model[trained]))


def test_a_lora_that_does_not_say_the_size_of_its_tokens_is_taken_as_before(model):
    what = lora(model[toy.COARSE])
    del what.metadata["fewshot_video.base_patch"]
    apply_lora(model[toy.FINE], what)


@pytest.mark.parametrize(("name", "trained", "loaded"), [
    ("toy_actions", toy.COARSE, toy.FINE), ("toy_fine_actions", toy.FINE, toy.COARSE),
])  # fmt: skip
def test_a_shipped_adapter_is_refused_on_the_other_toy_base(model, name, trained, loaded):
    file = f"{name}.safetensors"
    AICLLoad.execute(file, model[trained])
    names = rf"^{name}\.safetensors was trained on the {trained} toy video model with tokens of {PATCHES[trained]}"
    with pytest.raises(ValueError, match=names):
        AICLLoad.execute(file, model[loaded])


@pytest.mark.parametrize("tiny", tiny_families.ALL, ids=lambda tiny: tiny.name)
def test_every_family_that_cuts_latents_into_patches_tells_their_size(tiny):
    patch = patch_of(tiny_families.model_of(tiny.name))
    assert (patch is None) == tiny.name.startswith("LTX")

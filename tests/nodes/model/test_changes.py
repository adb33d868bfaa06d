"""What other nodes have put on a MODEL counts in a run's identity, or training says that it cannot."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import tiny_wan
import torch
from comfy.hooks import WeightHook
from comfy.patcher_extension import WrappersMP
from tic_ft_runs import train

from pack.nodes.host.model.changes import as_trained, changes_on, restore_modules, uncompiled
from pack.nodes.host.model.loras import apply_lora

pytestmark = pytest.mark.usefixtures("own_output")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Any:
    return tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path_factory.mktemp("wan") / "wan.safetensors"))


def stretched(model: Any, scale: float = 3.0) -> Any:
    """As the host's ScaleROPE leaves it."""
    clone = model.clone()
    clone.model_options["transformer_options"]["rope_options"] = {"scale_t": scale, "scale_x": 2.0}
    return clone


def compiled(model: Any) -> Any:
    """Block by block, as compile nodes of other packs do."""
    clone = model.clone()
    for i in range(len(model.model.diffusion_model.blocks)):
        key = f"diffusion_model.blocks.{i}"
        clone.add_object_patch(key, torch.compile(clone.get_model_object(key), backend="eager"))
    return clone


def block_patch(args: dict[str, Any], extra: dict[str, Any]) -> Any:
    """A block patch that looks at the noise level, as Deep Shrink and many others do."""
    assert 0.0 < float(args["transformer_options"]["sigmas"].max()) <= 1.0
    return extra["original_block"](args)


def test_a_finished_run_of_the_bare_model_is_not_handed_out_for_a_changed_one(model):
    bare, again, changed = train(model, ""), train(model, ""), train(stretched(model), "")
    assert again[3] == bare[3]
    assert changed[3] != bare[3]
    assert train(stretched(model), "")[3] == changed[3]


def test_a_named_run_does_not_go_on_with_a_changed_model_and_names_what_changed(model):
    train(model, "named", steps=2)
    with pytest.raises(ValueError, match=r"rope_options on the model \(none\) → \w{8};"):
        train(stretched(model), "named", steps=4)


def test_a_block_patch_that_reads_the_noise_level_trains(model):
    patched = model.clone()
    patched.set_model_patch_replace(block_patch, "dit", "double_block", 0)
    assert train(patched, "", steps=2)[2] == 2
    assert list(changes_on(patched)) == ["patches_replace dit"]


def test_a_patch_that_needs_more_of_the_sampling_gets_a_sentence(model):
    patched = model.clone()
    patched.set_model_patch_replace(
        lambda args, _: args["transformer_options"]["sample_sigmas"], "dit", "double_block", 0
    )
    with pytest.raises(RuntimeError, match="a patch on the model needs 'sample_sigmas' of the sampling"):
        train(patched, "", steps=2)


def test_every_kind_of_change_has_a_name_and_the_same_digest_again(model):
    def changed() -> Any:
        clone = stretched(model)
        clone.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, "cache", lambda executor, *a, **k: executor(*a, **k))
        clone.set_model_sampler_cfg_function(lambda args: args["cond"])
        clone.model_options["easy"] = {"start": 0.15, "flags": {"a", "b"}, "table": torch.arange(3.0)}
        return clone

    found = changes_on(changed())
    assert set(found) == {"rope_options", "wrapper diffusion_model cache", "sampler_cfg_function", "easy"}
    assert changes_on(changed()) == found
    assert changes_on(stretched(model, 4.0))["rope_options"] != found["rope_options"]


@pytest.mark.parametrize("type_", [torch.float32, torch.bool])
def test_two_masks_that_differ_in_a_few_pixels_are_two_changes(model, type_):
    def masked(*pixel: int) -> Any:
        clone, mask = model.clone(), torch.zeros(512, 512, dtype=type_)
        mask[pixel] = 1
        clone.model_options["mask"] = {"of": mask}
        return changes_on(clone)["mask"]

    assert masked(201, 77) == masked(201, 77)
    assert masked(201, 77) != masked(201, 78)


def test_what_a_run_could_not_be_told_by_is_refused(model, tmp_path):
    clone = model.clone()
    with (tmp_path / "log").open("w") as file:
        clone.model_options["logger"] = {"lock": threading.Lock(), "to": iter([file])}
        with pytest.raises(
            ValueError, match=r"the model carries logger, which holds a list_iterator: .* take the node"
        ):
            changes_on(clone)


def test_a_lora_on_hooks_is_refused_instead_of_left_out(model):
    hooked = model.clone()
    key = "diffusion_model.blocks.0.self_attn.q.weight"
    hooked.add_hook_patches(WeightHook(), {key: ("diff", (torch.ones(48, 48),))}, 1.0)
    with pytest.raises(ValueError, match=r"has a LoRA that hooks switch on .* put the LoRA on with Load LoRA"):
        train(hooked, "")


def test_compiled_blocks_are_trained_as_the_model_they_were_made_of(model):
    plain = train(model, "", steps=2, seed=5)
    assert train(compiled(model), "", steps=2, seed=5)[3] == plain[3]
    assert train(compiled(model), "compiled", steps=2, seed=5)[0].keys() == plain[0].keys()


def test_blocks_that_a_compiled_clone_left_behind_are_put_back(model):
    lora = train(model, "", steps=2)[0]
    before = list(model.model.state_dict())
    compiled(model).patch_model(load_weights=False)
    assert list(model.model.state_dict()) != before
    assert len(apply_lora(model, lora, 1.0, "own").patches) == len(lora) // 3
    assert list(model.model.state_dict()) == before
    compiled(model).patch_model(load_weights=False)
    assert train(model, "left over", steps=2)[2] == 2
    restore_modules(model)


def test_a_compiled_model_keeps_its_other_patches(model):
    clone = stretched(compiled(model))
    assert uncompiled(clone).model_options["transformer_options"]["rope_options"]["scale_t"] == 3.0
    assert not as_trained(clone).object_patches.keys() & compiled(model).object_patches.keys()

"""Gradient checkpointing: the same numbers with less kept, and nothing left behind."""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import pytest
import tiny_families as families
import torch
from comfy.model_management import unload_all_models
from tiny_families import COG_2B, COG_5B, COG_15, HUNYUAN_15, HUNYUANS, KANDINSKY, LTX, WAN, WAN_5B, Tiny
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from training_steps import loss_and_gradients, objective_of

from pack.nodes.host.layers import checkpointing
from pack.nodes.host.layers.checkpointing import transformer_blocks
from pack.nodes.host.model.families import FAMILIES
from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.session import training_session
from pack.training.core.config import CHECKPOINTING, TrainConfig

OFF, KEEP_ATTENTION, BLOCKS, OFFLOADED = CHECKPOINTING
EVERY = pytest.mark.parametrize(
    "family", [WAN, WAN_5B, COG_5B, COG_2B, COG_15, *LTX, *HUNYUANS, KANDINSKY], ids=lambda family: family.name
)


def config_of(mode: str, kept: int = 0) -> TrainConfig:
    return TrainConfig(rank=4, batch_size=2, checkpointing=mode, kept_blocks=kept)


def run(family: Tiny, mode: str, model: Any = None, kept_blocks: int = 0) -> tuple:
    """Loss, gradients and the bytes kept between forward and backward pass, as the executor would have them."""
    model = repaired(families.model_of(family.name)) if model is None else model
    config = config_of(mode, kept_blocks)
    with torch.inference_mode(), training_session(video_model(model), config) as session:
        objective, kept = objective_of(family, config), {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            return *loss_and_gradients(session, objective, config), sum(kept.values())


@EVERY
@pytest.mark.parametrize("mode", [KEEP_ATTENTION, BLOCKS, OFFLOADED])
def test_loss_and_gradients_are_the_same_bytes_with_and_without_checkpointing(family, mode):
    loss, gradients, kept = run(family, OFF)
    again, others, less = run(family, mode)
    assert torch.equal(loss, again)
    assert len(gradients) == len(others) > 0
    unread = 2 if family is HUNYUAN_15 else 0  # its last block makes something of the text that nothing reads
    assert sum(not a.any() for a in gradients) == unread
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))
    assert less < 0.5 * kept


@pytest.mark.parametrize(
    "family", [WAN, WAN_5B, COG_5B, COG_15, *LTX, *HUNYUANS, KANDINSKY], ids=lambda family: family.name
)
def test_blocks_that_keep_everything_beside_others_change_no_bytes(family):
    loss, gradients, most = run(family, OFF)
    *_, least = run(family, BLOCKS)
    again, others, kept = run(family, BLOCKS, kept_blocks=1)
    assert torch.equal(loss, again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))
    assert least < kept < most


@pytest.mark.parametrize("mode", [KEEP_ATTENTION, OFFLOADED])
def test_the_others_do_what_every_mode_says(mode):
    loss, gradients, most = run(WAN, OFF)
    again, others, kept = run(WAN, mode, kept_blocks=1)
    assert torch.equal(loss, again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, others, strict=True))
    assert kept < most


@pytest.mark.parametrize(("kept", "calls"), [(0, [0, 1, 1, 0]), (1, [0, 1, 0]), (2, [0, 1]), (9, [0, 1])])
def test_the_last_blocks_are_those_that_keep_everything(kept, calls):
    model, seen = families.model_of("Wan 2.1").clone(), []
    model.set_model_attn1_patch(lambda values: seen.append(values["transformer_options"]["block_index"]) or values["x"])
    run(WAN, BLOCKS, model, kept)
    assert seen == calls


def forwards_of(network: Any) -> list[Any]:
    """What computes each module; a method that the host has put back is the class's own, too."""
    return [getattr(module.forward, "__func__", module.forward) for module in network.modules()]


@EVERY
def test_the_blocks_are_what_they_were_afterwards(family):
    network = families.model_of(family.name).model.diffusion_model
    (row,) = (row for row in FAMILIES if row.name == family.name)
    blocks = transformer_blocks(network, row.blocks)
    stacks = ("blocks", "transformer_blocks", "double_blocks", "single_blocks", "visual_transformer_blocks")
    assert blocks == [block for stack in stacks for block in getattr(network, stack, ())]
    unload_all_models()  # which gives the network its own forwards back where a repair has replaced one
    before = forwards_of(network)
    model = repaired(families.model_of(family.name))
    with contextlib.suppress(KeyboardInterrupt), training_session(video_model(model), config_of(BLOCKS)):
        own = [vars(block)["forward"] for block in blocks]
        assert not any(forward in before for forward in own)
        raise KeyboardInterrupt
    unload_all_models()
    assert forwards_of(network) == before


def test_another_packs_own_forward_comes_back():
    network = families.model_of("Wan 2.1").model.diffusion_model
    block, before = network.blocks[0], families.model_of("Wan 2.1").model.diffusion_model.blocks[0].forward
    block.forward = before
    try:
        with checkpointing.checkpointed_blocks(network, r"blocks\.\d+", BLOCKS):
            assert block.forward is not before
        assert vars(block)["forward"] is before
    finally:
        del block.forward


def test_patches_of_the_host_see_the_same_options_in_both_passes():
    model, seen = families.model_of("Wan 2.1").clone(), []

    def patch(values: dict[str, Any]) -> torch.Tensor:
        options = values["transformer_options"]
        seen.append((options["block_index"], options["mark"], tuple(options["grid_sizes"])))
        return values["x"]

    model.set_model_attn1_patch(patch)
    model.model_options["transformer_options"]["mark"] = "ours"
    run(WAN, BLOCKS, model)
    assert seen == [(index, "ours", (6, 2, 2)) for index in (0, 1, 1, 0)]


def test_long_attention_is_computed_once_and_that_to_the_prompt_twice():
    calls: list[str] = []
    keys = {24: "frames", 5: "prompt"}

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func in checkpointing._attention_kernels():
                calls.append(keys[args[1].shape[-2]])
            return func(*args, **(kwargs or {}))

    for mode, frames, prompt in ((OFF, 2, 2), (KEEP_ATTENTION, 2, 4), (BLOCKS, 4, 4)):
        calls.clear()
        with Counting():
            run(WAN, mode)
        assert (calls.count("frames"), calls.count("prompt")) == (frames, prompt), mode


def test_a_prediction_without_gradients_computes_each_block_once():
    model, calls = families.model_of("Wan 2.1").clone(), []
    model.set_model_attn1_patch(lambda values: calls.append(1) or values["x"])
    with torch.inference_mode(), training_session(video_model(model), config_of(BLOCKS)) as session:
        objective = objective_of(WAN, config_of(BLOCKS))
        with torch.no_grad():
            objective.loss(session.predict, objective.fixed_batch(0, 0.5))
    assert len(calls) == 2


def test_offloading_moves_what_blocks_hand_on_and_keeps_none_of_it_on_the_device(monkeypatch):
    moved = []

    @contextlib.contextmanager
    def save_on_cpu(**_options: bool) -> Any:  # a device of its own, so that a copy is one on the CPU too
        def pack(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.numel():  # torch adds an empty one of its own
                moved.append((tuple(tensor.shape), StorageWeakRef(tensor.untyped_storage())))
            return tensor.detach().clone()

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            yield

    monkeypatch.setattr(checkpointing, "save_on_cpu", save_on_cpu)
    gone = []

    def look(_module: Any, _inputs: Any) -> None:
        gc.collect()
        gone.extend(storage.expired() for _, storage in moved)

    network = families.model_of("Wan 2.1").model.diffusion_model
    handle = network.head.register_forward_pre_hook(look)
    try:
        loss, gradients, _ = run(WAN, OFFLOADED)
    finally:
        handle.remove()
    tokens, width = 6 * 2 * 2, 48
    assert [shape for shape, _ in moved] == [(2, tokens, width)]  # of 2 blocks the second has a trained input
    assert gone == [True]
    expected = run(WAN, OFF)
    assert torch.equal(loss, expected[0])
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected[1], strict=True))


def test_a_network_without_such_blocks_is_refused():
    network = families.model_of("Wan 2.1").model.diffusion_model
    with (
        pytest.raises(ValueError, match=r"WanModel has no blocks named 'layers.*switch checkpointing off"),
        checkpointing.checkpointed_blocks(network, r"layers\.\d+", BLOCKS),
    ):
        pass

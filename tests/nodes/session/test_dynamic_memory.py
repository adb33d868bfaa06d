"""A model whose weights the host pages in and out is trained as its fixed counterpart, made by its own loader."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_wan
import torch
from comfy.model_patcher import ModelPatcher
from tic_ft_runs import train

from pack.nodes.host.session.session import static_clone

pytestmark = [
    pytest.mark.usefixtures("own_output"),
    pytest.mark.skipif(not hasattr(ModelPatcher, "is_dynamic"), reason="this ComfyUI never pages weights"),
]


class Paged(ModelPatcher):
    """What the host makes of a model on a card with dynamic VRAM; on a CPU it never does."""

    def is_dynamic(self) -> bool:
        """So it says."""
        return True


@pytest.fixture
def loads() -> list[bool]:
    """What the loader was asked for, time by time."""
    return []


@pytest.fixture
def paged(model, tmp_path, loads) -> Any:
    """The tiny model, as if its weights were paged."""

    def load(path: Any, disable_dynamic: bool = False) -> Any:
        loads.append(disable_dynamic)
        return tiny_wan.load_tiny_wan(path)

    changed = model.clone()
    changed.__class__ = Paged
    changed.cached_patcher_init = (load, (tmp_path / "wan.safetensors",))
    return changed


def test_a_paged_model_learns_on_fixed_weights_what_a_plain_one_does(model, paged, loads):
    before = tiny_wan.weights_of(paged)
    plain, fixed = train(model, "plain", steps=2), train(paged, "paged", steps=2)
    assert loads == [True]
    assert fixed[1]["loss"] == plain[1]["loss"]
    assert all(torch.equal(fixed[0][name], value) for name, value in plain[0].items())
    after = tiny_wan.weights_of(paged)
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_fixed_counterpart_has_other_weights_and_the_same_patches(paged):
    paged.model_options["transformer_options"]["rope_options"] = {"scale_t": 3.0}
    fixed = static_clone(paged)
    assert not fixed.is_dynamic()
    assert fixed.model is not paged.model
    assert fixed.model_options["transformer_options"]["rope_options"] == {"scale_t": 3.0}


def test_a_paged_model_that_cannot_be_loaded_again_gets_a_sentence(paged):
    paged.cached_patcher_init = None
    with pytest.raises(RuntimeError, match="cannot be repeated without dynamic VRAM; load it with a stock loader, or"):
        train(paged, "", steps=2)

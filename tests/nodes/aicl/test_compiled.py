"""AICL on a compiled model: refused where the host's compile node would let wrong graphs be used."""

from __future__ import annotations

import pytest
import tiny_aicl
from comfy_api.torch_helpers import set_torch_compile_wrapper
from comfy_extras.nodes_torch_compile import skip_torch_compile_dict

from pack.nodes.host.aicl.apply import apply_action


def compiled(model):
    """As TorchCompileModel leaves it, with the backend that needs no compiler."""
    clone = model.clone()
    set_torch_compile_wrapper(model=clone, backend="eager", options={"guard_filter_fn": skip_torch_compile_dict})
    return clone


@pytest.mark.parametrize("order", ["compiled first", "compiled last"])
def test_an_action_on_a_model_of_the_hosts_compile_node_is_refused_in_one_sentence(order):
    begin, action = tiny_aicl.start("Wan 2.1"), tiny_aicl.action_of("Wan 2.1")
    model = tiny_aicl.model_of("Wan 2.1")
    model = apply_action(compiled(model), action, 1.0) if order == "compiled first" else compiled(
        apply_action(model, action, 1.0)
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"compiled in a way that does not notice which AICL actions act.* take the"):
        tiny_aicl.sample(model, "Wan 2.1", begin)

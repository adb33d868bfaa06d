"""Low-rank adapters."""

from __future__ import annotations

import torch
from torch import nn

from pack.training.lora.layers import LoraAdapters


def adapters(names: list[str], seed: int = 0, alpha: float = 8.0) -> LoraAdapters:
    return LoraAdapters({name: nn.Linear(6, 5) for name in names}, rank=4, alpha=alpha, seed=seed)


def test_an_untrained_adapter_adds_exactly_nothing():
    assert not adapters(["a"]).by_name["a"](torch.randn(3, 6)).any()


def test_the_addition_is_the_scaled_product_of_the_two_matrices():
    adapter = adapters(["a"]).by_name["a"]
    nn.init.normal_(adapter.lora_up)
    x = torch.randn(3, 6)
    torch.testing.assert_close(adapter(x), 8.0 / 4 * x @ adapter.lora_down.T @ adapter.lora_up.T)


def test_a_half_precision_input_keeps_its_dtype_and_trains_fp32_weights():
    adapter = adapters(["a"]).by_name["a"]
    out = adapter(torch.randn(3, 6, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert adapter.lora_up.grad is not None
    assert adapter.lora_up.grad.dtype == torch.float32


def test_alpha_is_no_parameter_but_is_saved():
    made = adapters(["a"])
    assert len(list(made.parameters())) == 2
    tensors = made.tensors()
    assert tensors["diffusion_model.a.alpha"] == 8.0
    assert set(tensors) == {f"diffusion_model.a.{part}" for part in ("lora_up.weight", "lora_down.weight", "alpha")}


def test_the_start_depends_on_seed_and_name_but_not_on_the_other_layers():
    one, both, other = adapters(["b"]), adapters(["a", "b"]), adapters(["b"], seed=1)
    down = [made.by_name["b"].lora_down for made in (one, both, other)]
    assert torch.equal(down[0], down[1])
    assert not torch.equal(down[0], down[2])
    assert not torch.equal(both.by_name["a"].lora_down, down[1])


def test_creating_adapters_leaves_the_global_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    LoraAdapters({}, rank=4, alpha=4.0, seed=0)
    layers = {"a": nn.Linear(6, 5)}
    torch.manual_seed(3)
    LoraAdapters(layers, rank=4, alpha=4.0, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_rows_that_are_left_out_add_nothing_get_no_gradient_and_are_saved_as_zeros():
    rows = torch.tensor([1.0, 1.0, 0.0, 0.0, 1.0])
    made = LoraAdapters({"a": nn.Linear(6, 5)}, rank=4, alpha=8.0, seed=0, rows={"a": rows})
    adapter = made.by_name["a"]
    nn.init.normal_(adapter.lora_up)
    added = adapter(torch.randn(3, 6))
    added.sum().backward()
    assert adapter.lora_up.grad is not None
    for values in (added.T, adapter.lora_up.grad, made.tensors()["diffusion_model.a.lora_up.weight"]):
        assert torch.equal(values.abs().sum(1) > 0, rows > 0)

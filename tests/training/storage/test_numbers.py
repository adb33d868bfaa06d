"""NaN and infinity are noticed in tensors of every type."""

from __future__ import annotations

import pytest
import torch

from pack.training.storage.numbers import is_finite, require_finite


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.complex64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_no_number_is_found(dtype, value):
    tensor = torch.ones(3, 5, dtype=dtype)
    assert is_finite(tensor)
    tensor[2, 1] = value
    assert not is_finite(tensor)


def test_a_float8_tensor_is_looked_at_too():
    tensor = torch.ones(4, 4).to(torch.float8_e4m3fn)
    assert is_finite(tensor)
    assert not is_finite(torch.full((4, 4), float("nan")).to(torch.float8_e4m3fn))


def test_whole_numbers_and_nothing_are_finite():
    assert is_finite(torch.arange(3))
    assert is_finite(torch.empty(0))


def test_the_sentence_names_the_place_and_the_remedy():
    tensors = {"a": torch.ones(2), "b": torch.tensor([1.0, float("nan")]), "c": torch.tensor([float("inf")])}
    with pytest.raises(ValueError, match=r"^the LoRA holds .* \(NaN or infinite\) in b and 1 more; train again$"):
        require_finite(tensors, "the LoRA", "train again")

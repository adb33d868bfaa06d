"""A base that is split over processes, as one of them sees it: how often it is called, and which one is refused."""

from __future__ import annotations

import pytest
import tiny_families
import torch
from torch import nn

from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.session import training_session
from pack.nodes.host.session.splitting import _check
from pack.training.core.config import TrainConfig
from pack.training.distributed.processes import Processes, among


class Busier(Processes):
    """Another process calls the network four times where this one calls it less often."""

    count = 2

    def most(self, number: int) -> int:
        return max(4, number)


@pytest.mark.parametrize("lengths", [(5, 9, 5), (5, 5, 5)])
def test_a_network_is_called_as_often_as_in_the_other_process_and_gives_the_same(lengths):
    generator = torch.Generator().manual_seed(0)
    xt, sigma = torch.randn(3, 16, 2, 4, 4, generator=generator), torch.tensor([0.3, 0.5, 0.7])
    captions = [{"cross_attn": torch.randn(length, 32, generator=generator)} for length in lengths]
    group, calls = Busier(), []
    model = video_model(tiny_families.model_of("Wan 2.1"))
    handle = model.model.model.diffusion_model.register_forward_hook(lambda *_: calls.append(1))
    found = []
    try:
        with torch.inference_mode(), among(group), training_session(model, TrainConfig(rank=2)) as session:
            for group.splits in (False, True):
                calls.clear()
                output = session.predict(xt, sigma, captions)
                gradients = torch.autograd.grad(output.square().mean(), list(session.trained.parameters()))
                found.append((len(calls), output.detach(), gradients))
    finally:
        handle.remove()
    (few, plain, expected), (many, output, gradients) = found
    assert (few, many) == (len(set(lengths)), 4)
    assert torch.equal(output, plain)
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))


@pytest.mark.parametrize(("dtype", "fits"), [
    (torch.bfloat16, True), (torch.float16, True), (torch.float8_e4m3fn, False), (torch.int8, False),
])  # fmt: skip
def test_weights_that_are_no_plain_numbers_are_refused(dtype, fits):
    block = nn.Sequential(nn.Linear(4, 4))
    block[0].weight = nn.Parameter(torch.zeros(4, 4).to(dtype), requires_grad=False)
    if fits:
        _check([block])
        return
    with pytest.raises(ValueError, match=f"those of this model are {str(dtype)[6:]}; load the bf16 or fp16 file"):
        _check([block])

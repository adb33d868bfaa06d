"""A run that is stopped and goes on gives the bytes of one that was left alone, in every family."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import pytest
import tiny_families as families
import torch
from clip_pairs import encoded_pairs
from tic_ft_runs import interrupt_after, train

from pack.nodes.host.model.families import FAMILIES

pytestmark = pytest.mark.usefixtures("own_output", "output")

STEPS, CUT = 4, 2


def pairs(family: families.Tiny) -> Any:
    row = next(known for known in FAMILIES if known.name == family.name)
    channels = families.model_of(family.name).model.latent_format.latent_channels
    sizes = {"width": row.spatial, "height": row.spatial, "channels": channels, "compression": row.compression}
    return encoded_pairs(frames=2 * row.compression, text=families.text_of(family), **sizes)


@pytest.mark.parametrize("family", families.ALL, ids=lambda family: family.name)
def test_a_cancelled_run_goes_on_to_the_same_bytes(family, monkeypatch):
    model, values = families.model_of(family.name), {"encoded": pairs(family), "steps": STEPS}
    whole = train(model, "whole", **values)[0]
    with monkeypatch.context() as patch:
        interrupt_after(patch, CUT)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            train(model, "cut", **values)
    cut = train(model, "cut", **values)[0]
    assert whole.keys() == cut.keys()
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    assert any(value.any() for key, value in whole.items() if key.endswith("lora_up.weight"))

"""References that no action can be read from are refused in one sentence."""

from __future__ import annotations

import pytest
import tiny_aicl
import tiny_vae
import torch

from pack.nodes.aicl import AICLEncodeAction

CAPTION = [[torch.zeros(1, 5, 32), {}]]


def encode(reference: torch.Tensor, **more: object) -> None:
    AICLEncodeAction.execute(tiny_aicl.host_adapter("Wan 2.1"), tiny_vae.tiny_vae(), reference, CAPTION, **more)


def test_a_reference_of_one_pixel_is_refused():
    with pytest.raises(ValueError, match="a reference is 1x1 pixels; give a clip of at least 16 each way"):
        encode(torch.zeros(9, 1, 1, 3))


def test_a_caption_without_its_reference_is_refused():
    with pytest.raises(ValueError, match="conditioning_2 has no reference_2; connect it too, or disconnect both"):
        encode(torch.zeros(9, 16, 16, 3), conditioning_2=CAPTION)

"""Sizes of an adapter in a file's metadata: what was written comes back, and damage is named."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pack.methods.action_prism import FLATTENED, PrismSizes
from pack.methods.aicl import AdapterSizes
from pack.training.aicl.sizes import sizes_from_text, sizes_to_text

SIZES = AdapterSizes(PrismSizes(3, 5, 8, 2, 1, token=6), {"blocks.0": 8, "blocks.1": 12}, inner=4)
DEEP = "[" * 5000 + "]" * 5000


def test_sizes_come_back_from_a_file_s_text():
    assert sizes_from_text(sizes_to_text(SIZES)) == SIZES
    flat = replace(SIZES, prism=replace(SIZES.prism, head=FLATTENED, size=(2, 4, 4)))
    assert sizes_from_text(sizes_to_text(flat)) == flat


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"prism": 3}', sizes_to_text(SIZES).replace("inner", "outer"), DEEP]
)
def test_damaged_sizes_are_refused(text):
    with pytest.raises(ValueError, match="sizes cannot be read"):
        sizes_from_text(text)


def test_sizes_of_a_later_version_are_refused():
    values = json.loads(sizes_to_text(SIZES))
    values["prism"]["colour"] = 1
    with pytest.raises(ValueError, match="there is no size colour"):
        sizes_from_text(json.dumps(values))

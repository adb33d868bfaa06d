"""Tune-A-Video Train on an image model that another node has patched."""

from __future__ import annotations

import math

import pytest
import tiny_unet
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from tuning_clips import tune

pytestmark = pytest.mark.usefixtures("own_output")
BLOCK = 1


def test_deep_shrink_trains_at_its_noise_levels_and_counts_in_the_run():
    unet = tiny_unet.fresh_unet()
    plain = tune(unet, "", steps=2)
    for last, changes in ((1.0, True), (0.0, False)):  # up to where it shrinks; 0: at no level that is trained
        shrunk = PatchModelAddDownscale.execute(unet, BLOCK, 2.0, 0.0, last, True, "bicubic", "bicubic").result[0]
        tuned = tune(shrunk, "", steps=2)
        assert all(map(math.isfinite, tuned[1]["loss"]))
        assert (tuned[1]["loss"] != plain[1]["loss"]) is changes
        assert tuned[3] != plain[3]  # the plain model's finished run is not handed out

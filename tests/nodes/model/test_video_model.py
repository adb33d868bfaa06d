"""What a MODEL is asked once, at a node's edge."""

from __future__ import annotations

import dataclasses

import pytest
import tiny_families as tiny
from torch import nn

from pack.nodes.host.model.fingerprint import model_fingerprint
from pack.nodes.host.model.video_model import trainable_video_model, video_model


@pytest.mark.parametrize("family", tiny.ALL, ids=lambda family: family.name)
def test_family_latents_and_fingerprint_are_those_of_the_model(family):
    model = tiny.model_of(family.name)
    found = video_model(model)
    assert (found.base, found.channels) == (family.name, model.model.latent_format.latent_channels)
    assert found.fingerprint == model_fingerprint(found.model)


def test_what_is_repaired_is_said_once_and_not_again():
    found = video_model(tiny.model_of("CogVideoX 5B"))
    assert [text.split()[0] for text in found.repairs] == ["does", "spaces"]
    again = video_model(found.model)
    assert again.repairs == ()
    assert again.model is found.model


def test_another_clone_keeps_the_family_and_gets_a_fingerprint_of_its_own():
    found = video_model(tiny.model_of("Wan 2.1"))
    assert found.with_model(found.model) is found
    clone = found.model.clone()
    clone.add_patches({"diffusion_model.blocks.0.self_attn.q.weight": ("diff", (0.1 * _weight(clone),))})
    other = found.with_model(clone)
    assert other.family is found.family
    assert other.fingerprint != found.fingerprint


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        video_model(tiny.model_of("Wan 2.1")).channels = 3


def test_a_network_that_is_not_trained_is_used_all_the_same(monkeypatch):
    model = tiny.fresh_model_of("HunyuanVideo 1.5")
    monkeypatch.setattr(model.model.diffusion_model, "time_r_in", nn.Identity())
    assert video_model(model).base == "HunyuanVideo 1.5"
    with pytest.raises(ValueError, match="load the one that is not distilled"):
        trainable_video_model(model)


def _weight(model):
    return model.model.diffusion_model.blocks[0].self_attn.q.weight

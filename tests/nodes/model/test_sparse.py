"""Sparse latents of a clip have the positions that they had in the whole one, in every family that can be told."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import pytest
import tiny_families as tiny
import torch
from motion_runs import heard, one_clip, train
from torch import Tensor

from pack.nodes.host.model import sparse
from pack.nodes.host.model.families import FAMILIES, family_of
from pack.nodes.host.model.noise import repaired

STRIDE, SHOWN, WHOLE = 3, 3, 7
SIDE = 4  # latent pixels
TELLING = [family for family in tiny.ALL if family not in (*tiny.IMAGE_TO_VIDEO, tiny.COG_15)]
OWN = [family for family in TELLING if family not in (tiny.WAN, tiny.WAN_5B)]  # not by the host's rope options
every = pytest.mark.parametrize("family", TELLING, ids=lambda family: family.name)
by_method = pytest.mark.parametrize("family", OWN, ids=lambda family: family.name)


def positions(family: tiny.Tiny, model: Any, frames: int) -> list[Tensor]:
    """Of the tokens of so many latents, in the loaded network, each ``[frames, ...]``."""
    comfy.model_management.load_models_gpu([model])
    network, options = model.model.diffusion_model, model.model_options.get("transformer_options", {})
    if family in (tiny.WAN, tiny.WAN_5B):
        found = network.rope_encode(frames, SIDE, SIDE, transformer_options=options)
    elif family in tiny.LTX:
        latents = torch.zeros(1, 128, frames, SIDE, SIDE)
        streams = family is not tiny.LTXV
        _, found, _ = network._process_input([latents] if streams else latents, None, None)
        found = (found[0] if streams else found)[0].transpose(0, 1)
    elif family in tiny.HUNYUANS:
        found = network.img_ids(torch.zeros(1, 1, frames, SIDE, SIDE))[0]
    elif family is tiny.KANDINSKY:
        found = network.rope_encode_3d(frames, SIDE, SIDE, transformer_options=options)[0]
    elif family is tiny.COG_5B:
        return [part.reshape(frames, -1) for part in network._get_rotary_emb(SIDE, SIDE, frames, device="cpu")]
    else:
        channels = network.patch_embed.proj.in_channels
        text = torch.zeros(1, 5, network.patch_embed.text_proj.in_features)
        found = network.patch_embed(text, torch.zeros(1, frames, channels, SIDE, SIDE))[0, 5:]
    return [found.reshape(frames, -1)]


@every
def test_the_tokens_lie_where_they_were_in_the_clip(family):
    model = repaired(tiny.model_of(family.name))
    method = family_of(model).positions
    with torch.inference_mode():
        whole = positions(family, model, WHOLE)
        found = positions(family, sparse.stretched(model, method, STRIDE), SHOWN)
        again = positions(family, model, WHOLE)  # the shared network has its own method back
    for part, those, after in zip(whole, found, again, strict=True):
        assert not torch.equal(part[::STRIDE], part[:SHOWN])
        assert torch.equal(those, part[::STRIDE])
        assert torch.equal(after, part)


@by_method
def test_training_shows_every_so_many_th_latent_at_its_place(family, monkeypatch):
    row = next(known for known in FAMILIES if known.name == family.name)
    channels = tiny.model_of(family.name).model.latent_format.latent_channels
    sizes = {"width": row.spatial, "height": row.spatial, "channels": channels, "compression": row.compression}
    clip = one_clip(frames=(WHOLE - 1) * row.compression + 1, text=tiny.text_of(family), **sizes)
    values = {"encoded": clip, "sparse_latents": SHOWN, "appearance_steps": 0, "steps": 1}
    with heard(monkeypatch) as calls:
        train(tiny.model_of(family.name), f"placed {family.name}", **values)
        monkeypatch.setitem(sparse.METHODS, row.positions, lambda _stride, own, *given, **more: own(*given, **more))
        train(tiny.model_of(family.name), f"neighbours {family.name}", **values)
    placed, neighbours = calls
    assert placed["xt"].shape[2] == SHOWN
    assert torch.equal(placed["xt"], neighbours["xt"])
    assert not torch.allclose(placed["output"], neighbours["output"], rtol=1e-3, atol=1e-4)


def test_a_network_whose_tokens_are_of_two_latents_is_refused_before_anything_is_encoded():
    clip = one_clip(frames=33, channels=16)
    clip.encode = None  # would fail if it were called
    with pytest.raises(ValueError, match=r"^CogVideoX 1\.5 puts two neighbouring latents into one token"):
        train(tiny.model_of("CogVideoX 1.5"), "sparse", encoded=clip, sparse_latents=3)

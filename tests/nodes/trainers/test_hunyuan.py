"""HunyuanVideo 1.0 and 1.5: diffusers' own answers, further inputs given or left out, and what is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import diffusers_hunyuan
import pytest
import tiny_families as tiny
import tiny_hunyuan
import tiny_sampling
import torch
from clip_pairs import encoded_pairs, fake_text
from tic_ft_runs import train
from tiny_wan import weights_of
from torch import Tensor

from pack.methods.tic_ft import Layout
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.sampling.wrappers import Context

sys.path.append(str(Path(__file__).resolve().parents[3] / "scripts" / "bench"))

import parity

CLOSE = 1e-4
SIGLIP = torch.randn(1, 4, 1152, generator=torch.Generator().manual_seed(12))
SCENE = Layout.linear(1, 3, 3)


@pytest.mark.parametrize("family", tiny.HUNYUANS, ids=lambda family: family.name)
def test_a_training_step_is_diffusers_own(family):
    with torch.inference_mode():
        answer, loss = parity.training(parity.Subject(family))
    assert answer <= CLOSE
    assert loss <= CLOSE


@pytest.mark.parametrize("family", tiny.HUNYUANS, ids=lambda family: family.name)
def test_sampling_is_the_published_algorithm_on_diffusers_network(family):
    with torch.inference_mode():
        assert parity.sampling(parity.Subject(family)) <= CLOSE


@pytest.mark.parametrize("image", [None, SIGLIP], ids=["without image", "with image"])
@pytest.mark.parametrize("byt5", [None, tiny_hunyuan.byt5_text()], ids=["without byt5", "with byt5"])
def test_further_inputs_of_1_5_are_given_or_left_out_as_in_diffusers(byt5: Tensor | None, image: Tensor | None):
    model = tiny.model_of("HunyuanVideo 1.5")
    generator = torch.Generator().manual_seed(3)
    x, text = torch.randn(1, 32, 3, 4, 4, generator=generator), torch.randn(1, 5, tiny.TEXT_DIM, generator=generator)
    timestep = torch.tensor([700.0])
    theirs = diffusers_hunyuan.hunyuan_15(weights_of(model), byt5, image)
    with torch.inference_mode():
        frames = torch.cat([x, torch.zeros(1, 33, 3, 4, 4)], dim=1)
        ours = model.model.diffusion_model(
            frames, timestep, text, txt_byt5=byt5, clip_fea=image, transformer_options={}
        )
        expected = theirs(x, timestep, text)
    assert (ours - expected).norm() / expected.norm() <= CLOSE


def scene(family: tiny.Tiny, **more: Any) -> tiny_sampling.Scene:
    prompts = tuple(
        [[entry[0][0], {**entry[0][1], **more}]] for entry in (family.conditioning(1), family.conditioning(2))
    )
    return tiny_sampling.scene(SCENE, model=tiny.model_of(family.name), prompts=prompts)


def test_prompts_with_an_image_are_refused_beside_a_context():
    start = scene(tiny.HUNYUAN_15, concat_latent_image=torch.zeros(1, 32, 7, 4, 4))
    sentence = r"^the prompts carry an image for HunyuanVideo 1\.5, .*, and the image as condition of TIC-FT Context$"
    with pytest.raises(ValueError, match=sentence):
        tiny_sampling.sample(Context(SCENE, start.x0).put_on(start.model), start)


@pytest.mark.parametrize("name", ["pooled_output", "cross_attn"])
def test_captions_of_another_text_encoder_are_refused_before_anything_is_encoded(name):
    def text(caption: str) -> dict[str, Tensor]:
        found = fake_text(caption, tiny.HUNYUAN.kept)
        return {key: value for key, value in found.items() if key != name} | (
            {"cross_attn": torch.zeros(4, 7)} if name == "cross_attn" else {}
        )

    sentences = {
        "pooled_output": "the text encoder gives no pooled output, HunyuanVideo takes that of CLIP-L; load both",
        "cross_attn": "the text encoder gives 7 channels a token, HunyuanVideo takes 32; load",
    }
    with pytest.raises(ValueError, match=f"^{re.escape(sentences[name])}"):
        train(tiny.model_of("HunyuanVideo"), "refused", encoded=encoded_pairs(text=text))
    assert not LORA.files("refused").exists()

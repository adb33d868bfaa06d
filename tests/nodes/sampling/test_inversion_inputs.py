"""Inversion says in one sentence when latent or prompt belong to another model."""

from __future__ import annotations

import pytest
import tiny_sampling as tiny
import tiny_unet
import torch

from pack.nodes.inversion import FewShotInversion

VIDEO = {"samples": torch.ones(1, 16, 3, 4, 4)}


@pytest.mark.parametrize("shape", [(1, 4, 3, 4, 4), (1, 16, 4, 4)])
def test_a_latent_of_another_family_is_refused(shape):
    with pytest.raises(
        ValueError, match=r"latent of shape .*, the WAN21 works on \[batch, 16, frames, height, width\]"
    ):
        FewShotInversion.execute(tiny.tiny_model(), tiny.POSITIVE, {"samples": torch.ones(shape)}, 2)


def test_a_video_latent_on_an_image_model_is_refused():
    with pytest.raises(ValueError, match=r"works on \[batch, 4, height, width\]; encode the source clip"):
        FewShotInversion.execute(tiny_unet.tiny_unet(), tiny_unet.conditioning(1), VIDEO, 2)


def test_a_prompt_of_another_text_encoder_is_refused():
    wide = [[torch.zeros(1, 5, 64), {}]]
    with pytest.raises(ValueError, match=r"gives 64 channels a token, Wan 2\.1 takes 32; load the CLIP that belongs"):
        FewShotInversion.execute(tiny.tiny_model(), wide, VIDEO, 2)


PRESET = {"preset": "as published"}
OF_VIDEO, OF_IMAGES = (tiny.tiny_model, (1, 16, 3, 4, 4)), (tiny_unet.tiny_unet, (9, 4, 4, 4))


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        (OF_VIDEO, PRESET, r"is Tune-A-Video's on Stable Diffusion, the model is a WAN21; set preset to as set"),
        (OF_VIDEO, {"stride": 2}, r"this latent is a video's; thin the clip out before VAE Encode"),
        (OF_IMAGES, {"stride": 2, "frames": 6}, r"has 9 frames, 6 at a stride of 2 need 11; lower frames"),
        (OF_IMAGES, PRESET, r"has 9 frames, 24 at a stride of 2 need 47; lower frames or stride"),
    ],
)
def test_frames_that_cannot_be_taken_are_refused(given, options, said):
    model, shape = given
    with pytest.raises(ValueError, match=said):
        FewShotInversion.execute(model(), tiny_unet.conditioning(1), {"samples": torch.ones(shape)}, 2, **options)

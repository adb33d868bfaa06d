"""Orders that Tune-A-Video Train cannot fill: one sentence each, and nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_sampling
import tiny_unet
from tuning_clips import PIXELS, encoded_clips, tune

from pack.nodes.host.services.folders import tune_a_video_output_folder
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.training.core.config import TrainConfig

pytestmark = pytest.mark.usefixtures("own_output")


@pytest.fixture
def model() -> Any:
    return tiny_unet.fresh_unet()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frames": 9}, r"has 5 frames, 9 at a stride of 1 from frame 0 need 9; lower frames"),
        ({"frames": 1}, "one frame of the clip's 5 is learned, in which nothing moves; raise frames, lower start"),
        ({"frames": 0, "encoded": encoded_clips(1)}, "one frame of the clip's 1 is learned"),
        ({"frames": 0, "start": 4}, "one frame of the clip's 5 is learned"),
        ({"run_name": "../out"}, "cannot name a folder"),
        ({"encoded": encoded_clips(width=PIXELS + 4)}, r"width 36 is no multiple of 8, which Stable Diffusion 1\.x"),
        ({"prior": encoded_clips(width=PIXELS + 4)}, "width 36 is no multiple of 8"),
        ({"settings": TrainConfig(per_frame_timesteps=True)}, "takes no timestep per frame"),
        ({"settings": TrainConfig(target_modules="to_k")}, "trains queries and temporal attention whatever it says"),
        ({"settings": TrainConfig(shift=0.0)}, "samples without a shift; set shift to 1"),
        ({"settings": TrainConfig(expert="high noise")}, 'has no experts; set expert to "both"'),
        ({"window": "random start", "frames": 0}, "all frames has no random start"),
    ],
)
def test_an_order_that_cannot_be_filled_is_refused_in_a_sentence(model, change, said):
    with pytest.raises(ValueError, match=said):
        tune(model, **{"run_name": "refused", **change})
    assert not (tune_a_video_output_folder() / "refused").exists()


def test_models_that_cannot_be_tuned_are_refused(model):
    with pytest.raises(ValueError, match=r"works with Stable Diffusion 1\.x and .*, the model is a WAN21"):
        tune(tiny_sampling.tiny_model(), "refused")
    applied = apply_tuned(model, tune(model, "before", steps=1)[0], 1.0)
    with pytest.raises(ValueError, match=r"has Tune-A-Video on it already, .* take it from before Tune-A-Video Apply"):
        tune(applied, "refused")
    masked = tiny_unet.fresh_unet(in_channels=9)
    masked.model.set_inpaint()
    with pytest.raises(ValueError, match=r"the inpainting kind of Stable Diffusion 1\.x, .* mask; load the plain one"):
        tune(masked, "refused")
    flow = model.clone()
    flow.add_object_patch("model_sampling", tiny_sampling.tiny_model().get_model_object("model_sampling"))
    with pytest.raises(ValueError, match="predicts neither noise nor velocity; take the model sampling node off"):
        tune(flow, "refused")
    assert not (tune_a_video_output_folder() / "refused").exists()


def test_a_video_vae_and_one_of_other_channels_are_refused(model):
    video = encoded_clips()
    video.frame_by_frame = False
    with pytest.raises(ValueError, match="was given a video VAE, an image VAE is needed; load the one that belongs"):
        tune(model, "refused", encoded=video)
    other = encoded_clips()
    encode = other.encode_video
    other.encode_video = lambda pixels: encode(pixels).repeat(4, 1, 1, 1)
    with pytest.raises(ValueError, match="makes latents of 16 channels, the model takes 4"):
        tune(model, "refused", encoded=other)

"""The workflows of Wan 2.1 T2V 1.3B, with the public file names."""

from __future__ import annotations

from workflow_files.graph import Graph
from workflow_files.models import NEGATIVE, Model, sample_with_lora, train_on_folder
from workflow_files.steps import Sampling

NETWORK = "wan2.1_t2v_1.3B_fp16.safetensors"
TEXT_ENCODER = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
VAE = "wan_2.1_vae.safetensors"
SAMPLING = Sampling(480, 480, 36, 16.0, steps=30, cfg=5.0, negative=NEGATIVE)
TRAIN, SAMPLE = "tic_ft_train_wan21_1_3b", "tic_ft_image_to_video_wan21_1_3b"

FILES_NOTE = f"""
Files, from huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged:

`models/diffusion_models/` {NETWORK}

`models/text_encoders/` {TEXT_ENCODER}

`models/vae/` {VAE}
"""
TRAIN_SUMMARY = f"""
Teaches Wan 2.1 T2V 1.3B to make a video from an image, in the way your pairs do it.

**Load** the three files of step 1 and a folder of pairs in step 2, then press **Run**.

**Change** steps and learning rate in step 3. For another task choose it in **Training Plan** and **TIC-FT
Train**, and set the frames of step 2 to 24. For other clips or another task write another `run_name`.

**Out comes** a LoRA in `output/loras`. Open the workflow [{SAMPLE}] to use it.
"""
SAMPLE_SUMMARY = f"""
Makes a video from an image with a LoRA that the workflow [{TRAIN}] has trained.

**Load** the three files of step 1, your LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and an
image.

**Change** the caption in step 2, seed and steps in step 3.

**Out comes** a video of 36 frames in `output/video`.
"""
MODEL = Model(
    network=NETWORK,
    text_encoder=TEXT_ENCODER,
    text_type="wan",
    vae=VAE,
    files_note=FILES_NOTE,
    sampling=SAMPLING,
    shift=8.0,  # as in the host's own template for this model
)


def wan_workflows() -> list[Graph]:
    """All of them."""
    return [
        train_on_folder(TRAIN, TRAIN_SUMMARY, MODEL, SAMPLE, "logit_normal"),
        sample_with_lora(SAMPLE, SAMPLE_SUMMARY, MODEL),
    ]

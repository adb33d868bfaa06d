"""The workflows of CogVideoX 5B."""

from __future__ import annotations

from workflow_files.graph import Graph
from workflow_files.models import NEGATIVE, Model, sample_with_lora, train_on_folder
from workflow_files.steps import Sampling

NETWORK = "cogvideox_5b_bf16.safetensors"
TEXT_ENCODER = "t5xxl_fp16.safetensors"
VAE = "cogvideox_vae.safetensors"
TRAIN, SAMPLE = "tic_ft_train_cogvideox_5b", "tic_ft_image_to_video_cogvideox_5b"

FILES_NOTE = f"""
Files:

`models/diffusion_models/` {NETWORK}, the text-to-video transformer of CogVideoX 5B in bf16 under ComfyUI's own key
names (`blocks.0.norm1.linear.weight` is one). Load Diffusion Model does not read diffusers' files.

`models/text_encoders/` {TEXT_ENCODER}, from huggingface.co/comfyanonymous/flux_text_encoders

`models/vae/` {VAE}, from huggingface.co/Comfy-Org/void-model
"""
SAMPLE_NOTE = """
Euler with `simple` takes the steps of DDIM at evenly spaced timesteps. Any sampler node works here.

ComfyUI's own sampling gives CogVideoX inputs that are not scaled; the nodes of this pack put that right by themselves.
"""
TRAIN_SUMMARY = f"""
Teaches CogVideoX 5B to make a video from an image, in the way your pairs do it.

**Load** the three files of step 1 and a folder of pairs in step 2, then press **Run**.

**Change** steps and learning rate in step 3. For another task choose it in **Training Plan** and **TIC-FT
Train**, and set the frames of step 2 to 24. For other clips or another task write another `run_name`.

**Out comes** a LoRA in `output/loras`. Open the workflow [{SAMPLE}] to use it.
"""
SAMPLE_SUMMARY = f"""
Makes a video from an image with a LoRA that the workflow [{TRAIN}] has trained, or with one of the TIC-FT authors'.

**Load** the three files of step 1, your LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and an
image.

**Change** the caption in step 2, seed and steps in step 3.

**Out comes** a video of 36 frames in `output/video`, 10 a second as in the paper.
"""
MODEL = Model(
    network=NETWORK,
    text_encoder=TEXT_ENCODER,
    text_type="cogvideox",
    vae=VAE,
    files_note=FILES_NOTE,
    # Size, rate, steps and CFG of the TIC-FT authors' scripts.
    sampling=Sampling(480, 480, 36, 10.0, steps=50, cfg=6.0, negative=NEGATIVE),
    sample_note=SAMPLE_NOTE,
)


def cogvideox_workflows() -> list[Graph]:
    """All of them."""
    return [
        train_on_folder(TRAIN, TRAIN_SUMMARY, MODEL, SAMPLE, "uniform"),
        sample_with_lora(SAMPLE, SAMPLE_SUMMARY, MODEL),
    ]

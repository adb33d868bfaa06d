"""TIC-FT beside Bernini's own reference, on the public fp8 files of its two experts."""

from __future__ import annotations

from workflow_files.bases.wan import TEXT_ENCODER
from workflow_files.bases.wan22 import TRAIN_14B, load_tuned_experts, two_stages
from workflow_files.graph import Graph
from workflow_files.models import (
    IMAGE_TO_VIDEO,
    NEGATIVE,
    Model,
    add_condition,
)
from workflow_files.steps import WIDE, Sampling, add_result

NAME = "bernini_with_tic_ft"
HIGH, LOW = (f"wan2.2_bernini_r_{part}_noise_fp8_scaled.safetensors" for part in ("high", "low"))
VAE = "Wan2_1_VAE_bf16.safetensors"
HIGH_LORA, LOW_LORA = (f"{NAME}_{part}_noise" for part in ("high", "low"))

FILES = f"""
Files, from huggingface.co/Comfy-Org/Bernini-R:

`models/diffusion_models/` {HIGH}

`models/diffusion_models/` {LOW}

from huggingface.co/Kijai/WanVideo_comfy:

`models/vae/` {VAE}

and from huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged:

`models/text_encoders/` {TEXT_ENCODER}
"""
SUMMARY = f"""
Bernini is a Wan 2.2 14B that is shown pictures beside the video. Here it gets both: a picture that TIC-FT makes the
video from, in the way your pairs do it, and a reference of its own, whose subject comes in.

**Train** both LoRAs with the workflow [{TRAIN_14B}]:

- step 1: Bernini's two networks in place of those of Wan 2.2
- step 3: `{HIGH_LORA}` as `run_name` and as the name in **Save LoRA**
- step 4: `{LOW_LORA}` as `run_name` and as the name in **Save LoRA**

**Load** the four files of step 1, both LoRAs in **TIC-FT Load LoRA** (press R when they are not in the list), the
picture in step 1 and the reference in step 2.

**Change** the caption in step 2, the seed of the first sampler in step 3.

**Out comes** a video of 36 frames in `output/video`.
"""
REFERENCE_NOTE = """
The latent goes from **TIC-FT Context** to the sampler; the one of **Bernini Conditioning** stays unused, and so do its
width, height and length without a source video.

`timesteps` of **TIC-FT Context** must be *one for all frames* or *as trained*: Bernini's sources have no timestep of a
frame's own.

Bernini's own workflows put a sentence about the task in front of each caption. Put it in front of the captions you
train with, too, or leave it out in both.
"""
SAMPLE_NOTE = """
40 steps in 20 and 20, CFG 5: as in ComfyUI's own template for these files with its turbo mode switched off. The first
sampler returns its leftover noise, the second one adds none. Change steps in both: the first one's `end_at_step` is the
second one's `start_at_step`.
"""
MODEL = Model(
    network=HIGH,
    text_encoder=TEXT_ENCODER,
    text_type="wan",
    vae=VAE,
    files_note=FILES,
    sampling=Sampling(480, 480, 36, 16.0, steps=40, cfg=5.0, negative=NEGATIVE, sampler="res_multistep"),
    sample_note=SAMPLE_NOTE,
)


def with_reference() -> Graph:
    """A picture as TIC-FT's condition and another one as Bernini's reference."""
    graph, model = Graph(NAME, SUMMARY), MODEL
    with graph.group("Load"):
        base, settings, inputs = load_tuned_experts(graph, model, (HIGH, LOW), (HIGH_LORA, LOW_LORA))
    with graph.group("Condition"):
        context, positive, negative = add_condition(graph, base, IMAGE_TO_VIDEO, model.sampling, settings, **inputs)
        graph.column()
        image = graph.add("LoadImage", image="example.png", title="Reference")["IMAGE"]
        texts = {"positive": positive, "negative": negative, "vae": base.vae}
        size = {"width": model.sampling.width, "height": model.sampling.height}
        reference = {"reference_images.reference_image_0": image}
        both = graph.add("BerniniConditioning", size=WIDE, **texts, **size, **reference)
        graph.note(REFERENCE_NOTE, width=340)
    with graph.group("Sample"):
        start = (context["model"], context["model_2"], context["latent"])
        latent = two_stages(graph, model.sampling, start, both["positive"], both["negative"])
        graph.note(model.sample_note)
        graph.column()
        add_result(graph, base, latent, model.sampling, f"video/{graph.name}")
    return graph


def bernini_workflows() -> list[Graph]:
    """All of them."""
    return [with_reference()]

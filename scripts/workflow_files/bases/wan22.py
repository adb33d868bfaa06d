"""The workflows of Wan 2.2, with the public file names: TI2V 5B, and T2V 14B with its two experts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workflow_files.bases.wan import TEXT_ENCODER, TRAIN
from workflow_files.bases.wan import VAE as VAE_14B
from workflow_files.graph import Graph, Wire
from workflow_files.models import (
    IMAGE_TO_VIDEO,
    NEGATIVE,
    STRENGTH_NOTE,
    Model,
    add_condition,
    add_encoders,
    add_lora,
    add_network,
    add_source,
    sample_with_lora,
)
from workflow_files.steps import Base, Sampling, add_result

TRAIN_14B = "tic_ft_train_wan22_14b"
SMALL, LARGE = "tic_ft_image_to_video_wan22_5b", "tic_ft_image_to_video_wan22_14b"
NETWORK_5B, VAE_5B = "wan2.2_ti2v_5B_fp16.safetensors", "wan2.2_vae.safetensors"
HIGH, LOW = (f"wan2.2_t2v_{part}_noise_14B_fp8_scaled.safetensors" for part in ("high", "low"))
HIGH_LORA, LOW_LORA = (f"{LARGE}_{part}_noise" for part in ("high", "low"))


def expert_files(high: str, low: str) -> str:
    """The note that names the files of two experts and what goes with them."""
    return f"""
Files, from huggingface.co/Comfy-Org/Wan_2.2_ComfyUI_Repackaged:

`models/diffusion_models/` {high}

`models/diffusion_models/` {low}

`models/vae/` {VAE_14B}

and from huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged:

`models/text_encoders/` {TEXT_ENCODER}
"""


FILES_5B = f"""
Files, from huggingface.co/Comfy-Org/Wan_2.2_ComfyUI_Repackaged:

`models/diffusion_models/` {NETWORK_5B}

`models/vae/` {VAE_5B}

and from huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged:

`models/text_encoders/` {TEXT_ENCODER}
"""
SUMMARY_5B = f"""
Makes a video from an image with a LoRA that was trained on pairs.

**Train** the LoRA with the workflow [{TRAIN}]:

- step 1: the three files of step 1 here
- step 2: 704 x 704 pixels, 36 frames, 24 frames a second
- step 3: `{SMALL}` as `run_name` and as the name in **Save LoRA**

**Load** the three files of step 1, the LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and an
image.

**Change** the caption in step 2, seed and steps in step 3. Width and height must be multiples of 32.

**Out comes** a video of 36 frames in `output/video`.
"""
SUMMARY_14B = f"""
Makes a video from an image with two LoRAs, one for each expert. The high-noise expert takes the first steps, the
low-noise expert the rest, and both get the same context.

**Train** both with the workflow [{TRAIN_14B}].

**Load** the four files of step 1, both LoRAs in **TIC-FT Load LoRA** (press R when they are not in the list) and an
image.

**Change** the caption in step 2, the seed of the first sampler in step 3.

**Out comes** a video of 36 frames in `output/video`.
"""
SAMPLE_NOTE_14B = """
Shift 5, 20 steps in 10 and 10, CFG 3.5: as in ComfyUI's own template for these files with its 4-step LoRAs
switched off. The first sampler returns its leftover noise, the second one adds none. Change steps in both: the first
one's `end_at_step` is the second one's `start_at_step`.
"""
MODEL_5B = Model(
    network=NETWORK_5B,
    text_encoder=TEXT_ENCODER,
    text_type="wan",
    vae=VAE_5B,
    files_note=FILES_5B,
    # Steps, CFG, sampler, shift and rate are those of the host's own template; the size is its height.
    sampling=Sampling(704, 704, 36, 24.0, steps=20, cfg=5.0, negative=NEGATIVE, sampler="uni_pc"),
    shift=8.0,
)
MODEL_14B = Model(
    network=HIGH,
    text_encoder=TEXT_ENCODER,
    text_type="wan",
    vae=VAE_14B,
    files_note=expert_files(HIGH, LOW),
    sampling=Sampling(480, 480, 36, 16.0, steps=20, cfg=3.5, negative=NEGATIVE),
    shift=5.0,
    sample_note=SAMPLE_NOTE_14B,
)


def load_tuned_experts(
    graph: Graph, model: Model, networks: tuple[str, str], loras: tuple[str, str]
) -> tuple[Base, Wire, dict[str, Wire]]:
    """Step Load: both experts, the high-noise one first, a LoRA on each, and an image.

    Returns:
        The base with the first expert, the LoRAs' settings, and what else goes into the context.
    """
    high = add_network(graph, networks[0], "High-noise expert")
    low = add_network(graph, networks[1], "Low-noise expert")
    base = add_encoders(graph, model, high)
    graph.column()
    first, settings = add_lora(graph, model, high, loras[0], "High-noise LoRA")
    second, _ = add_lora(graph, model, low, loras[1], "Low-noise LoRA")
    graph.note(STRENGTH_NOTE)
    graph.column()
    return replace(base, model=first), settings, {"model_2": second, "condition": add_source(graph, IMAGE_TO_VIDEO)}


def image_to_video_14b() -> Graph:
    """Sample with a LoRA on each expert, the high-noise one first."""
    graph, model = Graph(LARGE, SUMMARY_14B), MODEL_14B
    with graph.group("Load"):
        base, settings, inputs = load_tuned_experts(graph, model, (HIGH, LOW), (HIGH_LORA, LOW_LORA))
    with graph.group("Condition"):
        prepared = add_condition(graph, base, IMAGE_TO_VIDEO, model.sampling, settings, **inputs)
    with graph.group("Sample"):
        context, positive, negative = prepared
        start = (context["model"], context["model_2"], context["latent"])
        latent = two_stages(graph, model.sampling, start, positive, negative)
        graph.note(model.sample_note)
        graph.column()
        add_result(graph, base, latent, model.sampling, f"video/{graph.name}")
    return graph


def two_stages(
    graph: Graph, sampling: Sampling, start: tuple[Wire, Wire, Wire], positive: Wire, negative: Wire
) -> Wire:
    """Two samplers, half of one schedule each, from both experts and a latent; returns the second one's latent."""
    (high, low, latent), split = start, sampling.steps // 2
    shared: dict[str, Any] = {"positive": positive, "negative": negative, "steps": sampling.steps, "cfg": sampling.cfg}
    shared |= {"noise_seed": sampling.seed, "sampler_name": sampling.sampler, "scheduler": "simple"}
    first = graph.add(
        "KSamplerAdvanced",
        title="High-noise steps",
        model=high,
        latent_image=latent,
        add_noise="enable",
        start_at_step=0,
        end_at_step=split,
        return_with_leftover_noise="enable",
        **shared,
    )
    second = graph.add(
        "KSamplerAdvanced",
        title="Low-noise steps",
        model=low,
        latent_image=first["LATENT"],
        add_noise="disable",
        start_at_step=split,
        end_at_step=sampling.steps,
        return_with_leftover_noise="disable",
        **shared,
    )
    return second["LATENT"]


def wan22_workflows() -> list[Graph]:
    """All of them."""
    return [sample_with_lora(SMALL, SUMMARY_5B, MODEL_5B), image_to_video_14b()]
